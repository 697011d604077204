"""Known slow-downs, made from outside a backend's code, to see whether a paired session finds them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import msgspec

from scripts.model import Limits, PipelineError, Struct
from scripts.stack import Target

Kind = Literal["none", "cpu", "quota", "statement", "sleep", "memory", "wait", "slow", "lock"]
UNITS: dict[Kind, str] = {
    "none": "the same code twice",
    "cpu": "share of a request's CPU time spent once more, in a busy loop",
    "quota": "share of the candidate's CPU quota taken away",
    "statement": "SELECTs of one row more in each request",
    "sleep": "milliseconds that each request's thread sleeps more, and with it, where it is one, the event loop",
    "memory": "MiB more allocated",
    "wait": "milliseconds that each request waits more and others can go on: awaited, or slept by its own thread",
    "slow": "milliseconds that a statement of each request takes longer in the database",
    "lock": "milliseconds that a statement of each request waits, in the mean, for a row that somebody else has locked",
}
ONE_ROW = "SELECT stock FROM products WHERE id = 1"
CALL_S = 0.2
"""So long one call of the procedure that holds a lock takes: only then the server notices that its caller has ended."""
HOOK = '''

def post_worker_init(worker):
    """Planted: see scripts/session/plant.py."""
    import asyncio, inspect, threading, time
    from benchmark import environment, workload

    cpu_s, sleep_s, wait_s, hold_s, statements = {cpu_s}, {sleep_s}, {wait_s}, {hold_s}, {statements}
    worker.planted_memory = b"x" * ({memory_mib} << 20)
    original = workload.run
    asynchronous = inspect.iscoroutinefunction(original)

    async def extra_statements():
        try:
            from tortoise import Tortoise
        except ImportError:
            from asgiref.sync import sync_to_async
            for statement in statements:
                await sync_to_async(execute)(statement)
        else:
            for statement in statements:
                await Tortoise.get_connection("default").execute_query(statement)

    def execute(statement):
        from django.db import connection
        with connection.cursor() as cursor:
            cursor.execute(statement)

    def spin():
        end = time.thread_time() + cpu_s
        while time.thread_time() < end:
            pass

    def sleep():
        if sleep_s:  # sleeping for no time at all would still give the core to the other arm
            time.sleep(sleep_s)

    async def with_waits(*arguments):
        if wait_s is not None:
            await asyncio.sleep(wait_s)
        await extra_statements()
        return await original(*arguments)

    def run(*arguments):
        sleep()
        spin()
        if asynchronous:
            # A coroutine around the original one would itself cost a percent: every wait in it passes through both.
            return with_waits(*arguments) if statements or wait_s is not None else original(*arguments)
        if wait_s:
            time.sleep(wait_s)
        for statement in statements:
            execute(statement)
        return original(*arguments)

    def hold():
        try:
            import pymysql as driver
        except ImportError:
            import MySQLdb as driver
        connection = driver.connect(
            host=environment.DATABASE_HOST,
            port=int(environment.DATABASE_PORT),
            user=environment.DATABASE_USER,
            password=environment.DATABASE_PASSWORD,
            database=environment.DATABASE_NAME,
            autocommit=True,
        )
        cursor = connection.cursor()
        cursor.execute("""
            CREATE PROCEDURE planted_hold() BEGIN
                DECLARE still INT DEFAULT {holds};
                WHILE still > 0 DO
                    START TRANSACTION;
                    SELECT stock INTO @planted FROM products WHERE id = 1 FOR UPDATE;
                    DO SLEEP({hold_s});
                    COMMIT;
                    SET still = still - 1;
                END WHILE;
            END""")
        while True:
            cursor.execute("CALL planted_hold()")

    if hold_s:
        threading.Thread(target=hold, daemon=True).start()
    workload.run = run
'''


class Planted(Struct):
    """What was done to the candidate: ``size`` in the unit of its kind (`UNITS`)."""

    kind: Kind
    size: float = 0.0

    @property
    def text(self) -> str:
        """``quota:0.02``, as on the command line."""
        return self.kind if self.kind == "none" else f"{self.kind}:{self.size:g}"


def parse(text: str) -> Planted:
    """The reverse of `Planted.text`. Raises PipelineError for what is none."""
    kind, _, size = text.partition(":")
    try:
        planted = msgspec.convert({"kind": kind, "size": float(size or 0)}, Planted)
    except (ValueError, msgspec.ValidationError):
        planted = None
    if planted is None or not _makes_sense(planted):
        kinds = "; ".join(f"{name}: {unit}" for name, unit in UNITS.items())
        raise PipelineError(f"{text!r} is no slow-down", f"write KIND:SIZE, such as quota:0.02 ({kinds})")
    return planted


def _makes_sense(planted: Planted) -> bool:
    if planted.kind == "none":
        return planted.size == 0
    return 0 < planted.size < 1 or (planted.size > 0 and planted.kind != "quota")


def control(planted: Planted) -> Planted:
    """What the baseline gets: the same change to its app, of size 0, as the change alone costs half a percent."""
    return planted if planted.kind in ("none", "quota") else Planted(kind=planted.kind)


def plant(planted: Planted, target: Target, folder: Path, cpu_ms: float | None = None) -> Target:
    """The target with the slow-down in it; where that needs a changed app, its copy is made in ``folder``.

    ``cpu_ms``: the CPU time of a request without it. A quota is felt only where it binds, so not in a duet, whose arms
    have less than half a core each.
    """
    if planted.kind == "none":
        return target
    if planted.kind == "quota":
        limits = target.limits or Limits()
        slower = msgspec.structs.replace(limits, cpus=limits.cpus * (1 - planted.size))
        return msgspec.structs.replace(target, limits=slower)
    app = folder / target.app.name
    shutil.copytree(target.app, app, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(target.app.parent / "schema.sql", folder)
    size = planted.size
    if planted.kind == "cpu":
        if cpu_ms is None:
            raise PipelineError(
                f"what a request of {target.name} costs is not known yet", "measure a session of the case none first"
            )
        size *= cpu_ms
    with (app / "gunicorn.conf.py").open("a") as config:
        config.write(HOOK.format(**_filled(planted.kind, size)))
    return msgspec.structs.replace(target, app=app)


def _filled(kind: Kind, size: float) -> dict[str, object]:
    """What `HOOK` has in its places. Who locks a row holds it for twice the mean wait, again and again."""
    size_s, hold_s = size / 1000, 2 * size / 1000 if kind == "lock" else 0.0
    statements = {
        "statement": [ONE_ROW] * int(size),
        "slow": [f"SELECT SLEEP({size_s:g})"],
        "lock": [f"{ONE_ROW} FOR UPDATE"],
    }
    return {
        "cpu_s": size_s if kind == "cpu" else 0.0,
        "sleep_s": size_s if kind == "sleep" else 0.0,
        "wait_s": size_s if kind == "wait" else None,
        "hold_s": hold_s,
        "holds": max(1, round(CALL_S / hold_s)) if hold_s else 1,
        "statements": statements.get(kind, []),
        "memory_mib": int(size) if kind == "memory" else 0,
    }
