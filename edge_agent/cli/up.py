"""`edge-agent up`: hub and agent on this machine, the sixty-second start.

The hub is a child process that is started again when it dies; the agent runs here. Keys and settings are made at the
first start, in one folder. Parsed by the standard library, so that what is measured is the agent alone.

The summary of `--for` counts this run: what its sampler took, and what the hub's audit says is stored, asked once
everything was pushed.
"""

import argparse
import asyncio
import errno
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import anyio
import orjson

from edge_agent.agent.agent import Agent
from edge_agent.agent.cost import own_cost
from edge_agent.agent.machine import Ports, real_ports
from edge_agent.agent.run import make_agent
from edge_agent.agent.stopping import when_told_to_stop
from edge_agent.cli.failure import tell
from edge_agent.cli.hubchild import HubChild
from edge_agent.cli.reader import let_go
from edge_agent.config.load import Loaded, load
from edge_agent.kit.scopes import running
from edge_agent.link.keyfile import KeyFile
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.failure import EdgeError, HubError
from edge_agent.model.http import Request, Unreachable

_TYPES = ["config", "echo", "flush"]
"""What the hub that `up` started may ask of the agent that it started."""


_LONGEST = 365 * 86_400.0
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line; `seconds` None runs until it is interrupted."""

    folder: Path
    port: int
    local_port: int
    seconds: float | None
    kill_hub_at: float | None
    as_json: bool


def main(argv: list[str]) -> int:
    """Run both until interrupted or for so long; 1 when readings were lost, 2 when used wrongly."""
    wishes = _parsed(argv)
    try:
        return asyncio.run(_up(wishes))
    except EdgeError as error:
        return tell(error)


def _parsed(argv: list[str]) -> Wishes:
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    parser = argparse.ArgumentParser(
        prog="edge-agent up",
        description="Hub and agent on this machine: prints the address, a one-time login link, and live status.",
        epilog="example: edge-agent up --for 30 --json",
    )
    parser.add_argument("--for", dest="seconds", type=_seconds, metavar="S", help="end by itself, with a summary")
    parser.add_argument("--kill-hub-at", type=_seconds, metavar="S", help="kill -9 the hub then; it is started again")
    parser.add_argument("--json", dest="as_json", action="store_true", help="only the summary, as JSON")
    parser.add_argument("--dir", dest="folder", type=Path, default=home / "edge-agent", help="default: %(default)s")
    parser.add_argument("--port", type=_port, default=8480, help="the hub's port (default %(default)s)")
    parser.add_argument("--local-port", type=_port, default=9555, help="the agent's own (default %(default)s)")
    told = parser.parse_args(argv)
    return Wishes(told.folder, told.port, told.local_port, told.seconds, told.kill_hub_at, told.as_json)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < _LONGEST:
        raise ValueError(text)
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= _LAST_PORT:
        raise ValueError(text)
    return port


async def _up(wishes: Wishes) -> int:
    stop = anyio.Event()
    loop = asyncio.get_running_loop()
    when_told_to_stop(stop.set)
    device = "this-machine"
    file = wishes.folder / "agent/agent.toml"
    if file.exists():
        load(file, {})  # what is wrong in it is told before anything is started
    async with HubChild(wishes.folder / "hub", wishes.port, device, wishes.folder / "agent" / "hub_key") as hub:
        loaded = _settings(wishes, hub, device)
        ports = real_ports()
        agent = make_agent(loaded, ports)
        if not wishes.as_json:
            print(f"hub      {hub.address}\nlogin    {hub.login} (once, within 15 minutes)")
            print(f"agent    http://127.0.0.1:{wishes.local_port}/status\nfolder   {wishes.folder}")
            print(f"open     {agent.runtime} (tmpfs, gone when this ends)", flush=True)
        if wishes.kill_hub_at is not None:
            loop.call_later(wishes.kill_hub_at, hub.kill)
        if wishes.seconds is not None:
            loop.call_later(wishes.seconds, stop.set)
        async with running(hub, *([] if wishes.as_json else [_Display(agent)])):
            before = own_cost()
            await agent.run(stop)
            cost = own_cost()
        if loaded.settings.state.runtime is None:
            with suppress(OSError):  # it stays where something is left to seal at the next start
                agent.runtime.rmdir()
        stored = await _stored(loaded, ports, agent)
        readings = max(1, agent.tally.readings)
        assert agent.pusher is not None, "the agent ran"
        summary: dict[str, Any] = {
            "readings_sampled": agent.tally.readings,
            "readings_stored": stored,
            "readings_lost": agent.tally.readings - stored,
            "series": agent.tally.series,
            "cpu_seconds": round(cost.cpu_seconds - before.cpu_seconds, 2),
            "uss_mib": cost.uss_mib,
            "rss_mib": cost.rss_mib,
            "wire_bytes_per_reading": round(agent.pusher.progress.bytes / readings, 2),
            "flash_bytes_per_reading": round((cost.flash_bytes - before.flash_bytes) / readings, 2),
        }
    _print(summary, as_json=wishes.as_json)
    return 1 if summary["readings_lost"] else 0


def _settings(wishes: Wishes, hub: HubChild, device: str) -> Loaded:
    """The agent's settings: the file that the first start wrote, and what is known only now."""
    file = wishes.folder / "agent/agent.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(_FILE.format(state=file.parent.absolute() / "state", port=wishes.local_port))
    trusted = {"public": hub.public_key, "types": _TYPES}
    return load(
        file,
        {
            "device": {"id": device},
            "hub": {"url": hub.address, "key_file": str(hub.key_file)},
            "trust": {hub.key_id: trusted},
            "state": {"folder": str(file.parent / "state")},
            "local": {"port": wishes.local_port},
            "log": {"level": "warning"},
        },
    )


class _Display:
    """One line, written anew each second, while standard output is a terminal; a line every ten seconds otherwise."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def run(self) -> NoReturn:
        """Show for ever."""
        agent, terminal = self._agent, sys.stdout.isatty()
        while True:
            await anyio.sleep(1 if terminal else 10)
            held = sum(buffer.depth().frames for buffer in agent.buffers.values())
            pushed = agent.pusher.progress.frames if agent.pusher else 0
            bad = [f"{lamp.part}: {lamp.note or lamp.state}" for lamp in agent.lamps.all() if lamp.state != "ok"]
            line = (
                f"{agent.tally.series} series  {agent.tally.readings:,} readings  {pushed} batches pushed"
                f"  {held} buffered  {'; '.join(bad) if bad else 'all well'}"
            )
            _say(f"\r\x1b[K{line[:150]}" if terminal else line, end="" if terminal else "\n")


async def _stored(loaded: Loaded, ports: Ports, agent: Agent) -> int:
    """How many readings of this run the hub's audit says are stored."""
    hub = loaded.settings.hub
    assert hub.key_file is not None, "up names the key file"
    path = f"/api/v1/audit?device={loaded.settings.device.id}"
    async with ports.link(hub, KeyFile(hub.key_file), Timekeeper(ports.clock)) as link:
        answer = await link.exchange(Request("GET", path))
    if isinstance(answer, Unreachable):
        raise HubError(
            f"the hub's audit could not be asked: {answer.reason}", hint="what was sealed stays in the spool"
        )
    try:
        epochs = orjson.loads(answer.body)["epochs"]
        own = f"{agent.epoch:016x}"
        return sum(int(epoch["readings"]) for epoch in epochs if epoch["epoch"] == own)
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        raise HubError(f"the hub's audit said something else: HTTP {answer.status}") from None


def _print(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _say(orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(map(len, summary))
    _say("\n".join(["", *(f"{name:<{width}}  {value:,}" for name, value in summary.items())]))


def _say(text: str, end: str = "\n") -> None:
    """Print; to nobody once the terminal is gone, of which SIGHUP tells: the end in order goes on."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        let_go()


_FILE = """\
# The agent that `edge-agent up` runs. Hub, key and folder are given by `up` itself; all else may be set here.
# `edge-agent status` and `edge-agent spool` find this agent by it: name it with --config.

[state]
folder = "{state}"

[local]
port = {port}

[labels]
# site = "desk"

[seal]
every = "10s"
"""
