"""Programs under test: a process of `edge-agent` in a folder of its own, and what it answers.

Everything it writes lies below the test's folder; what it says goes to files there, so that no pipe can fill. A program
that still runs when its block is left is ended by SIGTERM, and by SIGKILL when that does not help; one whose starter is
killed itself is killed by the kernel, where `setpriv` is installed.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from shutil import which
from typing import Any

import orjson

from edge_agent.model.frame import FrameKind
from edge_agent.wire.batch import Batch, parse, unzip
from tests.system.until import until

DEVICE = "bench-1"
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 25.0
"""Seconds for a start or a stop on a machine that is busy with other tests."""

_TIED = ("setpriv", "--pdeathsig", "KILL", "--") if which("setpriv") else ()
_MOST_BODY = 64 * 1024 * 1024


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One process; `said` and `complained` are what it wrote to standard output and standard error.

    `before` is a command that turns into it, such as `nsenter --net=FILE` or `strace -D`.
    """

    def __init__(self, folder: Path, name: str, *arguments: str, before: Sequence[str] = ()) -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
        surroundings |= {"RUNTIME_DIRECTORY": str(folder / "run"), "XDG_STATE_HOME": str(folder / "home")}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*_TIED, *before, sys.executable, "-m", "edge_agent", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=surroundings,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def complained(self) -> str:
        return self._err.read_text()

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.wait()

    def tell_to_stop(self) -> None:
        """SIGTERM, not waited for."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self, within: float = PATIENCE) -> int:
        """SIGTERM, and the exit code."""
        self.tell_to_stop()
        return self.ends(within)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait for its end, and the exit code."""
        return self._process.wait(within)

    def close(self) -> None:
        """End it if it runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def started(folder: Path, name: str, *arguments: str, before: Sequence[str] = ()) -> Iterator[Program]:
    """A program that ends with its block."""
    program = Program(folder, name, *arguments, before=before)
    try:
        yield program
    finally:
        program.close()


def ask(
    port: int, path: str, headers: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> tuple[int, Any] | None:
    """Status and JSON of a GET; None when nobody answers."""
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, orjson.loads(response.read())
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def stored_batches(hub: Path, device: str) -> list[Batch]:
    """What a hub's database, in its folder, holds of a device in full: in order of arrival; the hub may run."""
    with closing(sqlite3.connect(f"file:{hub}/hub.sqlite?mode=ro", uri=True, timeout=PATIENCE)) as database:
        rows = database.execute(
            "SELECT payload FROM frame JOIN payload ON payload.frame = frame.id JOIN sender ON sender.id = frame.sender"
            " WHERE kind = ? AND device = ? ORDER BY frame.id",
            (FrameKind.TELEMETRY, device),
        ).fetchall()
    return [parse(unzip(payload, _MOST_BODY)) for (payload,) in rows]


@dataclass(frozen=True)
class Site:
    """A hub and a device that belong together, below one folder, each with its port."""

    folder: Path
    hub_port: int
    local_port: int

    @property
    def key_file(self) -> Path:
        return self.folder / "hub_key"

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @contextmanager
    def hub(self, name: str = "hub") -> Iterator[Program]:
        """The hub, once it serves."""
        arguments = ("hub", "--json", "--folder", str(self.folder / "hub"), "--port", str(self.hub_port))
        with started(self.folder, name, *arguments, "--provision", f"{DEVICE}={self.key_file}") as program:
            until(lambda: program.said.endswith("\n"), within=PATIENCE)
            yield program

    @contextmanager
    def agent(self, name: str = "agent") -> Iterator[Program]:
        """The agent, once it answers."""
        with started(self.folder, name, "run", "--config", str(self.config)) as program:
            until(lambda: self.local("/healthz"), within=PATIENCE)
            yield program

    def configure(self, more: str = "", state: Path | None = None) -> None:
        """Write the agent's config; batches are sealed every second."""
        self.config.write_text(f"""\
[device]
id = "{DEVICE}"

[hub]
url = "http://127.0.0.1:{self.hub_port}"
key_file = "{self.key_file}"

[state]
folder = "{state or self.folder / "state"}"

[seal]
every = "1s"

[local]
port = {self.local_port}

{more}""")

    def local(self, path: str) -> tuple[int, Any] | None:
        """What the agent's own endpoint answers."""
        return ask(self.local_port, path)

    def status(self) -> dict[str, Any]:
        """What the agent says of itself; empty while it does not answer."""
        found = self.local("/status")
        return found[1] if found is not None and found[0] == 200 else {}

    def lamp(self, part: str) -> dict[str, Any]:
        """A lamp of the agent; empty when it is not lit."""
        return next((lamp for lamp in self.status().get("lamps", ()) if lamp["part"] == part), {})

    def epochs(self) -> list[dict[str, Any]]:
        """The telemetry epochs of the device by the hub's audit; none while it does not answer."""
        key = self.key_file.read_text().strip()
        found = ask(self.hub_port, f"/api/v1/audit?device={DEVICE}", {"x-api-key": key})
        epochs = found[1]["epochs"] if found is not None and found[0] == 200 else []
        return [epoch for epoch in epochs if epoch["lane"] == "telemetry"]

    def instants(self, collector: str) -> list[int]:
        """The axis ms of every tick of a collector that the hub's database holds, sorted; for a hub that ended."""
        tracks = [
            track
            for batch in stored_batches(self.folder / "hub", DEVICE)
            for track in batch.tracks
            if track.collector == collector
        ]
        return sorted(at for track in tracks for at in track.instants)
