"""Findings: what a check of `edge-agent doctor` says, and what it is given to look at.

A check is one file on the shelf `cli/checks`: its constant `CHECK` has a rank, by which checks are made one after the
other, and a coroutine from a patient to findings. Another file there is another check; no other file is edited for it.
A check changes nothing, waits for nothing without a bound, and passes over what another one tells. What an OSError or
an EdgeError says that it lets out becomes a finding of its own.

States: `ok`; `warn`, which costs something or may; `fail`, with which numbers are lost, or never arrive.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_agent.agent.machine import Ports
from edge_agent.config.load import Loaded
from edge_agent.config.reach import Reach
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.failure import ConfigError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, what was found, where, and what to do about it."""

    state: State
    what: str
    where: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at.

    `reach` is the way to the hub or why there is none, `running` what the running agent says of itself (None: nobody
    answers), `root` the folder below which the machine's own files are, and `time` what was learnt of true time: from
    the hub alone, once a check has asked it. `command` runs a command of the system: what it prints, None where there
    is none.
    """

    loaded: Loaded
    reach: Reach | ConfigError
    ports: Ports
    root: Path
    running: Mapping[str, Any] | None
    time: Timekeeper
    command: Callable[[Sequence[str]], str | None]

    @property
    def is_running(self) -> bool:
        """Whether the agent that answers runs with this very config file, as it stands now."""
        told, file = (self.running or {}).get("config", {}), self.loaded.sources.file
        if file is None or not told.get("file") or told.get("differs_on_disk"):
            return False
        # Relative to wherever the agent was started, which it does not tell.
        named, own = Path(told["file"]), file.absolute()
        return own == named or (not named.is_absolute() and own.parts[-len(named.parts) :] == named.parts)

    @property
    def home(self) -> Path | None:
        """The folder of `edge-agent up` that the config file is in; None when nothing there looks like one."""
        file = self.loaded.sources.file
        if file is None or file.absolute().parts[-2:] != ("agent", "agent.toml"):
            return None
        folder = file.absolute().parent.parent
        return folder if (folder / "agent/hub_key").exists() and (folder / "hub").is_dir() else None


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its rank among the others, and how it looks."""

    rank: int
    look: Callable[[Patient], Awaitable[Iterable[Finding]]]
