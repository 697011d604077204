"""The work of one request to the io-intensive endpoint (apps/README.md)."""

import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgiref.sync import sync_to_async
from django.db import transaction

from benchmark import environment
from benchmark.models import User


def exchange_file() -> None:
    """Write a JSON document to a file of its own, read it back and delete it."""
    path = environment.DATA_DIR / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps({"timestamp": time.time(), "data": "x" * 1000}))
    json.loads(path.read_text())
    path.unlink()


def new_person() -> dict[str, str]:
    """A name and an e-mail address that no other row has."""
    unique = uuid.uuid4().hex
    return {"name": f"Person {unique}", "email": f"{unique}@example.com"}


@asynccontextmanager
async def atomic() -> AsyncIterator[None]:
    """Django's `transaction.atomic` for async code.

    A request's synchronous calls, those inside `asave` and `adelete` too, all run on the one thread that Django gives
    the request, so they share the connection on which the transaction was begun.
    """
    block = transaction.atomic()
    await sync_to_async(block.__enter__)()
    try:
        yield
    finally:
        await sync_to_async(block.__exit__)(*sys.exc_info())


async def run_transaction() -> tuple[int, int, int]:
    """Insert, update and delete rows in one transaction; returns how many of each."""
    async with atomic():
        users = [await User.objects.acreate(**new_person()) for _ in range(environment.ROWS_INSERTED)]
        updated = users[: environment.ROWS_UPDATED]
        for user in updated:
            user.name = f"Updated {user.name}"
            await user.asave(update_fields=["name", "updated_at"])
        rest = len(users) - environment.ROWS_DELETED
        for user in users[rest:]:
            await user.adelete()
        if rest:
            await User.objects.filter(id__in=[user.id for user in users[:rest]]).adelete()
    return len(users), len(updated), len(users)


async def run() -> dict[str, int | float]:
    """All the work of one request, one step after another; returns the answer."""
    started = time.perf_counter()
    for _ in range(environment.FILE_OPERATIONS):
        exchange_file()
    created = updated = deleted = 0
    for _ in range(environment.TRANSACTIONS):
        counts = await run_transaction()
        created, updated, deleted = created + counts[0], updated + counts[1], deleted + counts[2]
    return {
        "file_operations": environment.FILE_OPERATIONS,
        "db_operations": environment.TRANSACTIONS,
        "rows_created": created,
        "rows_updated": updated,
        "rows_deleted": deleted,
        "execution_time": time.perf_counter() - started,
        "timestamp": time.time(),
    }
