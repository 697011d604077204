"""Bencher Metric Format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.exchange.bencher import decode, encode
from scripts.exchange.collection import from_runs
from scripts.exchange.files import Origin
from scripts.model import Direction, PipelineError
from tests.exchange.strategies import names, numbers
from tests.factories import make_run

figures = st.fixed_dictionaries({"value": numbers}, optional={"lower_value": numbers, "upper_value": numbers})


@given(st.dictionaries(names, st.dictionaries(names, figures, max_size=3), max_size=3))
def test_it_comes_in_and_goes_out_the_same(document: dict[str, Any]) -> None:
    made = decode({"bmf.json": json.dumps(document).encode()}, Origin(commit="c", time_ms=7, direction=Direction.LOWER))
    assert json.loads(encode(made)["bencher.json"]) == document
    for suite in made.suites:
        assert [(s.commit, s.time_ms) for s in suite.snapshots] == [("c", 7)]
        assert all(m.direction is Direction.LOWER for m in suite.snapshots[0].measurements)


def test_the_newest_run_goes_out() -> None:
    made = from_runs([make_run(seed, levels=(10,)) for seed in (1, 2)])
    document = json.loads(encode(made)["bencher.json"])
    newest = made.suites[0].snapshots[1]
    figures = document[f"fastapi on {newest.environment}"]["throughput_rps at 10 users"]
    assert figures["value"] == newest.measurements[0].value
    assert figures["lower_value"] <= figures["value"] <= figures["upper_value"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is not an object of benchmarks"),
        ({"b": 1}, "'b' is not an object of measures"),
        ({"b": {"m": 1}}, "'m' is not {value"),
        ({"b": {"m": {}}}, "'m' is not {value"),
        ({"b": {"m": {"value": 1, "other": 2}}}, "'m' is not {value"),
        ({"b": {"m": {"value": "1"}}}, "'m': value is not a number"),
        ({"b": {"m": {"value": 1, "lower_value": None}}}, "'m': lower_value is not a number"),
    ],
)
def test_what_is_wrong_is_named(document: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=rf"bmf\.json.*{message}"):
        decode({"bmf.json": json.dumps(document).encode()}, Origin())
