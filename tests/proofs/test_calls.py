"""Some faults in the storage calls of the agent."""

import pytest

from tests.proofs.calls import ROW, Case, prove_cases

_LACKS = ROW.lacks()


@pytest.mark.skipif(bool(_LACKS), reason=_LACKS)
def test_no_failing_storage_call_loses_a_batch_or_stops_the_agent() -> None:
    found = prove_cases(
        [
            Case("backlog", "exec", "one", "fdatasync", "EIO", 1, 4),
            Case("backlog", "exec", "kill", "unlink", "", 1, 4),
            Case("fresh", "exec", "burst", "write", "ENOSPC", 0, 5),
            Case("fresh", "exec", "short", "write", "EFBIG", 470, 1),
        ]
    )
    assert found.tried == 4
    assert not found.violations, "\n".join(found.violations)
