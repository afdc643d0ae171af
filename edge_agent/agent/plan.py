"""Plans: what one generation samples, built whole before the running one is interrupted.

A plan that cannot be built raises and interrupts nothing. Collectors are built here, from the offers that the config
chose; building one may import its library and look for its sources, so it is done off the loop.
"""

import platform
from dataclasses import dataclass

from edge_agent.config.load import Loaded
from edge_agent.config.shelf import CollectorChoice
from edge_agent.model.failure import ConfigError, DeviceError
from edge_agent.model.ports import Host
from edge_agent.uplink.sampler import Schedule

_IDENTITY = {
    "host.name": "proc/sys/kernel/hostname",
    "os.version": "proc/sys/kernel/osrelease",
    "device.model.name": "proc/device-tree/model",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One generation: `version` is the hub document's, 0 for the local settings alone."""

    version: int
    loaded: Loaded
    schedules: tuple[Schedule, ...]
    resource: dict[str, str]


def build_plan(loaded: Loaded, host: Host, version: int = 0) -> Plan:
    """Build every chosen collector; ConfigError or DeviceError names the one that cannot be built."""
    settings = loaded.settings
    schedules = tuple(_schedule(choice, host) for choice in loaded.collectors)
    if not schedules:
        raise ConfigError("every collector is turned off", hint="enable one, as [collectors.cpu]")
    resource = {**settings.labels, "device.id": settings.device.id, **_identity(host)}
    return Plan(version, loaded, schedules, resource)


def _schedule(choice: CollectorChoice, host: Host) -> Schedule:
    try:
        collector = choice.offer.build(choice.options, host)
    except (ImportError, OSError, ValueError) as error:
        raise DeviceError(
            f"collector {choice.name}: cannot be built: {error}",
            hint=f"turn it off: [collectors.{choice.name}] enabled = false",
        ) from error
    return Schedule(choice.name, collector, choice.interval, choice.timeout)


def _identity(host: Host) -> dict[str, str]:
    """What the machine says of itself, below its root; what it does not say is left out."""
    found = {}
    for name, file in _IDENTITY.items():
        try:
            said = (host.root / file).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            continue
        if said:
            found[name] = said[:256]
    if host.live:
        found["host.arch"] = platform.machine()
    return found
