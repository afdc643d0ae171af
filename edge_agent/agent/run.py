"""Running an agent as a process: real ports, signals, logs, the service manager."""

import asyncio
import os
import signal
from pathlib import Path

import anyio

from edge_agent.agent.agent import Agent
from edge_agent.agent.logs import Log
from edge_agent.agent.machine import Ports, real_ports
from edge_agent.config.load import Loaded
from edge_agent.config.reach import reach_of
from edge_agent.kit.notify import service_notifier

_LAST_RESORT = 28.0
"""Seconds that a stop may take: a little less than the unit's TimeoutStopSec."""


def run(loaded: Loaded, root: Path) -> None:
    """Run until SIGTERM or SIGINT; EdgeError when it cannot be begun."""
    asyncio.run(_run(make_agent(loaded, real_ports(root))))


def make_agent(loaded: Loaded, ports: Ports) -> Agent:
    """An agent in this process; ConfigError when the hub or its key file is not named."""
    return Agent(loaded, ports, reach_of(loaded).key, service_notifier(), Log(loaded.settings.log.level))


async def _run(agent: Agent) -> None:
    stop = anyio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, loop, stop)
    await agent.run(stop)


def _stop(loop: asyncio.AbstractEventLoop, stop: anyio.Event) -> None:
    """Stop in good order; at once when told a second time, or when something hangs.

    An end without order costs what `kill -9` costs: the next start seals what is open.
    """
    if stop.is_set():
        os._exit(1)
    stop.set()
    loop.call_later(_LAST_RESORT, os._exit, 1)
