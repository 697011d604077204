"""The archive of an artifact that a pull request's run has made, and so may hold anything."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from scripts.escape import plain
from scripts.model import PipelineError

ARCHIVE_LIMIT = 4 << 20
FILE_LIMIT = 8 << 20
"""Bytes of the archive, and of a file in it, that are read at most."""


def read_only_file(archive: bytes, name: str) -> bytes:
    """The content of ``name``, which must be the only entry of a zip archive; nothing is written to a disk.

    Raises PipelineError for any other entry, for what is no regular file, and for more than FILE_LIMIT bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            entries = zipped.infolist()
            names = [entry.filename for entry in entries]
            if names != [name]:
                shown = ", ".join(plain(other, 40) for other in names[:3])
                raise _refuse(f"holds {len(names)} entries ({shown}), not just {name}")
            if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refuse(f"{name} is compressed in a way that no upload is")
            mode = entries[0].external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _refuse(f"{name} is not a regular file")
            with zipped.open(entries[0]) as file:
                data = file.read(FILE_LIMIT + 1)
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError, struct.error) as error:
        raise _refuse(f"is not a zip archive that can be read: {plain(str(error), 100)}") from error
    if len(data) > FILE_LIMIT:
        raise _refuse(f"{name} has more than {FILE_LIMIT} bytes")
    return data


def _refuse(reason: str) -> PipelineError:
    return PipelineError(f"artifact: {reason}", "what a pull request's run uploads is not trusted")
