"""Known slow-downs, made from outside a backend's code, to see whether a paired session finds them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import msgspec

from scripts.model import Limits, PipelineError, Struct
from scripts.stack import Target

Kind = Literal["none", "cpu", "quota", "statement", "sleep", "memory"]
UNITS: dict[Kind, str] = {
    "none": "the same code twice",
    "cpu": "share of a request's CPU time spent once more, in a busy loop",
    "quota": "share of the candidate's CPU quota taken away",
    "statement": "SELECTs of one row more in each request",
    "sleep": "milliseconds slept more in each request",
    "memory": "MiB more allocated",
}
HOOK = '''

def post_worker_init(worker):
    """Planted: see scripts/session/plant.py."""
    import inspect, time
    from benchmark import workload

    cpu_s, sleep_s, statements, memory_mib = {cpu} / 1000, {sleep} / 1000, {statement}, {memory}
    worker.planted_memory = b"x" * (memory_mib << 20)
    original = workload.run
    asynchronous = inspect.iscoroutinefunction(original)

    async def extra_statements():
        try:
            from tortoise import Tortoise
        except ImportError:
            from asgiref.sync import sync_to_async
            for _ in range(statements):
                await sync_to_async(one_statement)()
        else:
            for _ in range(statements):
                await Tortoise.get_connection("default").execute_query("SELECT stock FROM products WHERE id = 1")

    def one_statement():
        from django.db import connection
        with connection.cursor() as cursor:
            cursor.execute("SELECT stock FROM products WHERE id = 1")

    def spin():
        end = time.thread_time() + cpu_s
        while time.thread_time() < end:
            pass

    def wait():
        if sleep_s:  # sleeping for no time at all would still give the core to the other arm
            time.sleep(sleep_s)

    async def with_statements(*arguments):
        await extra_statements()
        return await original(*arguments)

    def run(*arguments):
        wait()
        spin()
        if asynchronous:
            # A coroutine around the original one would itself cost a percent: every wait in it passes through both.
            return with_statements(*arguments) if statements else original(*arguments)
        for _ in range(statements):
            one_statement()
        return original(*arguments)

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
    sizes: dict[str, float] = {"memory": 0, "statement": 0, "sleep": 0, "cpu": 0, planted.kind: size}
    sizes |= {kind: int(sizes[kind]) for kind in ("memory", "statement")}
    with (app / "gunicorn.conf.py").open("a") as config:
        config.write(HOOK.format(**sizes))
    return msgspec.structs.replace(target, app=app)
