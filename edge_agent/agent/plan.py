"""Plans: what one generation samples, built whole before the running one is interrupted.

A plan that cannot be built raises and interrupts nothing. Collectors are built here, from the offers that the config
chose; building one may import its library and look for its sources, so it is done off the loop.

The resource is what the machine is known by as long as this generation lasts: what its files say of it, and on a Jetson
the module, the chip and the release. What they do not say is left out.
"""

import platform
from dataclasses import dataclass, replace

from edge_agent.collectors.jetson.board import UNKNOWN, board_of
from edge_agent.config.load import Loaded
from edge_agent.config.shelf import CollectorChoice
from edge_agent.kit.hostfile import HostFile
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
    claims = (choice.offer.claims for choice in loaded.collectors)
    claiming = replace(host, claimed=host.claimed.union(*claims))
    schedules = tuple(_schedule(choice, claiming) for choice in loaded.collectors)
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
            hint=f'turn it off: [collectors."{choice.name}"] enabled = false',
        ) from error
    return Schedule(choice.name, collector, choice.interval, choice.timeout)


def _identity(host: Host) -> dict[str, str]:
    """What the machine says of itself, below its root."""
    found = {}
    for name, file in _IDENTITY.items():
        try:
            said = HostFile(host, file).read().decode("utf-8", "replace").strip("\0\n ")
        except OSError:
            continue
        if said:
            found[name] = said[:256]
    if host.live:
        found["host.arch"] = platform.machine()
    return {**found, **_jetson(host)}


def _jetson(host: Host) -> dict[str, str]:
    board = board_of(host)
    if board is None:
        return {}
    facts = {
        "device.manufacturer": "NVIDIA",
        "device.model.identifier": board.module,
        "jetson.soc": board.soc,
        "jetson.l4t.version": board.l4t,
        "jetson.jetpack.version": board.jetpack,
    }
    return {name: said for name, said in facts.items() if said != UNKNOWN}
