"""Words that all share."""

import pytest

from scripts import words


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.5, "50.0%"), (0.972, "97.2%"), (0.999, "99.9%"), (0.99999, "over 99.9%"), (1.0, "over 99.9%")],
)
def test_nothing_is_sure_by_a_hundred_percent(probability: float, said: str) -> None:
    assert words.sure(probability) == said
