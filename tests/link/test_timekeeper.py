"""True time, learnt from answers and from the kernel."""

from collections.abc import Callable
from random import Random

import pytest

from edge_agent.link.timekeeper import Known, Timekeeper
from edge_agent.model.anchor import Anchor
from edge_agent.model.http import Answer
from tests.link.truth import DATE, TRUE, Truth, asked, heard, stated


def unsure(stamp: int, sent_at: int, received_at: int) -> Answer:
    """An answer of a hub that is not synchronised."""
    return heard(sent_at, received_at, edge_hub_time=f"{stamp};unsync", date=DATE)


def test_nothing_is_known_before_the_first_answer(keeper: Timekeeper) -> None:
    assert keeper.anchor() is None
    assert keeper.now() is None
    assert keeper.known() is None


def test_an_answer_bounds_true_time_by_when_it_left_and_came(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    assert keeper.now() == TRUE - 1_020 + 5_000
    assert keeper.known() == Known(TRUE - 1_020, 26, "hub", 1_040, 0, 0), "half of both, and what the axis may drift"


def test_the_first_exchange_is_no_anchor_since_a_pause_may_have_fallen_on_its_way_back(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    assert keeper.anchor() is None
    keeper.observe(stated(TRUE + 20, 5, 1_039, 1_060))
    assert keeper.anchor() is None, "it left before the first was over"
    keeper.observe(stated(TRUE + 90, 5, 1_100, 1_120))
    assert keeper.anchor() == Anchor(TRUE - 5 - 1_040 - 1, TRUE + 90 + 5 - 1_100, 1_100)


def test_a_better_answer_narrows_and_a_worse_one_does_no_harm(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE, 5, 1_000, 1_400))
    keeper.observe(stated(TRUE + 1_000, 5, 2_150, 2_160))
    first = Anchor(TRUE - 5 - 1_400, TRUE + 5 - 1_000, 1_400)
    second = Anchor(TRUE + 1_000 - 5 - 2_160, TRUE + 1_000 + 5 - 2_150, 2_160)
    assert keeper.anchor() == Anchor(first.floor(2_150), second.hi, 2_150), "a lower bound of what was before it"
    keeper.observe(stated(TRUE + 1_850, 5, 3_000, 3_020))
    best = Anchor(second.floor(3_000), TRUE + 1_850 + 5 - 3_000, 3_000)
    assert keeper.anchor() == best
    keeper.observe(stated(TRUE + 1_900, 5, 3_020, 5_000))
    assert keeper.anchor() == best
    known = keeper.known()
    assert known is not None
    assert abs(known.offset - (TRUE - 1_160)) <= 10


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"date": DATE}, Known(TRUE - 520, 1_521, "date", 1_040, 0, 0)),
        ({"date": "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT"}, None),
        ({"date": "Mon, 31 Dec 9999 23:59:59 -9959"}, None),
        ({"edge_hub_time": f"{TRUE};err=5", "age": "0"}, None),
        ({"date": DATE, "age": "3"}, None),
        ({"edge_hub_time": "soon", "date": DATE}, None),
        ({"date": "soon"}, None),
        ({"date": DATE.replace(" GMT", "")}, None),
        ({"date": DATE, "content_type": "text/HTML; charset=utf-8"}, None),
        ({"edge_hub_time": f"{2**53};err=5"}, None),
        ({"edge_hub_time": f"{TRUE};err={2**53}"}, None),
        ({"edge_hub_time": f"{2**53};unsync"}, None),
        ({}, None),
    ],
)
def test_what_stamps_say(keeper: Timekeeper, headers: dict[str, str], known: Known | None) -> None:
    keeper.observe(heard(1_000, 1_040, **headers))
    assert keeper.known() == known
    assert (keeper.now() is None) == (known is None)


def test_the_date_of_a_portal_that_redirects_says_nothing(keeper: Timekeeper) -> None:
    keeper.observe(Answer(302, {"date": DATE, "location": "http://192.0.2.1/login"}, b"", 1_000, 1_040))
    assert keeper.known() is None


def test_a_hub_that_is_not_synchronised_gives_a_guess_and_no_anchor(truth: Truth, keeper: Timekeeper) -> None:
    keeper.observe(unsure(TRUE, 1_000, 1_040))
    assert keeper.anchor() is None
    assert keeper.now() == TRUE - 1_020 + 5_000
    assert keeper.known() == Known(TRUE - 1_020, None, "guess", 1_040, steps=0, disputes=0)
    keeper.observe(unsure(TRUE + 90_000, 2_000, 2_010))
    assert keeper.now() == TRUE - 1_020 + 5_000, "one answer moves nothing here either"
    keeper.observe(unsure(TRUE + 91_000, 3_000, 3_010))
    now = keeper.now()
    assert now is not None
    assert abs(now - (TRUE + 93_000)) <= 20
    assert keeper.steps == 1
    assert truth.asked > 0


@pytest.mark.parametrize(
    ("guess", "disputes"),
    [
        (lambda stamp: {"edge_hub_time": f"{stamp};unsync"}, 0),
        (lambda _stamp: {"date": "Fri, 20 Nov 2026 18:00:00 GMT"}, 3),
    ],
)
def test_a_hub_that_lost_its_time_moves_nobody_who_knew_better(
    keeper: Timekeeper, guess: Callable[[int], dict[str, str]], disputes: int
) -> None:
    keeper.observe(stated(TRUE - 60, 5, 940, 980))
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    assert before is not None
    for at in (2_000, 3_000, 4_000):
        keeper.observe(heard(at, at + 10, **guess(TRUE + 9_000_000)))
    assert keeper.anchor() == before
    assert keeper.known() == Known(TRUE - 1_020, 27, "hub", 1_040, 0, disputes)


@pytest.mark.parametrize("lesser", [heard(1_000, 1_040, date=DATE), unsure(TRUE, 1_000, 1_040)])
def test_a_stated_time_takes_the_place_of_a_lesser_one_at_once(keeper: Timekeeper, lesser: Answer) -> None:
    keeper.observe(lesser)
    keeper.observe(stated(TRUE + 9_000_000, 5, 2_000, 2_010))
    assert keeper.known() == Known(TRUE + 9_000_000 - 2_005, 11, "hub", 2_010, 1, 0)
    keeper.observe(stated(TRUE + 9_000_100, 5, 2_100, 2_110))
    anchor = keeper.anchor()
    assert anchor == Anchor(TRUE + 9_000_000 - 5 - 2_010 - 1, TRUE + 9_000_100 + 5 - 2_100, 2_100), (
        "nothing lesser in it"
    )
    assert keeper.steps == 1


def test_what_agrees_with_a_higher_rank_is_no_step(keeper: Timekeeper) -> None:
    keeper.observe(heard(1_000, 1_040, date=DATE))
    keeper.observe(stated(TRUE + 970, 5, 2_000, 2_010))
    assert keeper.anchor() == Anchor(TRUE - 1_000 - 1_040 - 1, TRUE + 970 + 5 - 2_000, 2_000)
    known = keeper.known()
    assert known is not None
    assert (known.source, known.steps) == ("hub", 0)


def test_one_broken_answer_moves_nothing(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE - 60, 5, 940, 980))
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    keeper.observe(stated(TRUE + 77_000, 5, 2_000, 2_010))
    assert keeper.anchor() == before
    keeper.observe(stated(TRUE + 1_020, 500, 2_000, 2_040))
    keeper.observe(stated(TRUE + 78_000, 5, 3_000, 3_010))
    assert keeper.steps == 0, "the two contradictions had a good answer between them"
    assert keeper.anchor() == before


def test_a_hub_that_was_set_right_is_followed_from_its_second_answer_on(keeper: Timekeeper) -> None:
    for step in (78_000, -315_360_000_000):
        keeper.observe(stated(TRUE, 5, 1_000, 1_040))
        keeper.observe(stated(TRUE + 1_000, 5, 2_020, 2_040))
        keeper.observe(stated(TRUE + step, 5, 2_000, 2_010))
        before = keeper.steps
        keeper.observe(stated(TRUE + 1_000 + step, 5, 3_000, 3_010))
        assert keeper.steps == before + 1
        now, anchor = keeper.now(), keeper.anchor()
        assert now is not None
        assert anchor is not None
        assert abs(now - (TRUE + 3_000 + step)) <= 20
        assert anchor.error <= 11
        keeper.observe(stated(TRUE, 5, 3_980, 4_000))
        keeper.observe(stated(TRUE + 1_000, 5, 4_980, 5_000))


def test_contradictions_that_contradict_each_other_move_nothing(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE - 60, 5, 940, 980))
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    for turn in range(1, 6):
        keeper.observe(stated(TRUE + turn * 77_000, 5, 2_000, 2_010))
    assert keeper.anchor() == before
    assert keeper.steps == 0


def test_a_stamp_that_is_told_again_confirms_nothing(keeper: Timekeeper) -> None:
    keeper.observe(stated(TRUE - 60, 5, 940, 980))
    keeper.observe(stated(TRUE, 5, 1_000, 1_040))
    before = keeper.anchor()
    for at in (900_000, 900_003, 900_007):
        keeper.observe(stated(TRUE + 30_000, 5, at, at + 2))
    assert keeper.anchor() == before
    assert keeper.steps == 0


def test_a_pause_of_the_axis_is_followed_from_the_second_answer_on(truth: Truth, keeper: Timekeeper) -> None:
    chance = Random(3)
    for _ in range(10):
        keeper.observe(asked(truth, chance))
        truth.go(10_000)
    truth.pause(3_600_000)
    for _ in range(2):
        keeper.observe(asked(truth, chance))
        truth.go(1_000)
    now, anchor = keeper.now(), keeper.anchor()
    assert now is not None
    assert anchor is not None
    assert abs(now - truth.true) <= 200
    assert anchor.lo <= truth.offset <= anchor.hi
    assert keeper.steps == 1


def test_the_anchor_is_the_best_of_the_last_minute(truth: Truth, keeper: Timekeeper) -> None:
    chance, given = Random(7), list[Anchor]()
    for turn in range(60):
        keeper.observe(asked(truth, chance, least=5 if turn == 20 else 150))
        anchor = keeper.anchor()
        assert (anchor is None) == (turn == 0)
        truth.go(10_000)
        if anchor is not None:
            given.append(anchor)
            assert truth.now() - anchor.at <= 80_000
    assert all(truth.holds(anchor) for anchor in given)
    assert len(set(given)) <= 30, "it rides in several batches"


@pytest.mark.parametrize("error", [5, None])
def test_the_estimate_is_good_at_once_and_better_after_twenty_exchanges(error: int | None) -> None:
    most_first, most_later = (300, 20) if error is not None else (600, 100)
    later = list[float]()
    for seed in range(200):
        chance = Random(seed)
        truth = Truth(ppm=chance.uniform(-50, 50))
        truth.go(chance.uniform(0, 1_000))
        keeper = Timekeeper(truth)
        for turn in range(20):
            keeper.observe(asked(truth, chance, error))
            now, known = keeper.now(), keeper.known()
            assert now is not None
            assert known is not None
            assert known.error is not None
            off = abs(now - truth.true)
            assert off <= known.error + 1
            assert turn or off <= most_first
            truth.go(chance.uniform(1_000, 19_000))
        later.append(off)
    assert sorted(later)[int(0.95 * len(later))] <= most_later


def test_every_anchor_is_true_before_and_after_whatever_the_axis_did() -> None:
    wrong = list[Anchor]()
    for seed in range(80):
        chance = Random(seed)
        truth = Truth(ppm=chance.uniform(-200, 200), wall_off=chance.uniform(-90, 90))
        keeper = Timekeeper(truth)
        given = set[Anchor]()
        for turn in range(60):
            if turn == 0 or chance.random() < 0.5:
                truth.wall_off, truth.told_at = chance.uniform(-90, 90), truth.now()
            grown = (truth.now() - (truth.told_at or 0)) // 2_000 + 1
            truth.error = chance.choice((None, 100 + grown, 250 + grown))
            within = chance.choice((40.0, 400.0, 1e7)) if turn == 0 or chance.random() < 0.1 else 0.0
            keeper.observe(asked(truth, chance, chance.choice((2, 5, 50, None)), pause=within))
            anchor = keeper.anchor()
            if anchor is not None:
                given.add(anchor)
            truth.go(chance.choice((10, 1_000, 10_000, 600_000)))
            if chance.random() < 0.2:
                length = chance.choice((30, 300, 3_000, 10_000_000))
                truth.pause(length)
                truth.wall_off -= length
                truth.go(chance.uniform(0, 500))
        wrong += [anchor for anchor in given if not truth.holds(anchor)]
    assert not wrong
