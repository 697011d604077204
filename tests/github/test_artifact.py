"""Archives that anybody may have made."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.github import artifact
from scripts.model import PipelineError
from tests.hosted.service import zipped

NAME = "decision.json"


def linked(target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(NAME)
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, target)
    return buffer.getvalue()


def test_the_one_file_is_read() -> None:
    assert artifact.read_only_file(zipped({NAME: b"{}"}), NAME) == b"{}"


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (zipped({}), "holds 0 entries"),
        (zipped({NAME: b"{}", "more.json": b""}), "holds 2 entries"),
        (zipped({f"../{NAME}": b"{}"}), "not just"),
        (zipped({f"/etc/{NAME}": b"{}"}), "not just"),
        (zipped({f"{NAME}\x1b[2J": b"{}"}), "not just"),
        (linked("/etc/passwd"), "not a regular file"),
        (b"", "not a zip archive"),
        (b"PK\x03\x04" + b"\0" * 100, "not a zip archive"),
        (zipped({NAME: b"\0" * (artifact.FILE_LIMIT + 1)}), "more than"),
    ],
)
def test_anything_else_is_refused(archive: bytes, words: str) -> None:
    with pytest.raises(PipelineError, match=words) as caught:
        artifact.read_only_file(archive, NAME)
    assert "\x1b" not in caught.value.message


def test_a_size_that_lies_is_not_believed() -> None:
    """The directory announces a few bytes; what is unpacked has a hundred megabytes."""
    archive = bytearray(zipped({NAME: b"\0" * (100 << 20)}))
    directory = archive.rindex(b"PK\x01\x02")
    archive[directory + 24 : directory + 28] = struct.pack("<I", 10)
    with pytest.raises(PipelineError):
        artifact.read_only_file(bytes(archive), NAME)


@given(data=st.binary(max_size=300))
def test_noise_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(PipelineError):
        artifact.read_only_file(data, NAME)


@given(position=st.integers(0, 200), value=st.integers(0, 255))
def test_a_broken_archive_is_read_or_refused(position: int, value: int) -> None:
    archive = bytearray(zipped({NAME: b'{"a": 1}' * 20}))
    archive[position % len(archive)] = value
    with contextlib.suppress(PipelineError):
        artifact.read_only_file(bytes(archive), NAME)
