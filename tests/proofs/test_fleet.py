"""The short form of the row: one return of each kind, from a few minutes away, watched for the first minute."""

import pytest

from tests.proofs.fleet import returned
from tests.proofs.fleet_agents import Absence


@pytest.mark.parametrize("how", ["refuses", None])
def test_a_thousand_devices_do_not_come_back_as_a_wave(how: Absence | None) -> None:
    found = returned(how, seed=1, away=100, watched=62)
    assert not found.violations
    assert found.figures["requests"] > 4_000
