"""jtop's client beside the agent, as its service stops, starts again, is upgraded and opens its socket.

The client's library is the test's own, and says what jetson-stats was seen to say. Its service is a folder's files: the
library can be used once in a process, as the real one, whose connection is kept after it broke.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.collectors.jetson import jtop
from edge_agent.collectors.jetson.answers import Absent
from edge_agent.collectors.jetson.speaker import Speaker, Tongue
from tests.agent.beside import Beside, nothing_left

SCRIPT = Path(jtop.__file__).with_name("jtopscript.py")
LIBRARY = """
import os, sys, time
SERVICE = FOLDER
class JtopException(Exception): pass
def has(name): return os.path.exists(os.path.join(SERVICE, name))
class jtop:
    used = False
    def __init__(self, interval): pass
    def start(self):
        if not has("socket"): raise JtopException("The jtop.service is not active. Please run: ...")
        if has("closed"): raise JtopException("I can't access jtop.service. Please logout or reboot this board.")
        if has("new"): raise JtopException("Mismatch version jtop service: [7.2.2] and client: [4.3.2]. Please run ...")
        if jtop.used: raise BrokenPipeError
        jtop.used = True
    def ok(self):
        sys.stdin.readline()
        if not has("socket"): raise ConnectionResetError
        return True
    gpu, memory = {"gpu": {"status": {"load": 12.5}, "freq": {"cur": 1300500}}}, {}
    engine = {}
"""


@pytest.fixture
def beside() -> Iterator[Beside]:
    with nothing_left() as beside:
        yield beside


class Board:
    """A board with a service of jtop, and what is heard of it."""

    def __init__(self, folder: Path, beside: Beside) -> None:
        self._folder, self._beside = folder, beside
        (folder / "jtop.py").write_text(LIBRARY.replace("FOLDER", repr(os.fspath(folder))))
        path = f"import sys, runpy; sys.path.insert(0, {str(folder)!r})"
        words = f"{path}; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
        beside.children.offer("jtop", [sys.executable, "-I", "-S", "-B", "-c", words], 1.0)
        self._speaker = Speaker("jtop", Tongue(jtop.answers, jtop.knows), beside.children)

    def service(self, **files: bool) -> None:
        """Which files it has now: `socket`, `closed` to us, `new`er than the client."""
        for name, there in files.items():
            if there:
                (self._folder / name).touch()
            else:
                (self._folder / name).unlink(missing_ok=True)

    def wait(self, ms: int) -> None:
        """Let so much time pass, and have the client begun again if it is its time."""
        self._beside.at += ms
        self.heard()

    def sample(self) -> None:
        """Let one sample pass. The client ends where it cannot."""
        process = self._beside.children._programs["jtop"]._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()

    def hear(self) -> None:
        """Let one sample pass, and wait until it is heard."""
        self.sample()
        while not isinstance(self.heard(), float):
            self._beside.look()

    def end(self) -> None:
        """Wait until the client has ended."""
        self._beside.leave()

    def heard(self) -> float | str | None:
        """The GPU's load, or why there is none."""
        try:
            return self._speaker.answers()["hw.gpu.utilization", "gpu"].value
        except Absent as absent:
            return str(absent)


def test_it_is_heard_again_whatever_became_of_its_service(tmp_path: Path, beside: Beside) -> None:
    board = Board(tmp_path, beside)
    assert board.heard() == "starting"
    board.end()
    assert board.heard() == "service not active"
    board.service(socket=True, closed=True)
    board.wait(1000)
    board.end()
    assert board.heard() == "no permission"
    board.service(closed=False, new=True)
    board.wait(2000)
    board.end()
    assert board.heard() == "version mismatch"
    board.service(new=False)
    board.wait(4000)
    board.hear()
    assert board.heard() == 0.125
    board.service(socket=False)
    board.sample()
    board.end()
    assert board.heard() == "service gone"
    board.service(socket=True)
    board.wait(8000)
    board.hear()
    assert board.heard() == 0.125
