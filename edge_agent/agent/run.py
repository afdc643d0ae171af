"""Running an agent as a process: real ports, signals, logs, the service manager."""

import asyncio
import os
from functools import partial
from pathlib import Path

import anyio

from edge_agent.agent.agent import Agent
from edge_agent.agent.logs import Log
from edge_agent.agent.machine import Ports, real_ports
from edge_agent.agent.stopping import when_told_to_stop
from edge_agent.config.load import Loaded
from edge_agent.config.reach import reach_of
from edge_agent.kit.notify import service_notifier
from edge_agent.model.ports import Commands

_LAST_RESORT = 28.0
"""Seconds that a stop may take: a little less than the unit's TimeoutStopSec."""


def run(loaded: Loaded, root: Path) -> None:
    """Run until it is told to stop (`agent.stopping`); EdgeError when it cannot be begun."""
    ports = real_ports(root)
    asyncio.run(_run(make_agent(loaded, ports), ports.host.commands))


def make_agent(loaded: Loaded, ports: Ports) -> Agent:
    """An agent in this process; ConfigError when the hub or its key file is not named."""
    return Agent(loaded, ports, reach_of(loaded).key, service_notifier(), Log(loaded.settings.log.level))


async def _run(agent: Agent, commands: Commands | None) -> None:
    stop = anyio.Event()
    when_told_to_stop(partial(_stop, stop, commands), again=partial(_leave, commands))
    await agent.run(stop)


def _stop(stop: anyio.Event, commands: Commands | None) -> None:
    """Stop in good order; at once when something hangs, or when told again.

    An end without order costs what `kill -9` costs: the next start seals what is open. Programs beside it are killed.
    """
    stop.set()
    asyncio.get_running_loop().call_later(_LAST_RESORT, _leave, commands)


def _leave(commands: Commands | None) -> None:
    if commands is not None:
        commands.end()
    os._exit(1)
