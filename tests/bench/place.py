"""Where a run lives: a folder on a disk, one on tmpfs, and the processes that it started.

Everything is removed and ended when the block is left, each process by its own id. Children get no setting of this
process's environment, and start in the repository's root.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
_DISK = "/var/tmp"
_TMPFS = "/dev/shm"
_PATIENCE = 30.0
_PAUSE = 0.05


class Child:
    """A process of this bench; what it says on its two outputs goes into one file.

    Bytecode is kept in the repository's cache, as an installed agent has it beside its sources: an environment that
    forbids to write it would have every start compile all of it.
    """

    def __init__(self, command: Sequence[str], said: Path, settings: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.said = said
        with said.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**kept, **settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self, seconds: float = _PATIENCE) -> None:
        """Wait until it ends by itself; RuntimeError with its last words when that was no good end."""
        code = self._process.wait(seconds)
        if code != 0:
            raise RuntimeError(f"{self._process.args!r} ended with {code}: {self.last_words()}")

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that does not do."""
        if not self.lives:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def nudge(self) -> None:
        """SIGUSR1: a profiler begins anew."""
        self._process.send_signal(signal.SIGUSR1)

    def last_words(self) -> str:
        """The end of what it said."""
        return self.said.read_text(errors="replace")[-2000:]


class Place:
    """The folders and processes of one run."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._number = 0

    def __enter__(self) -> "Place":  # noqa: PYI034 - typing has no Self on 3.10
        self.disk = Path(tempfile.mkdtemp(prefix="edge-bench-", dir=_DISK))
        self.memory = Path(tempfile.mkdtemp(prefix="edge-bench-", dir=_TMPFS))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in reversed(self._children):
            child.end()
        shutil.rmtree(self.disk, ignore_errors=True)
        shutil.rmtree(self.memory, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """A new folder on the disk."""
        self._number += 1
        path = self.disk / f"{self._number}-{name}"
        path.mkdir()
        return path

    def start(self, *command: str, settings: Mapping[str, str] | None = None) -> Child:
        """Start this Python with a command, such as `-m edge_agent run`."""
        self._number += 1
        # What children say stays off the disk, so that it is not counted as flash that they wear.
        child = Child(command, self.memory / f"{self._number}.log", settings or {})
        self._children.append(child)
        return child


def free_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(port: int, path: str, headers: Mapping[str, str]) -> Any:
    """The JSON that a local server answers; OSError when it does not answer 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"port {port} broke the line: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise OSError(f"port {port} answered {answer.status} to {path}: {body[:200]!r}")
    return orjson.loads(body)


def stands(port: int) -> bool:
    """Whether something takes connections on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_until_it_serves(child: Child, port: int) -> None:
    """Wait until a child takes connections; RuntimeError when it ends before."""
    deadline = time.perf_counter() + _PATIENCE
    while not stands(port):
        if not child.lives or time.perf_counter() > deadline:
            raise RuntimeError(f"nothing serves on port {port}: {child.last_words()}")
        time.sleep(_PAUSE)
