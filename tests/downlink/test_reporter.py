"""Each report is one frame of its lane."""

import pytest

from edge_agent.downlink.reporter import Reporter
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Identity, LaneName
from edge_agent.model.word import Outcome, OutcomeState
from edge_agent.wire.batch import unzip
from edge_agent.wire.record import parse
from tests.downlink.issuer import SetTime
from tests.sim.clock import SimClock
from tests.sim.loop import run


class Lane:
    """A buffer of which the reporter sees two methods."""

    def __init__(self, lane: LaneName, *, durable: bool) -> None:
        self.lane = lane
        self.durable = durable
        self.drawn = 0
        self.frames: list[Frame] = []

    def draw(self) -> Identity:
        self.drawn += 1
        return Identity(7, self.drawn - 1)

    async def append(self, frame: Frame) -> bool:
        self.frames.append(frame)
        return self.durable


@pytest.mark.parametrize(("name", "kind"), [("reports", FrameKind.REPORTS), ("events", FrameKind.EVENTS)])
@pytest.mark.parametrize("durable", [True, False])
def test_a_report_is_sealed_under_a_number_of_its_own(name: LaneName, kind: FrameKind, *, durable: bool) -> None:
    async def main() -> None:
        clock = SimClock()
        lane = Lane(name, durable=durable)
        reporter = Reporter(lane, clock, SetTime(clock), {"device.id": "car-3"})  # type: ignore[arg-type]
        states: tuple[OutcomeState, ...] = ("running", "done")
        for state in states:
            assert await reporter.report(Outcome("i-1", state).report()) is durable
        assert [frame.identity.seq for frame in lane.frames] == [0, 1]
        assert {frame.kind for frame in lane.frames} == {kind}
        records = parse(unzip(lane.frames[1].payload, 10_000))
        assert (records.axis, records.resource) == (clock.axis, {"device.id": "car-3"})
        assert records.anchor == Anchor(1_799_999_000_000, 1_799_999_000_000, 1_000_000)
        assert records.records[0]["state"] == "done"
        assert records.records[0]["at"] == lane.frames[1].sealed_at == 1_000_000

    run(main())
