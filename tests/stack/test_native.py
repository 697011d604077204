"""What the native stack decides before anything starts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scripts.stack.layout import lay_out

VALUES = st.dictionaries(
    st.from_regex(r"[A-Z]{1,10}", fullmatch=True).filter(lambda name: name not in ("LAYOUT", "PYTHONHASHSEED")),
    st.text("abc/", max_size=40),
    max_size=20,
)


def size(environment: dict[str, str]) -> int:
    """Bytes as execve(2) lays them on the stack."""
    return sum(len(f"{name}={value}") + 1 for name, value in environment.items())


@given(VALUES, VALUES, st.integers(0, 2**40))
def test_both_arms_of_a_round_lie_in_memory_alike(one: dict[str, str], other: dict[str, str], seed: int) -> None:
    """Whatever their folders, ports and passwords are called."""
    first, second = lay_out(one, seed), lay_out(other, seed)
    assert size(first) == size(second)
    assert first["PYTHONHASHSEED"] == second["PYTHONHASHSEED"]
    assert {name: first[name] for name in one} == one


def test_another_round_lies_otherwise() -> None:
    sizes = {size(lay_out({"A": "b"}, seed)) for seed in range(200)}
    assert len(sizes) > 100
    assert all(value % 16 == 0 for value in sizes)
    seeds = {lay_out({}, seed)["PYTHONHASHSEED"] for seed in range(200)}
    assert len(seeds) == 200
