"""Row `week`: a week without a hub at 1 Hz x 150 readings in a 256 MiB quota, then back, in virtual time.

The whole agent and the whole hub run in the simulation. Two loads: one that fits in full resolution, and one whose
numbers hardly compress (`noise`), of which the oldest part must be thinned. Afterwards every stored payload is read
again and held against what the source yielded, which is a function of the call's number alone:

    every gauge reading that was taken is stored, or counted in exactly one stored window
    every stored reading of a counter is what the counter showed at that instant, thinned or not
    each minute of the time away has a point
    the audit closes with nothing lost and nothing missing, and the backlog came no faster than the pace allows
"""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.model.frame import FrameKind
from edge_agent.wire.batch import Batch, parse, unzip
from tests.proofs.noise import COUNTER, NAME, count_at
from tests.proofs.row import Findings, Row, greatest, total
from tests.sim.loop import run
from tests.sim.world import WAVE, World, world

MIB = 2**20
HOUR = 3600
_WEEK = 7 * 24 * HOUR
_MOST_BODY = 64 * MIB
_MINUTE = 60_000
_KINDS = f"({int(FrameKind.TELEMETRY)}, {int(FrameKind.THINNED)})"
_PACE = 256 * 1024


@dataclass
class Ledger:
    """What the stored payloads add up to."""

    full: int = 0
    windowed: int = 0
    counters: int = 0
    thinned: int = 0
    minutes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def take(self, batch: Batch, first: int) -> None:
        """Add one payload; the source's first call was at `first`, axis ms."""
        self.thinned += batch.thins is not None
        for track in batch.tracks:
            if track.collector != NAME:
                continue
            for at in track.instants:
                self.minutes[(at - first) // _MINUTE] += 1
            for number, (series, column) in enumerate(zip(track.series, track.columns, strict=True)):
                if series.name == COUNTER:
                    self._take_counter(int(dict(series.attributes)["noise.number"]), track.instants, column, first)
                elif track.counts is None:
                    self.full += sum(value is not None for value in column)
                else:
                    self.windowed += sum(count or 0 for count in track.counts[number])

    def _take_counter(self, number: int, instants: Sequence[int], column: Sequence[float | None], first: int) -> None:
        for at, value in zip(instants, column, strict=True):
            call, rest = divmod(at - first, 1000)
            self.counters += value is not None
            if value is not None and (rest or value != count_at(number, call)) and len(self.wrong) < 10:
                self.wrong.append(f"counter {number} at {at}: {value}, and it showed {count_at(number, call)}")


def away(seconds: int, quota: int, series: int, *, rough: bool, pace: int = _PACE) -> Findings:
    """So long without a hub, then back until all is delivered."""
    return run(_away(seconds, quota, series, rough, pace))


async def _away(seconds: int, quota: int, series: int, rough: bool, pace: int) -> Findings:  # noqa: FBT001 - a load is one or the other
    sections: dict[str, Any] = {
        "spool": {"telemetry": {"max_bytes": quota}},
        "push": {"backfill_rate": pace},
        "collectors": {WAVE: {"enabled": False}, NAME: {"series": series, "rough": rough}},
    }
    async with world(1, 1, **sections) as one:
        one.line.cut()
        await one.passes(seconds)
        peak = max(buffer.depth().bytes for buffer in one.agent.buffers.values())
        waits = one.agent.buffers["telemetry"].depth().bytes
        one.line.mend()
        drained = 0
        while one.agent.buffers["telemetry"].depth().frames > 1 and drained < 20 * waits / pace + HOUR:
            await one.passes(10)
            drained += 10
        await one.stop()
        ledger = Ledger()
        (latest,) = one.agent.tally.latest()
        first = latest.at - (one.agent.tally.readings // series - 1) * 1000
        async for batch in _stored(one):
            ledger.take(batch, first)
        return await _judged(one, ledger, waits, peak, quota, pace, drained, seconds, series)


async def _judged(
    one: World, ledger: Ledger, waits: int, peak: int, quota: int, pace: int, drained: int, seconds: int, series: int
) -> Findings:
    wrong = list(ledger.wrong)
    audit = await one.audit()
    open_sums = (epoch for epoch in audit["epochs"] if epoch["missing"] or epoch["held"] or epoch["lost"])
    wrong += [f"epoch {epoch['epoch']}: {epoch}" for epoch in open_sums]
    gauges = series - -(-series // 3)
    taken = one.agent.tally.readings // series * gauges
    if ledger.full + ledger.windowed != taken:
        wrong.append(f"gauges: {ledger.full} stored, {ledger.windowed} in windows, and {taken} were taken")
    empty = [minute for minute in range(seconds // 60) if not ledger.minutes[minute]]
    if empty:
        wrong.append(f"{len(empty)} minutes without a point, the first is {empty[0]}")
    if peak > quota + MIB:
        wrong.append(f"the buffer took {peak} bytes of {quota}")
    if drained < waits / pace / 1.5:
        wrong.append(f"{waits} bytes came back in {drained} s, faster than the pace")
    figures = {
        "readings": float(one.agent.tally.readings),
        "full": float(ledger.full),
        "windowed": float(ledger.windowed),
        "thinned": float(ledger.thinned),
        "held": waits / MIB,
        "drained": float(drained),
    }
    return Findings(1, wrong, figures)


async def _stored(one: World) -> AsyncIterator[Batch]:
    """Every telemetry payload that the hub stores, one at a time."""
    last = 0
    query = (
        f"SELECT frame.id, payload FROM frame JOIN payload ON payload.frame = frame.id WHERE kind IN {_KINDS}"
        " AND frame.id > ? ORDER BY frame.id LIMIT 1"
    )
    while True:

        def look(connection: sqlite3.Connection, after: int = last) -> tuple[int, bytes] | None:
            found: tuple[int, bytes] | None = connection.execute(query, (after,)).fetchone()
            return found

        row = await one.house.hub.store.read(look)
        if row is None:
            return
        last = row[0]
        yield parse(unzip(row[1], _MOST_BODY))


def prove(part: int) -> Findings:
    """Part 0 fits in full, part 1 does not."""
    return away(_WEEK, 256 * MIB, 150, rough=part == 1)


def _tell(parts: Sequence[Findings]) -> str:
    told = []
    for name, part in zip(("fits", "does not fit"), parts, strict=True):
        figures = part.figures
        share = figures["full"] / (figures["full"] + figures["windowed"])
        told.append(
            f"{name}: {figures['readings'] / 1e6:.1f} M readings taken, {figures['held']:.0f} MiB held,"
            f" {share:.0%} of the gauges' readings in full, drained in {figures['drained'] / 60:.0f} min"
        )
    return "; ".join(told)


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    short = []
    if total(parts[:1], "windowed"):
        short.append("what fits was thinned")
    if not greatest(parts[1:], "windowed"):
        short.append("what does not fit was not thinned")
    return short


ROW = Row(
    name="week",
    promise="a week without a hub at 1 Hz x 150 readings in 256 MiB, then back (virtual time)",
    least="full resolution where it fits, thinned where not, a curve over the whole week, paced, no counter falsified",
    parts=2,
    prove=prove,
    tell=_tell,
    unmet=_unmet,
    side_by_side=2,
)
