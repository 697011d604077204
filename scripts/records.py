"""The only reader and writer of run files; `scripts.history.store` is the folder that they lie in."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from scripts.model import BROKEN, METRICS, SCHEMA_VERSION, PipelineError, Run

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From a run's decoded JSON in one schema version to the same run's in the next."""


TAKEN = {"foreign": "foreign_cpus", "steal": "steal_cpus"}
"""What once made a block invalid and is a disturbance now, with the CPUs that it took."""


def _tell_disturbed_from_invalid(document: dict[str, Any]) -> dict[str, Any]:
    """Whose numbers were thrown away for what others took: it was measured again, and the best attempt counts."""
    blocks = document.get("blocks")
    return {**document, "blocks": list(map(_disturbed, blocks))} if isinstance(blocks, list) else document


def _disturbed(block: Any) -> Any:
    try:
        kept = [one for one in block["violations"] if one["rule"] not in TAKEN]
        disturbances = [
            {"rule": one["rule"], "detail": one["detail"], "cpus": max(block["resources"][TAKEN[one["rule"]]], 0.0)}
            for one in block["violations"]
            if one["rule"] in TAKEN
        ]
    except (LookupError, TypeError):
        return block  # what is wrong with it is said when it becomes a block
    return {**block, "violations": kept, "disturbances": disturbances}


UPGRADES: Mapping[int, Upgrade] = {
    1: dict,  # arms, positions and layouts came, each with a default that is true of a session of one arm
    2: _tell_disturbed_from_invalid,
}
"""By the version that they start from. Whoever raises SCHEMA_VERSION adds the one from the version before, and a golden
file of that version, ``tests/data/run-v<version>.json``; run files themselves are never rewritten."""


SMALLEST = 1e-9
"""A rate, a time or a size that is positive is at least this much in its unit: logarithms of ratios stay small."""


_PATHS = [metric.source for metric in METRICS.values()]
_LATENCY = "load.latency."
_numbers = attrgetter(*(path for path in _PATHS if not path.startswith(_LATENCY)))
_latencies = attrgetter(*(path.removeprefix(_LATENCY) for path in _PATHS if path.startswith(_LATENCY)))


class _Header(msgspec.Struct):
    """What says how to read the rest; other keys are left alone."""

    schema_version: int


def decode_run(data: bytes, name: str) -> Run:
    """A run from JSON of this or any older schema version; ``name`` is what an error calls the file.

    Raises PipelineError with the key path and what was expected there, or when a newer version made the file.
    """
    try:
        return checked(_decode(data, name))
    except BROKEN as error:
        raise PipelineError(
            f"{name}: not a valid run: {error}",
            "Restore the file from where it came from, or measure again; run files are not made to be edited.",
        ) from error


def _decode(data: bytes, name: str) -> Run:
    # Nearly always it is of this version: to look at the header first would take half as long again.
    with suppress(*BROKEN):
        run = msgspec.json.decode(data, type=Run)
        if run.schema_version == SCHEMA_VERSION:
            return run
    version = msgspec.json.decode(data, type=_Header).schema_version
    if version > SCHEMA_VERSION:
        raise PipelineError(
            f"{name}: made by a newer version (schema_version {version}; this one reads up to {SCHEMA_VERSION})",
            "Update this project (git pull) and try again.",
        )
    if version == SCHEMA_VERSION:
        return msgspec.json.decode(data, type=Run)  # raises what was suppressed above
    return msgspec.convert(upgrade(msgspec.json.decode(data), UPGRADES, SCHEMA_VERSION), Run)


def checked(run: Run) -> Run:
    """The run, if what its types cannot say holds, too. Raises msgspec.ValidationError with the key path."""
    if len(set(run.profile.levels)) != len(run.profile.levels):
        raise _wrong("names a level twice", "profile.levels")
    if not _is_moment(run.started):
        raise _wrong("expected a time with its zone", "started")
    for key, commit in (("commit", run.commit), ("baseline", run.baseline)):
        if commit and commit.committed_at and not _is_moment(commit.committed_at):
            raise _wrong("expected a time with its zone", f"{key}.committed_at")
    for number, block in enumerate(run.blocks):  # a hundred times a run: what is right costs little
        if block.backend not in run.labels:
            raise _wrong(f"{block.backend!r} is not among the labels", f"blocks[{number}].backend")
        if not _is_moment(block.started):
            raise _wrong("expected a time with its zone", f"blocks[{number}].started")
        latency = _latencies(block.load.latency) if block.load.latency else ()
        for value in (*_numbers(block), *latency):
            if value and value < SMALLEST:
                raise _wrong(f"a metric of {value}: below {SMALLEST}, but not 0", f"blocks[{number}]")
    return run


def _wrong(message: str, key: str) -> msgspec.ValidationError:
    return msgspec.ValidationError(f"{message} - at `$.{key}`")


def _is_moment(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and 1970 <= moment.year < 9999


def upgrade(document: dict[str, Any], upgrades: Mapping[int, Upgrade], target: int) -> dict[str, Any]:
    """A run's decoded JSON at schema version ``target``, one step after another.

    Raises msgspec.ValidationError for a version that no step starts from.
    """
    while (version := document["schema_version"]) != target:
        if version not in upgrades:
            raise msgspec.ValidationError(f"there is no schema_version {version}")
        document = {**upgrades[version](document), "schema_version": version + 1}
    return document


def encode_run(run: Run) -> bytes:
    """Indented JSON that ends with a newline and reads back as the same run; PipelineError where it would not."""
    try:
        data = msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
        same = decode_run(data, f"run {run.id}") == run
    except UnicodeEncodeError as error:
        raise PipelineError(f"run {run.id}: contains text that is not Unicode: {error}") from error
    if not same:
        raise PipelineError(f"run {run.id}: contains a number that JSON cannot hold (NaN or infinity)")
    return data


def read_run(path: Path) -> Run:
    """The run in a file. Raises PipelineError naming the file when it is missing, unreadable, wrong or too new."""
    try:
        data = read_bytes(path)
    except OSError as error:
        hint = "Measure first: nox -s bench" if isinstance(error, FileNotFoundError) else ""
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", hint) from error
    return decode_run(data, str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises OSError, for a pipe or a device, too, which one would wait for or never end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "neither a file nor a folder")
    return path.read_bytes()


def write_run(run: Run, path: Path) -> None:
    """Write the run whole or not at all; a file that was there before stays until the new one is on the disk.

    Raises PipelineError for a run that would not read back, and when the file cannot be written.
    """
    replace(path, encode_run(run))


def replace(path: Path, data: bytes) -> None:
    """Give ``path`` this content in one step (a temporary file beside it, then rename). Raises PipelineError."""
    _write_whole(path, data, os.replace)


def create(path: Path, data: bytes) -> None:
    """As `replace`, for a file that must not exist yet; raises FileExistsError, whoever else creates it meanwhile."""
    _write_whole(path, data, os.link)


def _write_whole(path: Path, data: bytes, publish: Callable[[Path, Path], None]) -> None:
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            os.fchmod(file.fileno(), 0o644)  # the umask's usual outcome; a temporary file is private otherwise
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be written: {error.strerror}", "Check that the folder exists, is writable and has space."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
