"""A bad network for a while."""

import pytest

from tests.proofs.netns import ROW, prove

_LACKS = ROW.lacks()
_ALL = 5


@pytest.mark.skipif(bool(_LACKS), reason=_LACKS)
def test_a_bad_network_loses_nothing_and_doubles_nothing() -> None:
    found = prove(_ALL, rounds=3)
    assert not found.violations, "\n".join(found.violations)
