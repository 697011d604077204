"""The order of a paired session's blocks: random, recorded by its seed, and balanced."""

from __future__ import annotations

from collections import Counter

from scripts.session.paired import schedule_round

BACKENDS = ("fastapi", "django_wsgi", "django_asgi")


def test_a_round_has_every_backend_and_level_as_often_as_asked() -> None:
    plan = dict(schedule_round(3, BACKENDS, (10, 50), 2, seed=7))
    assert plan.keys() == set(BACKENDS)
    for pairs in plan.values():
        assert Counter(pair.level for pair in pairs) == {10: 2, 50: 2}
        assert {pair.round for pair in pairs} == {3}


def test_the_same_seed_gives_the_same_order() -> None:
    assert list(schedule_round(1, BACKENDS, (10,), 2, 1)) == list(schedule_round(1, BACKENDS, (10,), 2, 1))
    orders = {tuple(name for name, _ in schedule_round(1, BACKENDS, (10,), 2, seed)) for seed in range(40)}
    assert len(orders) == 6, "every order of three backends occurs"


def test_the_arms_take_turns_in_being_first() -> None:
    """Exactly balanced for each backend after two rounds, whatever the number of pairs."""
    for pairs in (1, 2, 3):
        for seed in range(20):
            first: Counter[tuple[str, bool]] = Counter()
            for number in (1, 2):
                for name, planned in schedule_round(number, BACKENDS, (10,), pairs, seed):
                    first.update((name, pair.candidate_first) for pair in planned)
            assert all(first[name, True] == first[name, False] == pairs for name in BACKENDS)


def test_who_is_first_in_the_first_round_is_drawn() -> None:
    starts = {next(iter(schedule_round(1, ("fastapi",), (10,), 1, seed)))[1][0].candidate_first for seed in range(20)}
    assert starts == {True, False}
