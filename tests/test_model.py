"""Which blocks figures are made of: the best attempt at each, and what was quiet before what was disturbed."""

from __future__ import annotations

import msgspec
import pytest

from scripts.model import Block, Disturbance, Run, Violation
from tests.factories import LIMITED_BY_K6, make_block, make_paired_run, make_run


def taken(cpus: float, rule: str = "foreign") -> tuple[Disturbance, ...]:
    return (Disturbance(rule=rule, detail=f"others used {cpus:.2f} CPUs (bound 0.1)", cpus=cpus),) if cpus else ()


def block(
    round: int, attempt: int, cpus: float, *, level: int = 10, backend: str = "fastapi", bad: Violation | None = None
) -> Block:
    made = make_block(backend, level, round, index=100 * level + round, attempt=attempt)
    return msgspec.structs.replace(made, disturbances=taken(cpus), violations=(bad,) if bad else ())


def single(*blocks: Block) -> Run:
    return msgspec.structs.replace(make_run(levels=(10,), labels={"fastapi": "FastAPI"}), blocks=blocks)


@pytest.mark.parametrize(
    ("attempts", "best"),
    [
        ((0.0,), 1),
        ((0.3,), 1),
        ((0.3, 0.0), 2),
        ((0.3, 0.2, 0.4), 2),
        ((0.2, 0.2), 1),
        ((None, 0.4), 2),
        ((0.4, None), 1),
        ((None, None), None),
    ],
)
def test_of_all_attempts_the_best_one_counts(attempts: tuple[float | None, ...], best: int | None) -> None:
    """None: an invalid attempt. One that was disturbed is usable, and an invalid one never is."""
    blocks = [
        block(1, number, cpus or 0.0, bad=LIMITED_BY_K6 if cpus is None else None)
        for number, cpus in enumerate(attempts, 1)
    ]
    run = single(*blocks)
    assert [found.attempt for found in run.counting] == ([best] if best else [])
    assert run.select("fastapi", 10) == run.counting
    assert run.lacking == (() if best else ("fastapi",))


@pytest.mark.parametrize(
    ("cpus", "rounds"),
    [
        ((0.0, 0.3), [1, 2]),
        ((0.3, 0.3, 0.0), [1, 2, 3]),
        ((0.0, 0.3, 0.0), [1, 3]),
        ((0.3, 0.3, 0.3), [1, 2, 3]),
    ],
)
def test_disturbed_rounds_are_used_where_quiet_ones_do_not_show_a_spread(
    cpus: tuple[float, ...], rounds: list[int]
) -> None:
    run = single(*(block(number, 1, size) for number, size in enumerate(cpus, 1)))
    assert [found.round for found in run.counting] == rounds


def test_a_round_is_left_out_for_all_backends_of_its_level_and_no_other() -> None:
    blocks = [block(number, 1, 0.0, backend=name) for number in (1, 2, 3) for name in ("fastapi", "django_wsgi")]
    blocks[0] = msgspec.structs.replace(blocks[0], disturbances=taken(0.3))
    blocks += [block(number, 1, 0.0, level=20) for number in (1, 2, 3)]
    found = single(*blocks).counting
    assert {(one.level, one.round, one.backend) for one in found if one.round == 1} == {(20, 1, "fastapi")}
    assert len(found) == 7


def test_every_disturbed_pair_counts_and_none_that_is_invalid_in_one_arm() -> None:
    run = make_paired_run(rounds=3)
    blocks = [msgspec.structs.replace(one, disturbances=taken(0.3)) for one in run.blocks]
    assert len(msgspec.structs.replace(run, blocks=tuple(blocks)).counting) == len(blocks)
    blocks[0] = msgspec.structs.replace(blocks[0], violations=(LIMITED_BY_K6,))
    assert len(msgspec.structs.replace(run, blocks=tuple(blocks)).counting) == len(blocks) - 2
    assert len(msgspec.structs.replace(run, blocks=tuple(blocks[1:])).counting) == len(blocks) - 2
