"""A disk that is full for a while, under the agent and under the hub."""

import pytest

from tests.proofs.fulldisk import ROW, prove

_LACKS = ROW.lacks()


@pytest.mark.skipif(bool(_LACKS), reason=_LACKS)
@pytest.mark.parametrize("part", [0, 6])
def test_a_full_disk_stops_nothing_and_loses_nothing(part: int) -> None:
    found = prove(part, rounds=1)
    assert not found.violations, "\n".join(found.violations)
