"""Real batches for a spool, and what a lane that lends them holds: by numbers, by counters."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.ranges import Ranges, total, union
from edge_agent.model.reading import Reading, Tick
from edge_agent.spool.segment import parse_name
from edge_agent.spool.thins import MOST_BODY, thins_of
from edge_agent.wire.batch import Batch, BatchBuilder, parse, unzip
from tests.spool.site import DEVICE, Site

QUOTA = 96_000
"""Segments of 12,000 bytes: about fifteen batches."""


@dataclass
class Machine:
    """What is measured each `step` ms, `span` ms a batch: gauges that jump, and a counter that now and then resets."""

    gauges: int = 24
    step: int = 1000
    span: int = 10_000
    seed: int = 1
    counted: dict[int, float] = field(default_factory=dict)
    """Every reading of the counter by its instant, all batches together."""

    def batch(self, number: int) -> bytes:
        """The batch of the `number`-th span."""
        chance = random.Random(self.seed * 1_000_003 + number)
        builder = BatchBuilder("boot-1.0", {"device.id": DEVICE})
        count = float(chance.randrange(1000))
        for at in range(number * self.span, (number + 1) * self.span, self.step):
            count = 0.0 if chance.random() < 0.05 else count + chance.randrange(100)
            self.counted[at] = count
            readings = [
                Reading(f"heat.{gauge}", chance.randrange(2000, 9000) / 100, "Cel", digits=2)
                for gauge in range(self.gauges)
            ]
            builder.add(Tick("machine", at, (*readings, Reading("bytes", count, "By", kind="counter"))))
        return builder.pack(None, {})

    def seal(self, buffer: Buffer) -> Frame:
        """The batch of a lane's next number."""
        identity = buffer.draw()
        return Frame(FrameKind.TELEMETRY, identity, identity.seq * self.span, self.batch(identity.seq))


async def feed(buffer: Buffer, machine: Machine, batches: int) -> list[Frame]:
    """So many batches, appended; all must be durable."""
    frames = [machine.seal(buffer) for _ in range(batches)]
    for frame in frames:
        assert await buffer.append(frame)
    return frames


def numbers_of(frame: Frame) -> tuple[int, Ranges]:
    """The epoch and the numbers that a frame stands for."""
    said = thins_of(frame)
    epoch, seq = frame.identity
    return (epoch, ((seq, seq + 1),)) if said is None else (said.epoch, said.ranges)


def stood_for(frames: Iterable[Frame]) -> set[Identity]:
    """The numbers that frames stand for together; none may have two."""
    numbers: dict[int, list[Ranges]] = {}
    for frame in frames:
        epoch, ranges = numbers_of(frame)
        numbers.setdefault(epoch, []).append(ranges)
    for ranges_of_epoch in numbers.values():
        assert total(union(*ranges_of_epoch)) == sum(map(total, ranges_of_epoch)), "a number is there twice"
    return {
        Identity(epoch, number)
        for epoch, sets in numbers.items()
        for ranges in sets
        for pair in ranges
        for number in range(*pair)
    }


def claimed(buffer: Buffer) -> set[Identity]:
    """The numbers that the inventory claims."""
    return {
        Identity(holding.epoch, number)
        for holding in buffer.inventory()
        for pair in holding.held
        for number in range(*pair)
    }


def opened(frame: Frame) -> Batch:
    """What a frame says."""
    return parse(unzip(frame.payload, MOST_BODY))


def counters(frames: Iterable[Frame]) -> list[tuple[int, float]]:
    """Every reading of the counter that frames have, by instant."""
    found = []
    for frame in frames:
        for track in opened(frame).tracks:
            for series, column in zip(track.series, track.columns, strict=True):
                if series.kind == "counter":
                    found += [
                        (at, value) for at, value in zip(track.instants, column, strict=True) if value is not None
                    ]
    return sorted(found)


def windows(site: Site) -> list[int]:
    """The windows of the segments on disk, oldest first, in s."""
    names = [parse_name(path.name) for path in site.segments()]
    return [name.window // 1000 for name in names if name is not None]


async def thinned_once(site: Site) -> list[Frame]:
    """A lane in which the oldest segment was thinned by an earlier life; what was sealed."""
    frames: list[Frame] = []
    async with site.opened() as (spool, _lamps):
        while 10 not in windows(site):
            frames += await feed(spool.lane("telemetry"), Machine(), 1)
    return frames
