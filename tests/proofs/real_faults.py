"""Faults in the system calls of a real process: injected by strace at the k-th call of a name, or by a limit.

strace counts calls for each thread, so the k-th call of every thread that comes so far is hit; a fault counts when
something that it hit lies in the device's own folder. Which k those are is learnt from a life without a fault
(`Traced.positions`), and what was hit is read from the log of the life with one (`Traced.hit`).

    exec      from the first instruction on; for calls that nothing but storage makes
    paths     likewise, but only calls on paths that are known before: else it would hit libraries that are being loaded
    attach    from the middle of a life on; for calls that are made by the thousand while libraries are loaded

    one       the k-th call fails
    burst     the k-th and the next ones fail, then the disk is well again
    kill      the process is killed as it enters the k-th call
    short     true short writes: no file may grow beyond k bytes (RLIMIT_FSIZE), until half of the life is over
"""

import re
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tests.proofs.real import PATIENCE, Device
from tests.system.program import Program
from tests.system.until import until

Manner = Literal["one", "burst", "kill", "short"]
Way = Literal["exec", "paths", "attach"]

BURST = 6
_LINE = re.compile(r"^(\d+) +([a-z0-9_]+)\((.*)$")
_FOLDERS = ("", "open", "ledger", "spool", "spool/hub", "spool/hub/lock", "last-event-id", "document.json")
_LANES = ("telemetry", "reports", "events", "logs")
_ATTACHED_AFTER = 3
"""Beats: what is loaded late is loaded by then."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to go wrong: `error` at the k-th `call`, seen in this way."""

    way: Way
    manner: Manner
    call: str
    error: str
    k: int

    def __str__(self) -> str:
        return f"{self.way} {self.manner} {self.call} {self.error} {self.k}"

    @property
    def last(self) -> int:
        """The last call that is hit."""
        return self.k + BURST - 1 if self.manner == "burst" else self.k

    def injection(self) -> Sequence[str]:
        """What strace is told."""
        if self.manner == "short":
            return ()
        what = "signal=SIGKILL" if self.manner == "kill" else f"error={self.error}"
        return ("-e", f"inject={self.call}:{what}:when={self.k}..{self.last}")


@dataclass(frozen=True)
class Traced:
    """The log of a life that is over."""

    lines: Sequence[str]

    def positions(self, folder: Path) -> Mapping[str, Sequence[int]]:
        """By name of call, the k (from 1) of those that touched this folder, in the order in which they came."""
        found: dict[str, dict[int, None]] = {}
        for name, k, said in self._calls():
            if str(folder) in said:
                found.setdefault(name, {})[k] = None
        return {name: list(ks) for name, ks in found.items()}

    def hit(self, fault: Fault, folder: Path) -> Sequence[bool]:
        """Of each call that the fault fell on, whether it touched this folder."""
        return [
            str(folder) in said for name, k, said in self._calls() if name == fault.call and fault.k <= k <= fault.last
        ]

    def _calls(self) -> Iterator[tuple[str, int, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for line in self.lines:
            if (call := _LINE.match(line)) is not None:
                counts[call[1], call[2]] += 1
                yield call[2], counts[call[1], call[2]], call[3]


@contextmanager
def watched(device: Device, way: Way, calls: Sequence[str], fault: Fault | None = None) -> Iterator[Program]:
    """A life of the agent whose calls are logged, and that meets the fault."""
    log = _log(device)
    told = ["-f", "-y", "-q", "-o", str(log), "-e", f"trace={','.join(calls)}", "-e", "signal=SIGKILL"]
    told += [*(fault.injection() if fault else ()), *(_paths(device.state) if way == "paths" else ())]
    if fault is not None and fault.manner == "short":
        with device.alive(("prlimit", f"--fsize={fault.k}:unlimited", "--")) as agent:
            yield agent
    elif way == "attach":
        with device.alive() as agent:
            wait_for(device.beaten(_ATTACHED_AFTER), agent)
            with _attached(agent, told):
                yield agent
    else:
        # With its filter in the kernel strace is faster, and injects no signals. With -D the tracer is a grandchild:
        # who is started is the program itself, and the tracer ends with it.
        quick = () if fault is not None and fault.manner == "kill" else ("--seccomp-bpf",)
        with device.alive(("strace", "-D", *told, *quick)) as agent:
            yield agent


def lift_the_limit(agent: Program) -> None:
    """Files may grow again."""
    if agent.lives:
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def wait_for(condition: Callable[[], bool], agent: Program) -> bool:
    """Wait until the condition holds, or the agent ends; False when neither came to be."""
    try:
        until(lambda: condition() or not agent.lives, within=PATIENCE)
    except AssertionError:
        return False
    return True


def trace_of(device: Device, agent: Program) -> Traced:
    """The log of the life that just ended, read once it is whole."""
    log, begin = _log(device), f"{agent.pid} "
    until(lambda: any(line.startswith(begin) and " +++ " in line for line in _lines(log)), within=PATIENCE)
    return Traced(_lines(log))


@contextmanager
def _attached(agent: Program, told: Sequence[str]) -> Iterator[None]:
    """A tracer beside a process that runs already; it ends with that.

    strace now and then gives up while it attaches to a process of many threads ("ptrace_syscall_info.op == 2"): nothing
    was injected then, and another one is begun.
    """
    for _ in range(_ATTEMPTS):
        tracer = subprocess.Popen(["strace", *told, "-p", str(agent.pid)], stdin=subprocess.DEVNULL)
        until(partial(_is_settled, tracer, agent), within=PATIENCE)
        if tracer.poll() is None or not agent.lives:
            break
    try:
        yield
        until(lambda: not agent.lives, within=PATIENCE)
        tracer.wait(PATIENCE)
    finally:
        if tracer.poll() is None:
            tracer.terminate()
            tracer.wait()


def _is_settled(tracer: "subprocess.Popen[bytes]", agent: Program) -> bool:
    """Whether the one is attached to the other, or one of them is gone."""
    if tracer.poll() is not None or not agent.lives:
        return True
    return "TracerPid:\t0\n" not in Path(f"/proc/{agent.pid}/status").read_text()


def _log(device: Device) -> Path:
    return device.folder / "strace.log"


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []


def _paths(state: Path) -> Sequence[str]:
    known = [*_FOLDERS, *(f"spool/hub/{lane}" for lane in _LANES)]
    return [part for name in known for part in ("-P", str(state / name))]
