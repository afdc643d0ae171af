"""Generations: follows the hub's signed config document and turns the page when a new one can be built.

A document is fetched when the hub says hello or that it changed. It is believed when its envelope opens with a trusted
key that may say `config`, it names this device, and its version is above the last one taken; the next plan is built
before the running one is interrupted, and a document that cannot be applied interrupts nothing and is reported with
the key that is wrong. What was taken is kept on disk (`document.json`, the envelope as it came) and stands again at
the next start without a hub; one that local bounds meanwhile forbid gives way to the local settings.

Probation (going back by itself from a config that cuts the device off) is not here yet.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import anyio
import orjson

from edge_agent.agent.plan import Plan, build_plan
from edge_agent.config.document import apply
from edge_agent.config.load import Loaded
from edge_agent.kit.backoff import Backoff
from edge_agent.model.buffers import Reports
from edge_agent.model.failure import ConfigError, DeviceError, Malformed
from edge_agent.model.http import Unreachable
from edge_agent.model.lamp import Lamps
from edge_agent.model.offers import Dialect
from edge_agent.model.ports import Clock, Disk, Host, Link, Worker
from edge_agent.wire.envelope import open_envelope
from edge_agent.wire.headers import passes

_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A config document that opened: `values` as the hub sent them, not yet judged."""

    version: int
    values: Mapping[str, Any]


def open_document(envelope: bytes, keys: Mapping[str, bytes], device: str) -> Document:
    """The document in a signed envelope; Malformed when it is not signed for this device or says something else."""
    _key_id, body = open_envelope("config", envelope, keys)
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("bad_json", f"the config document is not JSON: {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get("values"), dict):
        raise Malformed("bad_document", "the config document has no values", field="values")
    if said.get("device") != device:
        raise Malformed("wrong_device", f"the config document is for {said.get('device')!r}", field="device")
    version = said.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed("bad_document", "the config document has no version", field="version")
    return Document(version, said["values"])


class Generations:
    """Holds the next plan, once there is one, and fetches documents on a nudge."""

    def __init__(
        self,
        *,
        loaded: Loaded,
        keys: Mapping[str, bytes],
        file: Path,
        dialect: Dialect,
        link: Link,
        disk: Disk,
        worker: Worker,
        clock: Clock,
        backoff: Backoff,
        host: Host,
        reports: Reports,
        lamps: Lamps,
    ) -> None:
        self._loaded, self._keys, self._file = loaded, keys, file
        self._device = loaded.settings.device.id
        self._dialect, self._link, self._disk, self._worker = dialect, link, disk, worker
        self._clock, self._backoff, self._host, self._reports, self._lamps = clock, backoff, host, reports, lamps
        self._version = 0
        self._refused = b""
        self._nudged = anyio.Event()
        self._turned = anyio.Event()
        self._next: Plan | None = None

    async def first(self) -> Plan:
        """The plan to start with: the last document's, or the local settings' when there is none that stands."""
        try:
            envelope = await self._worker.run(self._disk.read, self._file, 0, _LARGEST)
        except OSError:
            return await self._worker.run(build_plan, self._loaded, self._host)
        try:
            document = open_document(envelope, self._keys, self._device)
            self._version = document.version
            plan = await self._build(document)
        except (Malformed, ConfigError, DeviceError) as error:
            self._lamps.light("config", "warn", f"the kept config document does not stand: {error}; local settings")
            return await self._worker.run(build_plan, self._loaded, self._host)
        self._lamps.light("config", "ok", f"document {document.version}")
        return plan

    def nudge(self) -> None:
        """There may be a new document: fetch it."""
        self._nudged.set()

    async def turn(self) -> Plan:
        """Wait for the next generation."""
        await self._turned.wait()
        self._turned = anyio.Event()
        assert self._next is not None, "the page turns only with a plan"
        return self._next

    async def run(self) -> NoReturn:
        """Fetch on each nudge, again with backoff while the hub does not answer."""
        while True:
            await self._nudged.wait()
            self._nudged = anyio.Event()
            while not await self._fetch():
                await self._clock.sleep(self._backoff.next())
            self._backoff.reset()

    async def _fetch(self) -> bool:
        request = self._dialect.config()
        if request is None:
            return True
        answer = await self._link.exchange(request)
        if isinstance(answer, Unreachable) or passes(answer.status):
            return False
        if answer.status == 200:  # noqa: PLR2004 - OK
            await self._take(answer.body)
        return True

    async def _take(self, envelope: bytes) -> None:
        if envelope == self._refused:
            return  # said once: a hub offers its newest document at each hello
        try:
            document = open_document(envelope, self._keys, self._device)
        except Malformed as error:
            self._refused = envelope
            self._lamps.light("config", "warn", f"a config document was refused: {error}")
            await self._report(0, "refused", error.code, str(error))
            return
        if document.version <= self._version:
            return
        try:
            plan = await self._build(document)
        except (ConfigError, DeviceError) as error:
            self._refused = envelope
            self._lamps.light("config", "warn", f"document {document.version} was refused: {error}")
            await self._report(document.version, "refused", "bad_config", str(error))
            return
        self._version = document.version
        try:
            await self._worker.run(self._disk.replace, self._file, envelope)
        except OSError as error:
            self._lamps.light("config", "warn", f"document {document.version} is not kept over a restart: {error}")
        else:
            self._lamps.light("config", "ok", f"document {document.version}")
        self._next = plan
        self._turned.set()
        await self._report(document.version, "applied", None, None)

    async def _build(self, document: Document) -> Plan:
        loaded = apply(self._loaded, document.values, document.version)
        return await self._worker.run(functools.partial(build_plan, loaded, self._host, document.version))

    async def _report(self, version: int, state: str, code: str | None, detail: str | None) -> None:
        await self._reports.report(
            {"type": "config", "version": version, "state": state, "code": code, "detail": detail}
        )
