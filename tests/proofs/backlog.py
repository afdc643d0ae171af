"""Row `backlog`: an agent that starts on a large backlog pushes at once, and keeps little of it in memory.

A spool is filled with segments as an earlier life would have left them, 8 KiB a batch. The agent's own program starts
on it, its default collectors reading a moving tree, against a door that notes when the first push came and puts every
request off, so that the backlog stays. The same start without a backlog is measured beside it, and so is the bare
limit: a Python that loads the two largest libraries and pushes nothing but a word. Bytecode is there, as it is where
the agent is installed.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from statistics import median

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.spool.segment import Name, Opening, opening_frame
from edge_agent.wire.frame import encode
from tests.bench.meter import memory
from tests.bench.place import Child, Place, free_port
from tests.bench.tree import write
from tests.proofs.row import Findings, Row, greatest

MIB = 2**20
DEVICE = "starts"
_BATCH = 8 * 1024
_SETTLED = 5.0
"""Seconds after the first push at which memory is read: imports and first requests are over by then."""
_PATIENCE = 60.0
_MOST_SECONDS, _MOST_MIB = 0.5, 8.0


class Door(ThreadingHTTPServer):
    """Answers 503 to everything and notes when the first push came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answerer)
        self.pushed = threading.Event()
        self.pushed_at = 0.0

    def handle_error(self, *_whose: object) -> None:
        """A child that was ended left its connection: nothing to say."""

    def note(self) -> None:
        """A push came."""
        if not self.pushed.is_set():
            self.pushed_at = time.perf_counter()
            self.pushed.set()


class _Answerer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if isinstance(self.server, Door) and self.path.endswith("/telemetry"):
            self.server.note()
        self.rfile.read(int(self.headers["content-length"] or 0))
        self._later()

    def do_GET(self) -> None:
        self._later()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def _later(self) -> None:
        self.send_response(503)
        self.send_header("retry-after", "3600")
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def door() -> Iterator[Door]:
    """A door that stands on a free port of the loopback."""
    one = Door()
    thread = threading.Thread(target=one.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield one
    finally:
        one.shutdown()
        thread.join()
        one.server_close()


def fill(folder: Path, size: int) -> int:
    """Leave about so many bytes of segments below a lane's folder; how many batches that is."""
    chance, epoch, seq, generation = Random(size), Random(f"epoch {size}").getrandbits(63), 0, 1
    folder.mkdir(parents=True)
    for _ in range(size // MIB):
        name = Name(generation, seq, epoch)
        parts = [encode(opening_frame(name, Opening(DEVICE, "an-earlier-boot.0", seq, seq), folder.name))]
        while sum(map(len, parts)) + _BATCH + 64 < MIB:
            parts.append(encode(Frame(FrameKind.TELEMETRY, Identity(epoch, seq), seq, chance.randbytes(_BATCH))))
            seq += 1
        (folder / name.file).write_bytes(b"".join(parts))
    os.sync()  # an earlier life's segments lie on the disk, and are not on their way to it while the agent starts
    return seq


def start(place: Place, backlog: int) -> tuple[float, float]:
    """Start an agent on so many bytes of backlog: seconds from exec to its first push, and its private MiB then."""
    state = place.folder("state")
    if backlog:
        fill(state / "spool" / "hub" / "telemetry", backlog)
    root = place.folder("root")
    write(root, 0)
    key = place.disk / "key"
    key.touch(mode=0o600)
    key.write_text("k" * 32)
    with door() as one:
        file = place.folder("config") / "agent.toml"
        file.write_text(
            f'[device]\nid = "{DEVICE}"\n[hub]\nurl = "http://127.0.0.1:{one.server_address[1]}"\n'
            f'key_file = "{key}"\n[state]\nfolder = "{state}"\nruntime = "{place.memory / state.name}"\n'
            f"[seal]\nevery = 1\n[local]\nport = {free_port()}\n"
        )
        began = time.perf_counter()
        child = place.start("-m", "edge_agent", "run", "--config", str(file), "--root", str(root))
        seconds = _until_pushed(one, child) - began
        time.sleep(_SETTLED)  # what is measured is the memory of a process of this age
        held = memory(child.pid).uss
        child.end()
    return seconds, held


_BARE = """
import asyncio, sys
import aiohttp, pydantic_settings

async def push():
    async with aiohttp.ClientSession() as session, session.post(sys.argv[1], data=b"a word"):
        pass

asyncio.run(push())
"""


def bare(place: Place) -> float:
    """Seconds from exec to the push of a program that does nothing else."""
    with door() as one:
        began = time.perf_counter()
        child = place.start("-c", _BARE, f"http://127.0.0.1:{one.server_address[1]}/telemetry")
        seconds = _until_pushed(one, child) - began
        child.wait()
    return seconds


def prove(part: int) -> Findings:
    """One start with 256 MiB and one without; the first part's starts also warm what is cold."""
    del part  # each start is like the others
    with Place() as place:
        start(place, 0)
        bare(place)
        limit = bare(place)
        _, plain_held = start(place, 0)
        seconds, held = start(place, 256 * MIB)
    figures = {"seconds": seconds, "uss": held, "more": held - plain_held, "bare": limit}
    return Findings(1, (), figures)


def _until_pushed(one: Door, child: Child) -> float:
    deadline = time.perf_counter() + _PATIENCE
    while not one.pushed.wait(0.05):
        if not child.lives or time.perf_counter() > deadline:
            raise RuntimeError(f"nothing was pushed: {child.last_words()}")
    return one.pushed_at


def _middle(parts: Sequence[Findings], figure: str) -> float:
    return median(part.figures[figure] for part in parts)


def _tell(parts: Sequence[Findings]) -> str:
    return (
        f"{_middle(parts, 'seconds'):.2f} s from exec to the first push (median of {len(parts)}; bare Python"
        f" with its two largest libraries {_middle(parts, 'bare'):.2f} s),"
        f" {greatest(parts, 'more'):+.1f} MiB private memory at most"
    )


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    short = []
    if _middle(parts, "seconds") > _MOST_SECONDS:
        short.append(f"{_middle(parts, 'seconds'):.2f} s to the first push, and {_MOST_SECONDS} is asked")
    if greatest(parts, "more") > _MOST_MIB:
        short.append(f"{greatest(parts, 'more'):.1f} MiB more, and {_MOST_MIB} is asked")
    return short


ROW = Row(
    name="backlog",
    promise="start with a 256 MiB backlog",
    least="≤ 0.5 s to the first push, ≤ 8 MiB more memory",
    parts=5,
    prove=prove,
    tell=_tell,
    unmet=_unmet,
)
