"""The reporter: what the hub must be told, each report sealed at once as a frame of its own.

A report is one JSON object with a `type`; the time at which it was made (ms on the device's axis) is added as `at`. The
lane of the buffer it is given says the frame's kind, so the same class seals reports and events. There is no open
batch here: reports are few, and each must outlive a crash that follows it.
"""

from collections.abc import Mapping

from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import KIND_OF_LANE, Frame
from edge_agent.model.ports import Clock, TrueTime
from edge_agent.wire import record


class Reporter:
    """Seals reports into one lane; `resource` is what each frame says of its device: `device.id` and the labels."""

    def __init__(self, buffer: Buffer, clock: Clock, time: TrueTime, resource: Mapping[str, str]) -> None:
        self._buffer = buffer
        self._clock = clock
        self._time = time
        self._resource = resource

    async def report(self, report: Mapping[str, object]) -> bool:
        """Seal and keep a report; True once it is durable, False while only memory holds it."""
        now = self._clock.now()
        payload = record.pack(self._clock.axis, self._time.anchor(), self._resource, [{**report, "at": now}])
        # Nothing is waited for between the two: a number that was drawn and is nowhere would count as held for ever.
        frame = Frame(KIND_OF_LANE[self._buffer.lane], self._buffer.draw(), now, payload)
        return await self._buffer.append(frame)
