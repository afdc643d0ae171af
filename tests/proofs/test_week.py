"""Hours without a hub, in a quota to match: what fits is kept in full, the rest is thinned, and nothing is lost."""

from tests.proofs.week import HOUR, MIB, away


def test_what_fits_comes_back_in_full() -> None:
    found = away(HOUR, 2 * MIB, 12, rough=False, pace=16 * 1024)
    assert not found.violations
    assert found.figures["windowed"] == 0


def test_what_does_not_fit_is_thinned_and_the_curve_goes_on_over_all_of_it() -> None:
    found = away(3 * HOUR, MIB, 30, rough=True, pace=16 * 1024)
    assert not found.violations
    assert 0 < found.figures["windowed"] < found.figures["full"] + found.figures["windowed"]
