"""Names to addresses, in a thread of ours.

What aiohttp does by itself runs in the loop's own threads, which hold the process's exit until the last nameserver gave
up. Here one worker looks names up, one after the other. A lookup that takes too long is given up; until it has come
back no other is begun, since it would only stand in line behind it. Addresses of all families that this machine has are
asked for, and nothing is remembered: the connector keeps answers for a moment.
"""

import socket

import anyio
from aiohttp.abc import AbstractResolver, ResolveResult

from edge_agent.model.ports import Offload

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """Looks names up within `limit` seconds each; what fails is an OSError."""

    def __init__(self, offload: Offload, limit: float) -> None:
        self._offload = offload
        self._limit = limit
        self._worker = offload.worker("resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name."""
        if self._worker.stuck:
            raise OSError(f"an earlier lookup of a name has not come back; {host} was not looked up")
        with anyio.move_on_after(self._limit):
            return await self._worker.run(_look_up, host, port, family)
        raise OSError(f"the name {host} was not found within {self._limit:g} s")

    async def close(self) -> None:
        """Let the thread end, once a lookup that hangs has come back."""
        self._offload.release(self._worker)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found: list[ResolveResult] = []
    for kind, _, protocol, _, place in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
    ):
        # As numbers, with the zone of an address that is only good on one wire.
        address, _ = socket.getnameinfo(place, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        found.append(ResolveResult(hostname=host, host=address, port=port, family=kind, proto=protocol, flags=_NUMERIC))
    return found
