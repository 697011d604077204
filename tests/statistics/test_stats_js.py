"""site/static/stats.js computes what scripts/statistics/intervals.py computes: the same cases through both."""

import math
import random

import pytest
from playwright.sync_api import Page
from scipy import stats

from scripts.statistics.intervals import log_ratio_interval
from scripts.templates import SITE

pytestmark = pytest.mark.browser

RATIO = """([first, second, level, confidence]) => {
  const side = (levels) => new Map(levels.map(([level, rounds]) => [level, new Map(rounds)]));
  const found = benchStats.logRatioInterval(side(first), side(second), level, confidence);
  return found && { ...found, separated: benchStats.separated(found) };
}"""


@pytest.fixture(scope="module")
def page(chromium):
    """An empty page with the script in it."""
    page = chromium.new_page()
    page.add_script_tag(path=SITE / "static" / "stats.js")
    yield page
    page.close()


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99, 0.999])
def test_quantile_of_student(page: Page, confidence):
    degrees = [*range(1, 61), 99, 100, 1000, 1001, 20_000]
    got = page.evaluate("([c, ds]) => ds.map((d) => benchStats.reach(c, d))", [confidence, degrees])
    assert got == pytest.approx([stats.t.ppf(0.5 + confidence / 2, d) for d in degrees], rel=1e-9)


@pytest.mark.parametrize(("confidence", "degrees"), [(0, 5), (1, 5), (0.95, 0), (0.95, 2.5)])
def test_quantile_refuses_what_has_none(page: Page, confidence, degrees):
    said = "([c, d]) => { try { return benchStats.reach(c, d); } catch (error) { return error.name; } }"
    assert page.evaluate(said, [confidence, degrees]) == "RangeError"


@pytest.mark.parametrize("seed", range(40))
def test_interval_of_a_ratio(page: Page, seed):
    """Few rounds and many, levels that one side lacks, rounds that one side lacks, one round, none."""
    rng = random.Random(seed)

    def side() -> dict[int, dict[int, float]]:
        most = rng.choice([1, 2, 3, 6, 14])
        return {
            level: {number: rng.lognormvariate(4, 0.1) for number in range(most) if rng.random() < 0.9}
            for level in (10, 50, 100)
            if rng.random() < 0.9
        }

    first, second = side(), side()
    level, confidence = rng.choice([10, 50]), rng.choice([0.9, 0.95])
    plain = [[[level, list(rounds.items())] for level, rounds in one.items()] for one in (first, second)]
    got = page.evaluate(RATIO, [*plain, level, confidence])
    wanted = log_ratio_interval(first, second, level, confidence)
    if wanted is None:
        assert got is None
        return
    assert (got["pairs"], got["degrees"], got["separated"]) == (wanted.pairs, wanted.degrees, wanted.separated)
    assert got["ratio"] == pytest.approx(wanted.ratio, rel=1e-12)
    if wanted.low is None:
        assert (got["low"], got["high"]) == (None, None)
    else:
        assert (got["low"], got["high"]) == (
            pytest.approx(wanted.low, rel=1e-9),
            pytest.approx(wanted.high, rel=1e-9),
        )


@pytest.mark.parametrize("value", [0, -1])
def test_only_positive_values_have_a_ratio(page: Page, value):
    with pytest.raises(Exception, match="only positive, finite values have a ratio"):
        page.evaluate(RATIO, [[[10, [[0, value]]]], [[10, [[0, 1]]]], 10, 0.95])


def test_geometric_mean(page: Page):
    values = [3.0, 5.0, 8.0]
    got = page.evaluate("(values) => [benchStats.geometricMean(values), benchStats.geometricMean([])]", values)
    assert got == [pytest.approx(math.exp(sum(map(math.log, values)) / 3), rel=1e-12), None]
