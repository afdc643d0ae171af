r"""The daybook: how many bytes were sent within a day, kept over restarts, with few writes to flash.

A day is 24 hours of powered-on time, whichever they are: true time may be unknown. Bytes are counted by the hour and
forgotten once their hour lies a whole day back, so that no 24 hours hold more than `most` by the will of whoever asks
`free_at` first. All that was sent counts, urgent or not.

One line in one file, replaced atomically: `<crc32, 8 hex digits> <JSON>\n` with

    {"v":1,"axis":"<name>","at":<axis ms>,"on":<powered-on ms>,"hours":[[<hour of powered-on time>,<bytes>],...]}

The file is always ahead of what was sent: it is written with a 64th of `most` added, and again once that is used up,
or an hour has passed. So a crash never makes the allowance larger: it costs at most that 64th, and lets the day last
longer by the powered-on time since the last write (an hour, unless nothing was tried). A stop writes the exact count.
After a reboot the time since then counts, since it was powered on; the time that the machine was off does not.

A file that is missing is a first start. One that is damaged, or of a later time of the same boot, tells nothing: the
count begins anew, and the lamp `allowance` says so. While it cannot be written the count is in memory only, and the
lamp says that too; a disk that hangs is waited for two seconds.

Not handled: what TLS, TCP, answers, the stream and the live view add; bytes of pushes are counted, heads and bodies.
"""

import zlib
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, TypeGuard

import anyio
import orjson

from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock, Disk, Offload

LAMP = "allowance"

_HOUR = 3_600_000
_HOURS = 25
"""The hour that runs and 24 whole ones before it: never less than a day."""
_PARTS = 64
_MOST_FILE = 4096
_MOST_BYTES = 2**62
_PATIENCE = 2.0


class Daybook:
    """What was sent within a day. As a block: read at its beginning, written at its end."""

    def __init__(self, most: int, path: Path, disk: Disk, offload: Offload, clock: Clock, lamps: Lamps) -> None:
        """`most` are the bytes of a day."""
        self.most = most
        self._path = path
        self._disk = disk
        self._clock = clock
        self._lamps = lamps
        self._offload = offload
        self._worker = offload.worker("allowance")
        self._hours: deque[tuple[int, int]] = deque()
        self._powered_before = 0
        """Powered-on ms at axis time 0."""
        self._ahead = 0
        """Bytes that the file counts and that are not sent yet."""
        self._written_at: int | None = None

    async def __aenter__(self) -> None:
        """Read what an earlier life left."""
        now = self._clock.now()
        try:
            with anyio.fail_after(_PATIENCE):
                content = await self._worker.run(self._disk.read, self._path, 0, _MOST_FILE)
            self._powered_before, self._hours = _parsed(content, self._clock.axis, now)
        except FileNotFoundError:
            pass
        except (OSError, TimeoutError, ValueError) as error:
            self._lamps.light(LAMP, "warn", f"{self._path} tells nothing ({error}): the bytes of a day count anew")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the exact count."""
        try:
            with anyio.CancelScope(shield=True):
                if self._ahead or self._written_at is not None:
                    await self._write(0)
        finally:
            self._offload.release(self._worker)

    @property
    def used(self) -> int:
        """Bytes that count now."""
        self._forget(self._clock.now())
        return sum(size for _, size in self._hours)

    def free_at(self, now: int) -> int:
        """Axis ms from which on less than `most` counts, were nothing sent until then; `now` or earlier if it is so."""
        self._forget(now)
        left = sum(size for _, size in self._hours) - self.most
        if left < 0:
            return now
        for hour, size in self._hours:
            left -= size
            if left < 0:
                return (hour + _HOURS) * _HOUR - self._powered_before
        raise AssertionError("no bytes are never too many")

    async def spend(self, size: int) -> None:
        """So many bytes were sent; writes the file when it has to."""
        now = self._clock.now()
        self._forget(now)
        hour = (self._powered_before + now) // _HOUR
        before = self._hours.pop()[1] if self._hours and self._hours[-1][0] == hour else 0
        self._hours.append((hour, before + size))
        self._ahead -= size
        if self._ahead < 0 or self._written_at is None or now - self._written_at >= _HOUR:
            await self._write(max(self.most // _PARTS, size))

    def _forget(self, now: int) -> None:
        hour = (self._powered_before + now) // _HOUR
        while self._hours and self._hours[0][0] <= hour - _HOURS:
            self._hours.popleft()

    async def _write(self, ahead: int) -> None:
        """Write the count, so many bytes ahead; what fails is tried again after as many."""
        now = self._clock.now()
        self._ahead, self._written_at = ahead, now
        hours = list(self._hours)
        if hours and ahead:
            hours[-1] = (hours[-1][0], hours[-1][1] + ahead)
        powered = self._powered_before + now
        document = {"v": 1, "axis": self._clock.axis, "at": now, "on": powered, "hours": hours}
        body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        why = "the disk hangs"
        if not self._worker.stuck:
            with anyio.move_on_after(_PATIENCE):
                try:
                    await self._worker.run(self._replace, b"%08x %s\n" % (zlib.crc32(body), body))
                except OSError as error:
                    why = str(error)
                else:
                    self._lamps.light(LAMP, "ok")
                    return
        self._lamps.light(LAMP, "warn", f"the bytes of a day are counted in memory only: {why}")

    def _replace(self, content: bytes) -> None:
        self._disk.make_folder(self._path.parent)
        self._disk.replace(self._path, content)


def _parsed(content: bytes, axis: str, now: int) -> tuple[int, deque[tuple[int, int]]]:
    """Powered-on ms at axis time 0 and the hours; ValueError when it is not what was written, or cannot be."""
    checksum, _, body = content.partition(b" ")
    if not body.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body[:-1]):
        raise ValueError("damaged")
    said: Any = orjson.loads(body)
    if not isinstance(said, dict) or said.get("v") != 1:
        raise ValueError("of another version")
    written_on, at, on, hours = said.get("axis"), said.get("at"), said.get("on"), said.get("hours")
    if not _is_count(at) or not _is_count(on) or not isinstance(hours, list) or len(hours) > _HOURS:
        raise ValueError("of another shape")
    if written_on == axis and at > now:
        raise ValueError("of a later time")
    before: int = on - at if written_on == axis else on
    found: deque[tuple[int, int]] = deque()
    for entry in hours:
        if not isinstance(entry, list) or len(entry) != 2 or not all(map(_is_count, entry)):  # noqa: PLR2004 - a pair
            raise ValueError("of another shape")
        hour, size = entry
        if hour > on // _HOUR or (found and hour <= found[-1][0]):
            raise ValueError("of hours that cannot be")
        found.append((hour, size))
    return before, found


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _MOST_BYTES
