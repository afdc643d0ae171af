"""What the kernel says of its clock, as the timekeeper weighs it."""

from random import Random

import pytest

from edge_agent.link.timekeeper import Known, Timekeeper
from edge_agent.model.anchor import Anchor
from tests.link.truth import TRUE, Truth, asked, stated


def test_the_kernel_is_asked_every_ten_seconds_at_most_and_only_for_an_anchor(truth: Truth) -> None:
    keeper = Timekeeper(truth)
    keeper.known()
    keeper.now()
    assert truth.asked == 0
    for _ in range(40):
        keeper.anchor()
        truth.go(1_000)
    assert truth.asked == 4


def test_a_synchronised_kernel_gives_an_anchor_without_any_hub(truth: Truth, keeper: Timekeeper) -> None:
    truth.error = 120
    assert keeper.anchor() == Anchor(TRUE - 5_000 - 120, TRUE - 5_000 + 120, 5_000)
    assert keeper.known() == Known(TRUE - 5_000, 120, "kernel", 5_000, 0, 0)


def test_the_kernels_word_is_sure_of_the_time_of_its_last_poll_only(truth: Truth, keeper: Timekeeper) -> None:
    truth.error, truth.told_at = 120, 4_000
    assert keeper.anchor() is None, "a pause since may have gone unseen, and nothing bounds the time before it"
    assert keeper.known() == Known(TRUE - 5_000, 121, "kernel", 5_000, 0, 0)
    truth.pause(60_000)
    truth.wall_off = -60_000
    truth.go(20_000)
    assert keeper.anchor() is None
    truth.go(20_000)
    truth.wall_off, truth.told_at = 0.0, 41_000
    for _ in range(2):  # what contradicts is believed at the second time
        anchor = keeper.anchor()
        truth.go(10_000)
    assert (anchor, keeper.steps) == (None, 1), "what was known before a step does not bound what is after it"
    truth.told_at = truth.now()
    truth.go(10_000)
    anchor = keeper.anchor()
    assert anchor is not None
    assert anchor.at == 65_000
    assert truth.holds(anchor)


def test_a_kernel_that_was_told_nothing_for_long_gives_way_to_dates_that_saw_time_go_on(truth: Truth) -> None:
    keeper, chance = Timekeeper(truth), Random(9)
    truth.error, truth.told_at = 100, 4_000
    keeper.anchor()
    truth.pause(3_600_000)
    truth.wall_off = -3_600_000
    truth.go(700_000)
    for _ in range(6):
        keeper.observe(asked(truth, chance, None))
        keeper.anchor()
        truth.go(10_000)
        assert abs((keeper.now() or 0) - truth.true) < 2_000 or not keeper.steps
    assert keeper.steps == 1, "it is not asked back what it was told before that"
    truth.wall_off, truth.told_at = 0.0, truth.now()
    truth.go(10_000)
    keeper.anchor()
    known = keeper.known()
    assert known is not None
    assert (known.source, known.steps) == ("kernel", 1)


def test_a_kernel_that_is_not_to_be_asked_is_not(truth: Truth) -> None:
    truth.error = 120
    assert Timekeeper(truth, ask_kernel=False).anchor() is None
    assert truth.asked == 0


@pytest.mark.parametrize(("away", "believed"), [(590_000, False), (601_000, True)])
def test_a_kernel_that_saw_time_go_on_is_believed_once_the_hub_was_silent_for_long(
    truth: Truth, away: int, *, believed: bool
) -> None:
    keeper = Timekeeper(truth)
    truth.error = 100
    for _ in range(3):
        keeper.observe(stated(round(truth.true), 5, truth.now(), truth.now()))
        truth.go(1000)
    truth.go(away - 20_000)
    truth.pause(3_600_000)
    for _ in range(3):
        truth.go(10_000)
        keeper.anchor()
    known = keeper.known()
    assert known is not None
    assert (known.steps, known.source) == ((1, "kernel") if believed else (0, "hub"))
    assert (abs(truth.true - (keeper.now() or 0)) < 200) is believed
    keeper.observe(stated(round(truth.true), 5, truth.now(), truth.now()))
    keeper.observe(stated(round(truth.true) + 1, 5, truth.now(), truth.now()))
    assert abs(truth.true - (keeper.now() or 0)) < 200


def test_the_kernel_is_heard_where_it_agrees_with_the_hub_and_is_in_dispute_where_not(truth: Truth) -> None:
    keeper = Timekeeper(truth)
    keeper.observe(stated(TRUE, 300, 4_990, 5_000))
    truth.error, truth.wall_off = 100, 60
    keeper.anchor()
    known = keeper.known()
    assert known is not None
    assert (known.source, known.disputes) == ("hub", 0)
    assert abs(known.offset - (TRUE - 5_000 + 60)) <= 10
    for far in (10_000, -315_360_000_000):
        truth.wall_off = far
        truth.go(10_000)
        keeper.anchor()
    after = keeper.known()
    assert after is not None
    assert (after.offset, after.disputes, after.steps) == (known.offset, 2, 0)


def test_a_kernel_that_did_not_notice_a_pause_does_not_confirm_what_the_hub_casts_doubt_on(truth: Truth) -> None:
    keeper, chance = Timekeeper(truth), Random(5)
    truth.error = 100
    for _ in range(5):
        keeper.anchor()
        keeper.observe(asked(truth, chance))
        truth.go(10_000)
    truth.pause(600_000)
    truth.wall_off = -600_000
    keeper.observe(asked(truth, chance))
    truth.go(10_000)
    keeper.anchor()
    keeper.observe(asked(truth, chance))
    assert keeper.steps == 1
    anchor = keeper.anchor()
    assert anchor is not None
    assert truth.holds(anchor)
