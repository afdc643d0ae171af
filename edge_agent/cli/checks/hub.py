"""The way to the hub, step by step: its name, a connection, TLS and an answer, and whether it knows the key.

Where a proxy is set the name and the connection are the proxy's. TLS and what is answered are told by a `Session`, in
the words that the agent's own lamp would have. The hub is asked twice: for `/healthz`, and for this device's own audit,
which proves the key and changes nothing but that the hub has heard of the device. Every answer teaches true time.
Without a key that can be read nothing is asked: the check of the key tells of it. Does not handle: the keys of other
backends than the native one.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import anyio

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.config.reach import Reach
from edge_agent.kit.lamps import printable
from edge_agent.link.resolver import Resolver
from edge_agent.link.session import Session
from edge_agent.model.failure import ConfigError, DeviceError
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.wire.headers import HUB_TIME

_LINK = "look at the network: address, gateway, firewall; and at [hub] url and [hub.link] proxy"


async def _look(patient: Patient) -> list[Finding]:
    reach = patient.reach
    if isinstance(reach, ConfigError):
        return []  # told with the config
    found = [finding async for finding in _line(patient, reach)]
    if all(finding.state == "ok" for finding in found) and _has_key(reach):
        found += [finding async for finding in _words(patient, reach)]
    return found


def _has_key(reach: Reach) -> bool:
    try:
        reach.key.read()
    except DeviceError:
        return False
    return True


async def _line(patient: Patient, reach: Reach) -> AsyncIterator[Finding]:
    """The name and the connection."""
    link, origin = patient.loaded.settings.hub.link, reach.origin
    host, port, whose = origin.host, origin.port, "the hub"
    if link.proxy is not None:
        try:
            parts = urlsplit(link.proxy)
            host, port, whose = parts.hostname or "", parts.port or 80, "the proxy"
        except ValueError:
            host = ""
        if not host:
            fix = "write it as http://host:port, or as http://user:password@host:port"
            yield Finding("fail", "what stands there is no address of a proxy", "[hub.link] proxy", fix)
            return
    resolver = Resolver(patient.ports.offload, link.connect_timeout)
    try:
        addresses = [found["host"] for found in await resolver.resolve(host, port, socket.AF_UNSPEC)]
    except OSError as error:
        yield Finding(
            "fail",
            f"the name of {whose} does not resolve: {error.strerror or error}",
            host,
            "look at /etc/resolv.conf and the network; or write an address in place of the name",
        )
        return
    finally:
        await resolver.close()
    yield Finding("ok", f"the name of {whose} is {', '.join(dict.fromkeys(addresses))}", host)
    failures = []
    for address in dict.fromkeys(addresses):
        failure = await _failure(address, port, link.connect_timeout)
        if failure is None:
            yield Finding("ok", f"{whose} takes connections", f"{address} port {port}")
            return
        failures.append(f"{address}: {failure}")
    yield Finding("fail", f"no connection to {whose}: {'; '.join(failures)}", f"port {port}", _LINK)


async def _failure(address: str, port: int, limit: float) -> str | None:
    """Why no connection stands within so many seconds; None when one does."""
    try:
        with anyio.fail_after(limit):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"nobody answers within {limit:g} s"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    writer.close()
    return None


async def _words(patient: Patient, reach: Reach) -> AsyncIterator[Finding]:
    """What is answered, and whether the key is known."""
    settings, ports, where = patient.loaded.settings, patient.ports, str(reach.origin)
    session = Session(settings.hub.link, reach.origin, reach.key, ports.clock, patient.time, ports.offload)
    try:
        answer = await session.exchange(Request("GET", "/healthz"))
        if isinstance(answer, Unreachable):
            yield Finding("fail", answer.reason, where, _LINK)
            return
        if reach.origin.scheme == "https":
            yield Finding("ok", "TLS stands, and its certificate is trusted", where)
        if settings.hub.dialect != "native":
            yield Finding("ok", f"something answers ({answer.status})", where)
            return
        yield _health(answer, where)
        if HUB_TIME in answer.headers:
            device = settings.device.id
            yield _known(await session.exchange(Request("GET", f"/api/v1/audit?device={quote(device)}")), device, where)
    finally:
        await session.close()


def _health(answer: Answer, where: str) -> Finding:
    if HUB_TIME not in answer.headers:
        kind = printable(answer.headers.get("content-type", "of no type"), 80)
        return Finding(
            "fail",
            f"what answers is not a hub ({answer.status}, {kind})",
            where,
            "a portal or another server stands there: correct [hub] url, or log in to the network",
        )
    if answer.status != HTTPStatus.OK:
        return Finding("warn", f"the hub is not well: it answers {answer.status}", where, "look at the hub's own log")
    return Finding("ok", "the hub answers", where)


def _known(answer: Answer | Unreachable, device: str, where: str) -> Finding:
    if isinstance(answer, Unreachable):
        return Finding("fail", answer.reason, where, _LINK)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Finding("fail", "the hub does not know the key", where, "give the device its current key, or a new one")
    if answer.status == HTTPStatus.FORBIDDEN:
        return Finding("fail", f"the key is another device's, not {device}'s", where, "correct [device] id, or the key")
    if answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        return Finding("ok", f"the hub knows the key of {device}", where)
    return Finding("warn", f"the hub answers {answer.status} to the key", where, "look at the hub's own log")


CHECK = Check(60, _look)
