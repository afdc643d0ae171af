"""The short form of row `states`."""

import pytest

from tests.proofs.states import short


@pytest.mark.parametrize("half", [0, 1])
def test_no_crash_of_three_lives_loses_or_doubles_a_sealed_batch(half: int) -> None:
    found = short(half)
    assert not found.violations, "\n".join(found.violations)
    assert found.tried >= 50_000
