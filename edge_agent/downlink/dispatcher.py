"""The dispatcher: runs what the hub may ask for, each instruction at most once, off the stream's reader.

    hear    opens an envelope and judges it (`admission`), at once; what may run is queued, and answered `received`
    run     takes from the queue, one at a time: judges its time again, syncs `taken`, runs the handler within its
            limit, records the outcome, reports it

Before the first anchor nothing is judged by time: what was heard waits. A hub that is not sure of its own time gives
no anchor; its guess, taken as within a second, has to do while there is nothing better. That one came is seen with the
next word, or by looking: every second until the ledger has its birth, since what is issued before that is refused,
every five seconds while a word or an untold end waits, and not at all while nothing does.

The ledger's floor follows the hub's time at most one day past what this device knows by itself: its wall clock, or the
last floor and the time since this life began. So a hub whose clock is years ahead locks nobody out for years. A device
without a clock of its own that was off for long has an older floor for that, and keeps its ids longer; nothing runs
twice. Not handled: at a first start there is nothing to compare with, and such a hub sets floor and birth.

A ledger that the disk does not take is tried again every ten seconds, and with each instruction: that one is refused
while it does not work.

Every end is one report with a stable code:

    refused   the codes of `admission`, and busy, id_taken, ledger_full, ledger_unwritable
    expired   expired
    failed    timeout, device_error, handler_error, bad_result
    done      result_too_large when its result is left out
    unknown   interrupted: an earlier life ended while it ran, and nobody knows how far it came

An id that is in hand is not answered again; one that ended is answered with the same outcome again, since whoever asks
again has not heard it; the same id on another body is refused. What cannot be verified is counted, lit, and told
at most once an hour: it may be anybody's, and its ids prove nothing.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import anyio
import orjson

from edge_agent.downlink.admission import Ability, Admitted, Gate, TrustedKey, ended, refused, stale
from edge_agent.downlink.ledger import Entry, Ledger
from edge_agent.model.anchor import Anchor
from edge_agent.model.buffers import Reports
from edge_agent.model.failure import EdgeError, Malformed
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock, TrueTime
from edge_agent.model.quantity import Interval
from edge_agent.model.word import Outcome, Signed

__all__ = ["Ability", "Dispatcher", "Options", "TrustedKey"]

LAMP = "instructions"

_LOOK = 5.0
_LOOK_UNBORN = 1.0
_TRY_AGAIN = 10.0
_DAY_MS = 86_400_000
_UNVERIFIED_EVERY_MS = 3_600_000
_REPEAT_EVERY_MS = 600_000
_MOST_REMEMBERED = 256
_GUESSED_ERROR = 1000
_MOST_RESULT = 32 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How long one handler may take, and how many instructions may be in hand."""

    limit: Interval = 60.0
    most: int = 32


class Dispatcher:
    """Judges, runs and answers instructions; part `instructions` on the board of lamps."""

    def __init__(
        self,
        options: Options,
        device: str,
        keys: Mapping[str, TrustedKey],
        handlers: Mapping[str, Ability],
        ledger: Ledger,
        reports: Reports,
        clock: Clock,
        time: TrueTime,
        lamps: Lamps,
    ) -> None:
        self._options = options
        self._gate = Gate(device, keys, handlers)
        self._ledger = ledger
        self._reports = reports
        self._clock = clock
        self._time = time
        self._lamps = lamps
        self._begun = False
        self._heard = asyncio.Event()
        self._since = 0
        self._began_at = 0
        self._floor = 0
        self._early: deque[Admitted] = deque()
        self._queue: asyncio.Queue[Admitted] = asyncio.Queue()
        self._in_hand: dict[str, str] = {}
        self._answered: dict[tuple[str, str | None], int] = {}
        self._unverified = 0
        self._unverified_told: int | None = None

    async def hear(self, signed: Signed) -> None:
        """Judge an envelope whose purpose is `instruction`; returns before it runs."""
        try:
            found = self._gate.admit(signed.envelope)
        except Malformed as wrong:
            await self._count_unverified(wrong)
            return
        if isinstance(found, Outcome):
            await self._answer(found)
            return
        key = found.instruction.id
        digest = self._in_hand.get(key)
        if digest is not None:
            if digest != found.digest:
                await self._answer(_id_taken(key))
        elif len(self._in_hand) >= self._options.most:
            await self._answer(refused(key, "busy", f"{self._options.most} instructions are in hand"))
        else:
            self._in_hand[key] = found.digest
            if self._begun:
                await self._judge(found)
            else:
                self._early.append(found)
                self._heard.set()

    async def run(self) -> NoReturn:
        """Open the ledger, tell what an earlier life left untold, then run what is heard."""
        self._since = self._clock.now()
        try:
            await self._ledger.open()
            await self._begin()
            while True:
                found = None
                with anyio.move_on_after(_TRY_AGAIN if self._ledger.stale else None):
                    found = await self._queue.get()
                if found is None:
                    await self._begin_ledger()
                else:
                    await self._carry_out(found)
                    del self._in_hand[found.instruction.id]
        finally:
            await self._ledger.close()

    async def _begin(self) -> None:
        anchor = await self._anchor()
        self._floor = self._ledger.floor or self._since + anchor.widened(self._since).lo
        self._began_at = self._since + anchor.widened(self._since).hi
        await self._begin_ledger()
        for entry in self._ledger.entries():
            if entry.outcome is None:
                await self._end(ended(entry.id, "unknown", "interrupted", "the agent ended while it ran"))
            elif not entry.told:
                await self._tell(entry.outcome)
        while self._early:
            await self._judge(self._early.popleft())
        self._begun = True

    async def _begin_ledger(self) -> None:
        """Have all that is known on disk; the lamp says whether that worked."""
        earliest, _latest = await self._bounds()
        try:
            await self._ledger.begin(self._past(earliest), self._began_at)
        except OSError as error:
            self._unwritable(error)
        else:
            self._lamps.light(LAMP, "ok")

    async def _bounds(self) -> tuple[int, int]:
        """Between what two times (Unix ms) true time surely lies."""
        anchor, now, floor = await self._anchor(), self._clock.now(), self._ledger.floor
        bounds = anchor.widened(now)
        return max(now + bounds.lo, floor), max(now + bounds.hi, floor)

    async def _anchor(self) -> Anchor:
        """What is known about true time; waits for the first anchor."""
        while (anchor := self._time.anchor() or self._guess()) is None:
            waits = bool(self._early) or self._ledger.untold
            again = _LOOK_UNBORN if not self._ledger.born else _LOOK if waits else None
            self._lamps.light(LAMP, "ok", "" if again is None else "waits for true time")
            self._heard.clear()
            with anyio.move_on_after(again):
                await self._heard.wait()
        return anchor

    def _guess(self) -> Anchor | None:
        """What is guessed of true time while nobody vouches for it."""
        guessed, now = self._time.now(), self._clock.now()
        return None if guessed is None else Anchor(guessed - now - _GUESSED_ERROR, guessed - now + _GUESSED_ERROR, now)

    def _past(self, earliest: int) -> int:
        """What is surely past (Unix ms), though the hub be years ahead."""
        return min(earliest, max(self._clock.wall(), self._floor + self._clock.now() - self._since) + _DAY_MS)

    async def _judge(self, found: Admitted) -> None:
        """Queue it, or answer why not."""
        key = found.instruction.id
        entry = self._ledger.find(key)
        if entry is None:
            outcome = stale(found.instruction, *await self._bounds(), self._ledger.birth)
        else:
            outcome = entry.outcome if entry.digest == found.digest else _id_taken(key)
        if entry is None and outcome is None:
            await self._reports.report(Outcome(key, "received").report())
            self._queue.put_nowait(found)
            return
        del self._in_hand[key]
        if outcome is not None:
            await self._answer(outcome)

    async def _carry_out(self, found: Admitted) -> None:
        earliest, latest = await self._bounds()
        outcome = stale(found.instruction, earliest, latest, self._ledger.birth)
        if outcome is None:
            outcome = await self._take(found, self._past(earliest))
        if outcome is not None:
            await self._answer(outcome)
            return
        await self._reports.report(Outcome(found.instruction.id, "running").report())
        await self._end(await self._handled(found))

    async def _take(self, found: Admitted, earliest: int) -> Outcome | None:
        """Why it cannot be recorded, and so must not run; None once it is on disk."""
        asked = found.instruction
        if self._ledger.full:
            return refused(asked.id, "ledger_full", "too many instructions are kept until they expire")
        try:
            await self._ledger.take(Entry(asked.id, found.digest, asked.expires_at), earliest)
        except OSError as error:
            self._unwritable(error)
            return refused(asked.id, "ledger_unwritable", f"cannot record it before running it: {error}")
        self._lamps.light(LAMP, "ok")
        return None

    async def _handled(self, found: Admitted) -> Outcome:
        key = found.instruction.id
        with anyio.move_on_after(self._options.limit):
            try:
                result = await found.handle(found.args)
            except EdgeError as error:
                return ended(key, "failed", "device_error", f"{error} {error.hint}".strip())
            except Exception as error:  # fault line: one handler  # noqa: BLE001 - it may raise anything
                return ended(key, "failed", "handler_error", f"{type(error).__name__}: {error}")
            return _done(key, result)
        return ended(key, "failed", "timeout", f"not done within {self._options.limit:g} s")

    async def _end(self, outcome: Outcome) -> None:
        """Record first, then tell: a crash between repeats the report, and never the instruction."""
        try:
            await self._ledger.finish(outcome)
        except OSError as error:
            self._unwritable(error)
        await self._tell(outcome)

    async def _tell(self, outcome: Outcome) -> None:
        if await self._reports.report(outcome.report()):
            with suppress(OSError):
                await self._ledger.tell(outcome.instruction)

    async def _answer(self, outcome: Outcome) -> None:
        """Report what was decided here, but the same thing about the same id once in ten minutes."""
        now, key = self._clock.now(), (outcome.instruction, outcome.code)
        last = self._answered.get(key)
        if last is not None and now - last < _REPEAT_EVERY_MS:
            return
        if len(self._answered) >= _MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = now
        await self._reports.report(outcome.report())

    async def _count_unverified(self, wrong: Malformed) -> None:
        self._unverified += 1
        self._lamps.light(LAMP, "warn", f"{self._unverified} envelopes could not be verified, the last: {wrong.code}")
        now, told = self._clock.now(), self._unverified_told
        if told is None or now - told >= _UNVERIFIED_EVERY_MS:
            self._unverified_told = now
            await self._reports.report({"type": "unverified", "count": self._unverified, "code": wrong.code})

    def _unwritable(self, error: OSError) -> None:
        self._lamps.light(LAMP, "fail", f"the ledger cannot be written, so nothing runs: {error}")


def _id_taken(instruction: str) -> Outcome:
    return refused(instruction, "id_taken", "another instruction of this id was taken before")


def _done(instruction: str, result: Mapping[str, Any]) -> Outcome:
    """What a handler gave back, when it is JSON of a fair size."""
    try:
        # As deep as it will lie in a report: there is a limit to that.
        size = len(orjson.dumps({"records": [{"result": result}]}))
    except TypeError as error:
        return ended(instruction, "failed", "bad_result", str(error))
    if size > _MOST_RESULT:
        return ended(instruction, "done", "result_too_large", f"its result of {size} bytes is not sent")
    return Outcome(instruction, "done", result=result)
