"""What the environment says; the same file in every backend."""

import os
import sys
from pathlib import Path


def text(name: str) -> str:
    if not (value := os.environ.get(name)):
        sys.exit(f"environment variable {name} is not set; apps/README.md says what it is for")
    return value


def integer(name: str, default: int | None = None, highest: int | None = None) -> int:
    value = text(name) if default is None else os.environ.get(name, str(default))
    if not value.isdecimal() or (highest is not None and int(value) > highest):
        bound = "" if highest is None else f" of at most {highest}"
        sys.exit(f"environment variable {name}={value!r} is not a whole number{bound}")
    return int(value)


def writable_folder(name: str) -> Path:
    folder = Path(text(name))
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        sys.exit(f"environment variable {name}={str(folder)!r} is not a folder that can be written to")
    return folder


DATABASE_HOST = text("DATABASE_HOST")
DATABASE_PORT = integer("DATABASE_PORT")
DATABASE_USER = text("DATABASE_USER")
DATABASE_PASSWORD = text("DATABASE_PASSWORD")
DATABASE_NAME = text("DATABASE_NAME")
DATA_DIR = writable_folder("DATA_DIR")

FILE_OPERATIONS = integer("WORKLOAD_FILE_OPERATIONS", 2)
TRANSACTIONS = integer("WORKLOAD_TRANSACTIONS", 8)
ROWS_INSERTED = integer("WORKLOAD_ROWS_INSERTED", 10)
ROWS_UPDATED = integer("WORKLOAD_ROWS_UPDATED", 5, highest=ROWS_INSERTED)
ROWS_DELETED = integer("WORKLOAD_ROWS_DELETED", 5, highest=ROWS_INSERTED)
