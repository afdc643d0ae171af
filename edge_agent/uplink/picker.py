"""The picker: which frames go next, and why none does.

In this order, the first that there is: a frame that is at fault itself and due again, alone (`aside`); what is urgent:
reports, the newest telemetry, events and logs in one small request; the telemetry backlog, oldest first; a frame that
stepped aside while the hub took nothing. Urgent and backlog take turns while both have frames. Only what is backlog
waits for its pace and for the day's allowance; a frame aside is tried when the purse can pay for a failure.

Frames that are aside still stand first in their lanes and are read past: at most 16 of them, again with each pick.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Identity, LaneName
from edge_agent.uplink.allowance import Pace, Purse
from edge_agent.uplink.aside import Aside, Suspect
from edge_agent.uplink.daybook import Daybook
from edge_agent.uplink.load import Load
from edge_agent.uplink.portion import Portion

_LARGEST_FRAME = 2**20
"""Bytes that surely hold one more frame: the first of a request may be larger than any limit."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why nothing was picked though something is held, and the axis ms until which that holds."""

    why: str
    until: int


class Picker:
    """Fills loads from the lanes; `daybook` is None where a day has no bound."""

    def __init__(
        self,
        buffers: Mapping[LaneName, Buffer],
        portion: Portion,
        aside: Aside,
        pace: Pace,
        purse: Purse,
        daybook: Daybook | None,
    ) -> None:
        self._buffers = buffers
        self._portion = portion
        self._aside = aside
        self._pace = pace
        self._purse = purse
        self._daybook = daybook
        self._backlog_next = False

    def turn(self) -> None:
        """Something was settled: it is the other's turn."""
        self._backlog_next = not self._backlog_next

    def rest(self) -> None:
        """Nothing is held, or it failed: what comes next is urgent."""
        self._backlog_next = False

    async def pick(self, now: int) -> Load:
        """The next load; one without frames when nothing may go now, or nothing can be read."""
        load = await self._suspect(now, proven=True)
        picks = [self._urgent, self._backlog]
        for pick in reversed(picks) if self._backlog_next else picks:
            if not load.frames:
                load = await pick(now)
        return load if load.frames else await self._suspect(now, proven=False)

    def withheld(self, now: int) -> Withheld | None:
        """What is waited for, after a pick that gave nothing; None when what is held cannot be read."""
        found = [
            Withheld("what stepped aside is tried again", self._due(suspect, now)) for suspect in self._aside.by_time()
        ]
        at, why = self._backlog_at(now)
        telemetry = self._buffers.get("telemetry")
        if at > now and telemetry is not None and telemetry.depth().frames > self._aside.count("telemetry"):
            found.append(Withheld(why, at))
        return min(found, key=lambda one: one.until, default=None)

    def _due(self, suspect: Suspect, now: int) -> int:
        """Axis ms from which on a frame aside may be tried."""
        backlog_at = self._backlog_at(now)[0] if suspect.lane == "telemetry" else now
        return max(suspect.until, self._purse.holds_at(now, suspect.size), backlog_at)

    def _backlog_at(self, now: int) -> tuple[int, str]:
        """Axis ms from which on backlog may go, and what it waits for."""
        waits = [(self._pace.free_at, "the backlog keeps its pace")]
        if self._daybook is not None:
            waits.append((self._daybook.free_at(now), "the bytes of a day are used up: only what is new goes"))
        if self._aside.full:
            waits.append((self._aside.by_time()[0].until, "too many frames stepped aside"))
        return max(waits)

    async def _suspect(self, now: int, *, proven: bool) -> Load:
        """A frame aside that may be tried now; what is not found any more is forgotten."""
        for suspect in self._aside.by_time():
            if self._aside.proven(suspect.identity) == proven and self._due(suspect, now) <= now:
                load = await self._alone(suspect)
                if load.frames:
                    return load
                self._aside.forget([suspect.identity])
        return Load(0, 0)

    async def _alone(self, suspect: Suspect) -> Load:
        load = Load(self._portion.limit, 1, backlog=suspect.lane == "telemetry", suspect=True)
        frames = await self._buffers[suspect.lane].oldest(self._aside.bytes, self._aside.count(suspect.lane))
        for frame in frames:
            if frame.identity == suspect.identity:
                load.add(suspect.lane, frame)
        if not load.frames and suspect.lane == "telemetry":
            await self._add_newest(load, suspect.identity)
        return load

    async def _urgent(self, _now: int) -> Load:
        load = Load(self._portion.limit, self._portion.appetite)
        await self._add_oldest("reports", load)
        await self._add_newest(load, None)
        await self._add_oldest("events", load)
        await self._add_oldest("logs", load)
        return load

    async def _backlog(self, now: int) -> Load:
        lump = self._pace.lump
        most = self._portion.limit if lump is None else min(lump, self._portion.limit)
        load = Load(most, self._portion.appetite, backlog=True)
        if self._backlog_at(now)[0] <= now:
            await self._add_oldest("telemetry", load)
        return load

    async def _add_newest(self, load: Load, wanted: Identity | None) -> None:
        """The newest telemetry: `wanted`, or any that is not aside."""
        newest = await self._buffers["telemetry"].newest() if "telemetry" in self._buffers else None
        if newest is not None and (newest.identity == wanted if wanted else newest.identity not in self._aside):
            load.add("telemetry", newest)

    async def _add_oldest(self, lane: LaneName, load: Load) -> None:
        room_bytes, room_frames = load.room
        if lane not in self._buffers or room_bytes <= 0 or room_frames <= 0:
            return
        # What stepped aside still stands first in its lane, and must not take the others' room.
        past = self._aside.count(lane)
        if past:
            room_bytes = self._aside.bytes + max(room_bytes, 0 if load.frames else _LARGEST_FRAME)
        for frame in await self._buffers[lane].oldest(room_bytes, room_frames + past):
            if frame.identity not in self._aside and not load.add(lane, frame):
                return
