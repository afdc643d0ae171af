"""Sends frames as fast as they are acknowledged, over connections that are kept: a process of its own.

    python -m tests.bench.load WISH.json        -> {"requests", "seconds", "all_requests"} on standard output

Each connection is a device with its own key and epoch; one request is on its way on each. Numbers rise, payloads
repeat: a hub tells frames apart by number. Heads are those that the native dialect writes. `requests` were answered in
`seconds`, between the end of the warm-up and the deadline; `all_requests` are those before and after, too. An answer
other than 200 ends the run.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from random import SystemRandom

import orjson

from edge_agent.model.frame import Frame, FrameKind, Holding, Identity
from edge_agent.wire.frame import encode, split
from edge_agent.wire.headers import CLOCK, SENT_AT, SPOOL, format_clocks, format_inventory

_EPOCHS = 63


@dataclass(frozen=True, slots=True)
class Wish:
    """What to send where: `frames` of a request, drawn in turn from the frames in the file `payloads`."""

    port: int
    keys: list[str]
    payloads: str
    frames: int
    warm: float
    seconds: float
    axis: str
    now: int


class Tally:
    """Counts answers of all connections, and says when to stop."""

    def __init__(self, warm: float, seconds: float) -> None:
        self.begins = time.perf_counter() + warm
        self.ends = self.begins + seconds
        self._first = self._last = self.begins
        self.counted = self.all = 0
        self.failure = ""

    @property
    def seconds(self) -> float:
        """From the first answer that counts to the last."""
        return self._last - self._first

    def answered(self) -> bool:
        """Count one; whether to go on."""
        now = time.perf_counter()
        self.all += 1
        if self.begins <= now < self.ends:
            # From the first answer on, so that what was sent before the window does not count.
            if self._first == self.begins:
                self._first = now
            else:
                self.counted += 1
            self._last = now
        return now < self.ends and not self.failure


class Line(asyncio.Protocol):
    """One connection: sends a request, reads its answer whole, sends the next."""

    def __init__(self, wish: Wish, key: str, payloads: list[bytes], tally: Tally) -> None:
        self._wish, self._payloads, self._tally = wish, cycle(payloads), tally
        self._epoch, self._seq = SystemRandom().getrandbits(_EPOCHS), 0
        self._came = b""
        self.ended = asyncio.get_running_loop().create_future()
        self._head = (
            f"POST /api/v1/telemetry HTTP/1.1\r\nhost: 127.0.0.1:{wish.port}\r\nx-api-key: {key}\r\n"
            "accept: application/json\r\naccept-encoding: identity\r\nuser-agent: edge-agent/bench\r\n"
            "content-type: application/vnd.edge.frames\r\n"
            f"{CLOCK}: {format_clocks({wish.axis: wish.now})}\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read on until the answer is whole."""
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self._came = b""
        if not head.startswith(b"HTTP/1.1 200 "):
            self._tally.failure = f"{head.decode()}\n{body.decode()}"
        if self._tally.answered():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, asked for or not."""
        if self._came or time.perf_counter() < self._tally.ends:
            self._tally.failure = self._tally.failure or f"the line broke: {error}"
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        first, after = self._seq, self._seq + self._wish.frames
        self._seq = after
        body = b"".join(
            encode(Frame(FrameKind.TELEMETRY, Identity(self._epoch, seq), self._wish.now, next(self._payloads)))
            for seq in range(first, after)
        )
        spool = format_inventory([Holding("telemetry", self._epoch, after, ((first, after),))])
        rest = f"{SENT_AT}: {time.time_ns() // 1_000_000}\r\n{SPOOL}: {spool}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write((self._head + rest).encode() + body)


async def main(wish: Wish, payloads: list[bytes]) -> None:
    """Send until the time is over."""
    tally = Tally(wish.warm, wish.seconds)
    loop = asyncio.get_running_loop()
    lines = []
    for key in wish.keys:
        _, line = await loop.create_connection(partial(Line, wish, key, payloads, tally), "127.0.0.1", wish.port)
        lines.append(line)
    await asyncio.gather(*(line.ended for line in lines))
    if tally.failure:
        sys.exit(tally.failure)
    said = {"requests": tally.counted, "seconds": tally.seconds, "all_requests": tally.all}
    sys.stdout.write(orjson.dumps(said).decode())


if __name__ == "__main__":
    asked = Wish(**orjson.loads(Path(sys.argv[1]).read_bytes()))
    asyncio.run(main(asked, [frame.payload for frame in split(Path(asked.payloads).read_bytes())]))
