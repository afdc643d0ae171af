"""What one device sends takes a bounded share of the hub, whatever it sends."""

from collections.abc import Sequence
from typing import Any

import pytest

from edge_agent.hub.parcels import MOST_LOSSES
from tests.hub.deliveries import hub, report
from tests.sim.loop import run


def lost(epochs: range, ranges: Sequence[Sequence[int]] = ((0, 1),)) -> list[dict[str, Any]]:
    """A loss in each of these epochs."""
    kind = {"type": "loss", "lane": "telemetry", "reason": "quota", "ranges": ranges}
    return [{**kind, "epoch": f"{epoch:x}"} for epoch in epochs]


def test_frames_that_tell_of_very_many_losses_are_settled_in_turns() -> None:
    half = MOST_LOSSES // 4 + 1
    frames = [report(1, seq, lost(range(seq * half, (seq + 1) * half))) for seq in range(3)]

    async def scene() -> None:
        async with hub() as at:
            assert await at.results(*frames) == ["stored"] * 2
            assert await at.results(*frames[2:]) == ["stored"]
            assert await at.rows("epoch") == 3 * half

    run(scene())


@pytest.mark.parametrize(
    "said", [lost(range(MOST_LOSSES // 2 + 1)), lost(range(1), [[n, n + 1] for n in range(0, 2 * MOST_LOSSES, 2)])]
)
def test_a_frame_that_tells_of_more_losses_than_any_device_has_is_rejected(said: list[dict[str, Any]]) -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(report(1, 0, said)) == [("rejected", "bad_batch")]

    run(scene())
