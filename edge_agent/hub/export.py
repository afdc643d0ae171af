"""Bulk out: `GET /api/v1/export?device=&from=&to=[&name=][&attr.<key>=<value>...][&format=ndjson|csv]`, Unix ms.

Every reading of a device that stands at `from <= ts < to`, a line each, oldest frame first; `exportlines` has the
lines. Nothing is thinned here, and what was thinned on the device comes as the windows that it is made of: each reading
is told once, by the finest that has it (`layers`). What was not read is no line. Lines of one frame go by collector and
then by time; frames overlap, so lines as a whole are not sorted.

The range is told in slices of time, each read and told before the next is looked for. So memory is bounded by the
frames of a slice and the readings of a frame, whatever is asked for, and no reader of the store holds a snapshot for
longer than one slice's list or a few payloads take. Writers may come in between. What arrives behind the slice that is
told is not told; what stood when the export began is told once, although the times of a device move as it learns them:

- The timelines are kept as they were when they were first seen, and every stamp of an export is theirs.
- A slice is looked for where it lies on the timelines of now, so that nothing leaves it unseen.

That takes the timelines of all axes of a device, of one moment: an axis whose timeline was made only when its slice
came could have moved meanwhile from ahead of the telling to behind it. So memory grows with how long a device has been
known (some 40 MiB a year that a device was claimed of all the time), not with how much it measured.

What cannot be told whole ends with a line that says so: `complete` is false and `reached` is up to where all was told.
Whoever goes on asks from there, and drops lines that stand there or later, which are told again. It ends so after the
life of an access token, since who may no longer look stops looking, when the store fails, and where more frames lie
over each other than are taken at once. `gone` counts frames in the range whose payload retention took: windows that
stand for them are told. A reader that leaves ends it at the next write. Exports wait for each other beyond a few.

So a slow line comes to the end in several exports, as long as each tells all frames that begin at one ms: that much has
to pass within the life of a token. Does not handle: a line that is slower than that.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import anyio
from pydantic import Field

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.exportlines import Csv, End, Form, Ndjson
from edge_agent.hub.exportwalk import Places, Slice, Walk
from edge_agent.hub.logins import ACCESS_SECONDS
from edge_agent.hub.spans import Range, payloads, read_range
from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.model.ports import Worker

_AT_ONCE = 8

_SLICE_MS, _LEAST_SLICE_MS = 3_600_000, 60_000
_FEW_FRAMES, _MANY_FRAMES = 1000, 4000
"""With fewer frames the next slice is longer, with more it is shorter."""

_TOO_LONG = "as long as an access token lives; ask again from where this reached"
_TOO_DENSE = "more frames lie over each other here than are taken at once"
_STORE = "the store failed; ask again from where this reached"


@dataclass(frozen=True, slots=True)
class Options:
    """The most frames of a slice, and exports told at once."""

    most_frames: int = 100_000
    at_once: int = 4


class Order(Range):
    """Which readings of a device, from when to when, and how they are written; all names when `name` is absent."""

    name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    format: Literal["ndjson", "csv"] = "ndjson"


class Exports:
    """Tells all that a device measured. `now` is ms on an axis; `decoder` is a worker of its own."""

    def __init__(self, store: Store, now: Callable[[], int], options: Options, decoder: Worker) -> None:
        self._store, self._now, self._options, self._decoder = store, now, options, decoder
        self._turns = anyio.Semaphore(options.at_once)

    async def export(self, ask: Ask) -> Reply:
        """The readings of a range as a stream of lines; Malformed `bad_query` with the member that is wrong."""
        order, attributes = read_range(Order, ask)
        form: Form = Csv() if order.format == "csv" else Ndjson()
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="export.{order.format}"',
        }
        return Reply(200, content_type=form.media, headers=headers, events=self._told(order, attributes, form))

    async def _told(self, order: Order, attributes: Mapping[str, str], form: Form) -> AsyncGenerator[bytes, None]:
        until = self._now() + ACCESS_SECONDS * 1000
        places = Places(order.device, self._options.most_frames)
        walk = Walk(places, form, order.name, attributes)
        reached, length, why, done = order.start, _SLICE_MS, "", 0
        part = Slice(order.start, order.start, [], dense=False, earliest=order.start)
        walk.begin(part)
        if form.opening:
            yield form.opening
        async with self._turns:
            try:
                while reached < order.stop and not why:
                    part = await self._look(places, reached, min(reached + length, order.stop))
                    why = _TOO_DENSE if part.dense else ""
                    walk.begin(part)
                    done = 0
                    while done < len(part.found) and not why:
                        if self._now() > until:
                            why = _TOO_LONG
                            break
                        turn = part.found[done : done + _AT_ONCE]
                        bodies = await self._store.read(partial(payloads, rows=[span.row for span in turn]))
                        lines = walk.take(list(zip(bodies, turn, strict=True)))
                        while chunk := await self._decoder.run(_more, lines):
                            yield chunk
                        done += len(turn)
                    reached = reached if why else part.stop
                    length = _next(part.stop - part.start, len(part.found))
            except (StoreBroken, StoreFull):
                why = _STORE
        if why in (_TOO_LONG, _STORE):
            reached = max(reached, walk.reached(part.found[done:]))
        if last := form.end(End(not why, reached, walk.gone, why)):
            yield last

    async def _look(self, places: Places, start: int, stop: int) -> Slice:
        """A slice from here on that is short enough to be told."""
        while True:
            part = await self._store.read(partial(places.look, start=start, stop=stop))
            if not part.dense or stop - start == 1:
                return part
            # One that is long because nothing was there before is cut where something is.
            stop = start + max(1, min((stop - start) // 2, part.earliest - start + _SLICE_MS))


def _more(lines: Iterator[bytes]) -> bytes:
    """The next chunk; empty at the end."""
    return next(lines, b"")


def _next(length: int, frames: int) -> int:
    """How long the slice after one with so many frames is, in ms."""
    if frames > _MANY_FRAMES:
        return max(min(length, _LEAST_SLICE_MS), length // 2)
    return length if frames > _FEW_FRAMES else length * (2 if frames else 4)
