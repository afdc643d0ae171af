r"""The ledger: which instructions were taken, so that each runs at most once over any crash.

    folder/base        replaced as a whole: {"birth":ms,"floor":ms,"entries":n,"through":n}, then one line an entry
    folder/<n>.log     appended since: one line an entry, as it is from then on, and the floor; the base holds what the
                       logs up to number `through` said, and one of those that stays behind is not read again

Every line is `<crc32 of the JSON, 8 hex digits> <JSON>\n`. An entry is `{"id","digest","expires_at","outcome","told"}`,
where the later line of one id counts: taken (outcome null), finished, told (the hub's report is durable).

Invariants
    - An id is synced to disk before its handler starts, and kept until true time is surely past its expiry and its end
      was told.
    - The floor is a time that is surely past; it rises only, so true time never runs back over a restart.
    - What was issued before `birth` is not known here. A first start, a missing base, and any damage but a torn last
      line of a log (which was never synced, so nothing ran for it) give a new birth: the true time at which this life
      began, since what is issued later no earlier life can have run. What could be read still counts.
    - After a failed write the file is not used again: the next write replaces the base, with all that is known. So it
      goes when the folder went under a running agent, which is seen at the next write; the folder is made again then.

It does not notice a log that was cut at the end of a line by somebody else, nor a whole folder put back from a copy.
Calls that write come one at a time, from the dispatcher.
"""

import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import orjson

from edge_agent.model.ports import Disk, Offload, OpenFile, Worker
from edge_agent.model.ports import Entry as Listed
from edge_agent.model.word import Outcome, OutcomeState

MOST_ENTRIES = 20_000
_MOST_LOG_LINES = 1024
_MOST_RESULT = 2048
_CLOSE_WITHIN = 2.0
_LOG = re.compile(r"([0-9]{1,12})\.log")
_FINAL: dict[str, OutcomeState] = {"done": "done", "failed": "failed", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An instruction that was taken. Without an outcome it is running, or a crash cut it off."""

    id: str
    digest: str
    expires_at: int
    outcome: Outcome | None = None
    told: bool = False


class Ledger:
    """What ran here; see the module for the files. `birth` and `floor` are Unix ms."""

    def __init__(self, folder: Path, disk: Disk, offload: Offload) -> None:
        self._folder = folder
        self._disk = disk
        self._offload = offload
        self._worker: Worker
        self._entries: dict[str, Entry] = {}
        self._birth: int | None = None
        self._floor = 0
        self._sound = False
        self._number = 0
        self._file: OpenFile | None = None
        self._lines = 0
        self._stale = True

    @property
    def birth(self) -> int:
        """What was issued before is not known here; known once the ledger has begun."""
        assert self._birth is not None, "begin() comes first"
        return self._birth

    @property
    def floor(self) -> int:
        """A time that is surely past."""
        return self._floor

    @property
    def full(self) -> bool:
        """No further id can be kept before some expire."""
        return len(self._entries) >= MOST_ENTRIES

    @property
    def born(self) -> bool:
        """What is on disk was whole, and has a birth."""
        return self._sound

    @property
    def stale(self) -> bool:
        """Memory knows what the disk does not: a write failed."""
        return self._stale

    @property
    def untold(self) -> bool:
        """There is an entry whose end the hub was not told yet."""
        return any(not entry.told for entry in self._entries.values())

    def find(self, instruction: str) -> Entry | None:
        """The entry of an id that was taken and is still kept."""
        return self._entries.get(instruction)

    def entries(self) -> tuple[Entry, ...]:
        """All of them, in the order in which they were taken."""
        return tuple(self._entries.values())

    async def open(self) -> None:
        """Read what an earlier life wrote; no content of the folder can make it fail."""
        self._worker = self._offload.worker("ledger")
        await self._worker.run(self._load)

    async def begin(self, earliest: int, began: int) -> None:
        """Settle the birth, forget what expired. Unix ms: what is surely past, and when this life had surely begun.

        OSError when this could not be written: the ledger stands in memory, each write tries again, and so may `begin`.
        """
        if not self._sound:
            self._birth = max(began, self._birth or 0)
        self._advance(earliest)
        if self._stale:
            await self._rewrite()

    async def take(self, entry: Entry, earliest: int) -> None:
        """Record that this is about to run; returns once it is synced, else OSError, and then it must not run."""
        self._advance(earliest)
        self._entries[entry.id] = entry
        try:
            await self._write(entry)
        except OSError:
            del self._entries[entry.id]
            raise

    async def finish(self, outcome: Outcome) -> None:
        """Record how it ended; OSError when only memory knows."""
        entry = replace(self._entries[outcome.instruction], outcome=_bounded(outcome))
        self._entries[entry.id] = entry
        await self._write(entry)

    async def tell(self, instruction: str) -> None:
        """Record that the hub will hear of it; losing this line costs one repeated report, so it is not synced."""
        entry = replace(self._entries[instruction], told=True)
        self._entries[entry.id] = entry
        await self._write(entry, sync=False)

    async def close(self) -> None:
        """Let go of the open file, once the call that may still run there is over, and of the thread."""
        with anyio.move_on_after(_CLOSE_WITHIN, shield=True):
            await self._worker.run(self._let_go)
        self._offload.release(self._worker)

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _advance(self, earliest: int) -> None:
        self._floor = max(self._floor, earliest)
        self._entries = {
            key: entry for key, entry in self._entries.items() if entry.expires_at >= self._floor or not entry.told
        }

    async def _write(self, entry: Entry, *, sync: bool = True) -> None:
        if self._stale or self._lines >= _MOST_LOG_LINES:
            await self._rewrite()
            return
        self._lines += 1
        try:
            await self._worker.run(self._append, _line({**_written(entry), "floor": self._floor}), sync)
        except (FileNotFoundError, NotADirectoryError):
            await self._rewrite()
        except OSError:
            self._stale = True
            raise

    async def _rewrite(self) -> None:
        """All that is known as a new base; older logs go once it stands."""
        self._stale = True
        head = {"birth": self._birth, "floor": self._floor, "entries": len(self._entries)}
        entries = b"".join(_line(_written(entry)) for entry in self._entries.values())
        await self._worker.run(self._replace, head, entries)
        self._stale = False
        self._sound = True
        self._lines = 0

    def _replace(self, head: dict[str, Any], entries: bytes) -> None:
        self._let_go()
        self._disk.make_folder(self._folder)
        numbers: list[int] = []
        with suppress(OSError):
            # What could not be read at the start may be back by now, and its numbers are taken.
            numbers = _logs_among(self._disk.entries(self._folder))
        self._number = max(self._number, *numbers, 0)
        self._disk.replace(self._folder / "base", _line({**head, "through": self._number}) + entries)
        for number in numbers:
            with suppress(OSError):
                self._disk.unlink(self._log(number))

    def _append(self, line: bytes, sync: bool) -> None:  # noqa: FBT001 - handed over by a worker
        try:
            if self._file is None:
                self._number += 1
                self._file = self._disk.create(self._log(self._number))
                self._disk.sync_folder(self._folder)
            else:
                # An open file takes bytes when its name is gone, and they go with the process: is it there?
                self._disk.read(self._log(self._number), 0, 0)
            self._file.append(line)
            if sync:
                self._file.sync()
        except OSError:
            self._let_go()
            raise

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    def _load(self) -> None:
        try:
            found = self._disk.entries(self._folder)
        except OSError:
            return
        numbers = _logs_among(found)
        self._sound = any(entry.name == "base" for entry in found) and self._load_base()
        for number in numbers:
            if number > self._number:
                self._sound &= self._load_log(number)
        self._number = max(self._number, *numbers, 0)
        if not self._sound:
            self._birth = max(self._birth or 0, self._floor)
        self._stale = bool(numbers) or not self._sound

    def _load_base(self) -> bool:
        try:
            lines = self._disk.read(self._folder / "base").split(b"\n")
        except OSError:
            return False
        head, *records = [_parsed(line) for line in lines[:-1]] or [None]
        good = self._absorb(records)
        if head is None or lines[-1]:
            return False
        try:
            birth, floor, count = int(head["birth"]), int(head["floor"]), int(head["entries"])
            self._number = int(head["through"])
        except (KeyError, TypeError, ValueError):
            return False
        self._birth, self._floor = birth, max(self._floor, floor)
        return good and count == len(records)

    def _load_log(self, number: int) -> bool:
        try:
            content = self._disk.read(self._log(number))
        except OSError:
            return False
        # A file may have grown by zeros that were never written; both these and a line without end are torn.
        *lines, _torn = content.rstrip(b"\0").split(b"\n")
        return self._absorb(_parsed(line) for line in lines)

    def _absorb(self, records: Iterable[dict[str, Any] | None]) -> bool:
        """Take in what can be read; False when something could not."""
        good = True
        for record in records:
            entry = None if record is None else _read(record)
            if record is None or entry is None:
                good = False
                continue
            self._entries[entry.id] = entry
            floor = record.get("floor", 0)
            if isinstance(floor, int):
                self._floor = max(self._floor, floor)
        return good


def _logs_among(entries: Iterable[Listed]) -> list[int]:
    """The numbers of the logs in a folder, rising."""
    return sorted(int(found[1]) for entry in entries if (found := _LOG.fullmatch(entry.name)))


def _line(record: dict[str, Any]) -> bytes:
    written = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return b"%08x %s\n" % (zlib.crc32(written), written)


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, written = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(written):
        return None
    try:
        record = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _bounded(outcome: Outcome) -> Outcome:
    """Without its result when that is large: the hub gets it by the report, here it is only for a repetition."""
    size = 0 if outcome.result is None else len(orjson.dumps(outcome.result))
    return outcome if size <= _MOST_RESULT else replace(outcome, result=None)


def _written(entry: Entry) -> dict[str, Any]:
    outcome = entry.outcome
    return {
        "id": entry.id,
        "digest": entry.digest,
        "expires_at": entry.expires_at,
        "told": entry.told,
        "outcome": None
        if outcome is None
        else {"state": outcome.state, "code": outcome.code, "detail": outcome.detail, "result": outcome.result},
    }


def _read(record: dict[str, Any]) -> Entry | None:
    try:
        outcome = record["outcome"]
        return Entry(
            str(record["id"]),
            str(record["digest"]),
            int(record["expires_at"]),
            None
            if outcome is None
            else Outcome(
                str(record["id"]), _FINAL[outcome["state"]], outcome["code"], outcome["detail"], outcome["result"]
            ),
            bool(record["told"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
