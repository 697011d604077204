"""Each rule finds its fault, and only its fault."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scripts import config
from scripts.model import Latency, Load, Resources
from scripts.session.validity import DISTURBING, PASSING, RULES, disturbances, judge

BOUNDS = config.load().validity
LATENCY = Latency(mean_ms=200.0, p50_ms=200, p90_ms=210, p95_ms=220, p99_ms=250, max_ms=300)
LOAD = Load(
    settle_s=1, window_s=10, load_s=11.2, requests=560, failed=0, failures={}, window_requests=500,
    throughput_rps=50.0, concurrency=10.0, latency=LATENCY,
)  # fmt: skip
RESOURCES = Resources(
    wall_s=11.3, cpu_s=11, cpu_ms_per_request=19.6, throttled_s=0, peak_memory_mb=80, mean_memory_mb=70,
    database_cpu_s=5, database_cpu_ms_per_request=9, generator_cpus=0.02, steal_cpus=0, foreign_cpus=0.01,
)  # fmt: skip


def rules(load: dict[str, Any], resources: dict[str, Any], **other: Any) -> dict[str, bool]:
    """Rule -> whether it may pass."""
    facts: dict[str, Any] = {
        "wrong_answers": 0,
        "dropped_iterations": 0,
        "missing_limits": (),
        "other_cpus": 1,
        "clock_error_s": 0.0,
    } | other
    changed = msgspec.structs.replace(LOAD, **load), msgspec.structs.replace(RESOURCES, **resources)
    found = judge(BOUNDS, level=10, load=changed[0], resources=changed[1], **facts)
    assert all(violation.detail for violation in found)
    return {violation.rule: violation.passing for violation in found}


def test_a_good_block_is_valid() -> None:
    assert rules({}, {}) == {}


@pytest.mark.parametrize(
    ("load", "resources", "other", "expected"),
    [
        ({"failed": 2, "failures": {"HTTP 500": 2}}, {}, {}, {"failed": False}),
        ({}, {}, {"wrong_answers": 1}, {"wrong": False}),
        ({}, {}, {"dropped_iterations": 3}, {"dropped": True}),
        ({"latency": None}, {}, {}, {"empty": False}),
        ({"throughput_rps": 47.0}, {}, {}, {"concurrency": True}),
        ({"throughput_rps": 53.0}, {}, {}, {"concurrency": True}),
        ({"throughput_rps": 48.0}, {}, {}, {}),
        ({}, {"generator_cpus": 0.9}, {"other_cpus": 3}, {"generator": False}),
        ({}, {"foreign_cpus": 0.2, "steal_cpus": 0.2}, {}, {}),
        ({}, {}, {"missing_limits": ("limits are None",)}, {"limits": False}),
        ({}, {"database_cpu_s": 11.2}, {}, {"shared": False}),
        ({}, {"database_cpu_s": 11.2}, {"other_cpus": 2}, {}),
        ({}, {}, {"clock_error_s": 0.14}, {"clock": True}),
        ({}, {}, {"clock_error_s": -0.011}, {"clock": True}),
        ({}, {}, {"clock_error_s": 0.009}, {}),
        ({"window_s": 3}, {}, {"clock_error_s": 0.009}, {"clock": True}),
    ],
)
def test_each_fault_is_found(
    load: dict[str, Any], resources: dict[str, Any], other: dict[str, Any], expected: dict[str, bool]
) -> None:
    assert rules(load, resources, **other) == expected
    assert expected.keys() <= RULES.keys()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"foreign_cpus": BOUNDS.foreign_cpus, "steal_cpus": BOUNDS.steal_cpus}, {}),
        ({"foreign_cpus": 0.2}, {"foreign": 0.2}),
        ({"steal_cpus": 0.3}, {"steal": 0.3}),
        ({"foreign_cpus": 1.4, "steal_cpus": 0.11}, {"foreign": 1.4, "steal": 0.11}),
    ],
)
def test_what_others_took_disturbs_and_makes_nothing_invalid(
    resources: dict[str, float], expected: dict[str, float]
) -> None:
    found = disturbances(BOUNDS, msgspec.structs.replace(RESOURCES, **resources))
    assert {one.rule: one.cpus for one in found} == expected
    assert all(f"{one.cpus:.2f} CPUs (bound " in one.detail for one in found)
    assert expected.keys() <= DISTURBING.keys()
    assert rules({}, resources) == {}


def test_a_rule_is_of_one_kind() -> None:
    assert not RULES.keys() & DISTURBING.keys()
    assert RULES.keys() >= set(PASSING)
