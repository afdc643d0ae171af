"""The short form of row `bugs`, which is the whole of it."""

from tests.proofs.bugs import BUGS, tried


def test_each_seeded_bug_is_caught_and_the_product_is_not_accused() -> None:
    found = tried(BUGS)
    assert not found.violations, "\n".join(found.violations)
    assert found.figures["caught"] == len(BUGS) >= 14
