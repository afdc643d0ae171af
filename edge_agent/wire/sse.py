"""Server-sent events, to the letter of the WHATWG rules: bytes in any chunks to events, and events to bytes.

    event: <name>   data: <line>   id: <id>   retry: <ms>   : <comment>       each on a line of its own

A line ends with CR LF, LF or CR; an empty line dispatches what came before it. One byte order mark at the very start is
dropped. Text is UTF-8, whatever was announced; what is not becomes U+FFFD. Data lines are joined with LF. An event
without a data line is not dispatched, but its id counts. An id holds until another comes; one with a NUL is ignored.
What the end of the stream leaves open is dropped.

A line or an event beyond its limit raises `Malformed` (`sse_line_too_long`, `sse_event_too_long`), and the decoder is
of no more use. Connecting, waiting and coming back are for whoever holds the connection.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.model.failure import Malformed

CONTENT_TYPE = "text/event-stream"

_LINE_END = re.compile(rb"\r\n|\r|\n")
_TEXT_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_IN_A_FIELD = re.compile(r"[\r\n\0]")
_MARK = b"\xef\xbb\xbf"
_MOST_RETRY_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name (`message` where it has none), its data, and the id that holds from it on."""

    event: str
    data: str
    id: str


class Decoder:
    """The events of one connection. `retry` is the wait in ms that was asked for last, None before the first.

    `last_event_id` is the id to come back with: the one given, until the stream says another. It moves with the events
    as they are taken, so that none is skipped which nobody has seen.
    """

    def __init__(self, most_line: int = 128 * 1024, most_event: int = 256 * 1024, last_event_id: str = "") -> None:
        self.retry: int | None = None
        self.last_event_id = last_event_id
        self._most_line = most_line
        self._most_event = most_event
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._id = last_event_id
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete, one at a time; take them all before the next chunk."""
        if self._after_cr and chunk:  # that line has ended; a line feed here belongs to its end
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
            self._after_cr = False
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = _LINE_END.split(chunk)
        for piece in ended:
            self._grow(piece)
            line = bytes(self._line)
            self._line.clear()
            event = self._take(line)
            if event is not None:
                yield event
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > self._most_line:
            raise Malformed("sse_line_too_long", f"a line of the stream has more than {self._most_line} bytes")

    def _take(self, line: bytes) -> Event | None:
        if self._at_start:
            line = line.removeprefix(_MARK)
            self._at_start = False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._most_event:
                raise Malformed("sse_event_too_long", f"an event has more than {self._most_event} bytes of data")
            self._data.append(value.decode(errors="replace"))
        elif name == b"event":
            self._name = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MOST_RETRY_DIGITS:
            self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        event = Event(self._name or "message", "\n".join(self._data), self._id) if self._data else None
        self._name, self._size = "", 0
        self._data.clear()
        return event


def encode(event: str, data: str, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: A002 - the field
    """One event as bytes. Line ends and NULs are taken out of its name and id; an empty id takes the last one back."""
    lines = [] if retry is None else [f"retry: {retry}"]
    if id is not None:
        lines.append(f"id: {_NOT_IN_A_FIELD.sub('', id)}")
    lines.append(f"event: {_NOT_IN_A_FIELD.sub('', event)}")
    lines += [f"data: {line}" for line in _TEXT_LINE_END.split(data)]
    return ("\n".join(lines) + "\n\n").encode(errors="replace")


def comment() -> bytes:
    """A sign of life that is no event."""
    return b":\n\n"
