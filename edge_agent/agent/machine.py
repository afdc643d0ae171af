"""The world that an agent is given: this machine's clock, disk, threads, files and network.

The only place where the real ports are made; a simulation makes its own `Ports` and runs the same `Agent`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.agent.children import Children, Recorded
from edge_agent.config.settings import Hub
from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.hostfile import recorded_errors
from edge_agent.kit.offload import Threads
from edge_agent.link.keyfile import Key
from edge_agent.link.origin import Origin
from edge_agent.link.session import Session
from edge_agent.model.ports import Chance, Clock, Disk, Host, Link, Offload, TrueTime


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything an agent needs of the world. `link` opens the way to a hub and closes it with its block."""

    clock: Clock
    chance: Chance
    disk: Disk
    offload: Offload
    host: Host
    link: Callable[[Hub, Key, TrueTime], AbstractAsyncContextManager[Link]]


def host_of(root: Path) -> Host:
    """The machine below a root: this one at `/` by any of its names, else a recorded one with its `errors.toml`.

    Its commands are this machine's programs, or what a recorded one's said.
    """
    if root.exists() and root.samefile("/"):
        return Host(Path("/"), live=True, commands=Children(SystemClock().now))
    return Host(root, live=False, errors=recorded_errors(root), commands=Recorded(root))


def real_ports(root: Path = Path("/")) -> Ports:
    """The ports of the machine that this process runs on; `root` is where its files are read."""
    clock, offload = SystemClock(), Threads()

    @asynccontextmanager
    async def link(hub: Hub, key: Key, time: TrueTime) -> AsyncIterator[Link]:
        origin = Origin.parse(hub.url, allow_plain_http=hub.allow_plain_http)
        session = Session(hub.link, origin, key, clock, time, offload)
        try:
            yield session
        finally:
            await session.close()

    return Ports(
        clock=clock,
        chance=system_chance(),
        disk=SystemDisk(),
        offload=offload,
        host=host_of(root),
        link=link,
    )
