"""True time, learnt from answers."""

from collections.abc import Callable

import pytest

from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.anchor import Anchor
from edge_agent.model.http import Answer
from tests.sim.clock import SimClock
from tests.sim.loop import VirtualLoop

TRUE = 1_795_164_155_000
DATE = "Fri, 20 Nov 2026 08:42:35 GMT"


@pytest.fixture(name="keeper")
def _keeper() -> Timekeeper:
    loop = VirtualLoop()
    keeper = Timekeeper(SimClock(loop, start=5_000))
    loop.close()
    return keeper


def heard(sent_at: int, received_at: int, **headers: str) -> Answer:
    """An answer with these headers."""
    return Answer(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"", sent_at, received_at)


def stated(stamp: int, error: int, sent_at: int, received_at: int) -> Answer:
    """An answer of a hub that states its error."""
    return heard(sent_at, received_at, edge_hub_time=f"{stamp};err={error}", date=DATE)


def test_nothing_is_known_before_the_first_answer(keeper: Timekeeper) -> None:
    assert keeper.anchor() is None
    assert keeper.now() is None


def test_an_answer_bounds_true_time_by_when_it_left_and_came(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    assert keeper.anchor() == Anchor(TRUE - 5 - 1_040, TRUE + 5 - 1_000, 1_040)
    assert keeper.now() == TRUE - 1_020 + 5_000


def test_a_better_answer_narrows_and_a_worse_one_does_no_harm(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_400))
    keeper.observe(stated(TRUE + 1_000, 5, 2_150, 2_160))
    best = Anchor(TRUE + 1_000 - 5 - 2_160, TRUE + 1_000 + 5 - 2_150, 2_160)
    assert keeper.anchor() == best
    keeper.observe(stated(TRUE + 1_000, 5, 1_160, 3_160))
    assert keeper.anchor() == best.widened(3_160)


@pytest.mark.parametrize(
    ("headers", "anchor"),
    [
        ({"date": DATE}, Anchor(TRUE - 1_000 - 1_040, TRUE + 2_000 - 1_000, 1_040)),
        ({"edge_hub_time": f"{TRUE};unsync", "date": DATE}, Anchor(TRUE - 1_000 - 1_040, TRUE + 1_000 - 1_000, 1_040)),
        ({"date": "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT"}, None),
        ({"date": "Mon, 31 Dec 9999 23:59:59 -9959"}, None),
        ({"edge_hub_time": f"{TRUE};err=5", "age": "0"}, None),
        ({"date": DATE, "age": "3"}, None),
        ({"edge_hub_time": "soon", "date": DATE}, None),
        ({"date": "soon"}, None),
        ({"date": DATE.replace(" GMT", "")}, None),
        ({}, None),
    ],
)
def test_what_stamps_say(keeper: Timekeeper, headers: dict[str, str], anchor: Anchor | None) -> None:
    keeper.observe(heard(1_000, 1_040, **headers))
    assert keeper.anchor() == anchor


@pytest.mark.parametrize(
    "guess",
    [
        lambda stamp: {"edge_hub_time": f"{stamp};unsync"},
        lambda _stamp: {"date": "Fri, 20 Nov 2026 18:00:00 GMT"},
    ],
)
def test_a_hub_that_lost_its_time_moves_nobody_who_knew_better(
    keeper: Timekeeper, guess: Callable[[int], dict[str, str]]
) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    for at in (2_000, 3_000, 4_000):
        keeper.observe(heard(at, at + 10, **guess(TRUE + 9_000_000)))
    assert keeper.anchor() == before
    assert keeper.steps == 0


def test_a_stated_time_takes_the_place_of_a_guess_at_once(keeper: Timekeeper) -> None:
    keeper.observe(heard(1_000, 1_040, date=DATE))
    keeper.observe(stated(TRUE + 9_000_000, 5, 2_000, 2_010))
    assert keeper.anchor() == Anchor(TRUE + 9_000_000 - 5 - 2_010, TRUE + 9_000_000 + 5 - 2_000, 2_010)
    assert keeper.steps == 0


def test_one_broken_answer_moves_nothing(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    assert before is not None
    keeper.observe(stated(TRUE + 77_000, 5, 2_000, 2_010))
    assert keeper.anchor() == before
    keeper.observe(stated(TRUE + 1_020, 500, 2_000, 2_040))
    keeper.observe(stated(TRUE + 77_000, 5, 3_000, 3_010))
    assert keeper.steps == 0, "the two contradictions had a good answer between them"
    assert keeper.anchor() == before.widened(2_040)


def test_a_hub_that_was_set_right_is_followed_from_its_second_answer_on(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    keeper.observe(stated(TRUE + 78_000, 5, 2_000, 2_010))
    keeper.observe(stated(TRUE + 79_000, 5, 3_000, 3_010))
    assert keeper.steps == 1
    now = keeper.now()
    assert now is not None
    assert abs(now - (TRUE + 81_000)) <= 20


def test_contradictions_that_contradict_each_other_move_nothing(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    for turn in range(1, 6):
        keeper.observe(stated(TRUE + turn * 77_000, 5, 2_000, 2_010))
    assert keeper.anchor() == before
    assert keeper.steps == 0
