"""What a chip of /sys/class/hwmon is: its driver's name and its place, as `coretemp@platform/coretemp.0`.

The place is the path of the device below /sys/devices, without the parts of it that are numbered as drivers come up
(`hwmon3`, `nvme0`, `phy1`, the host number of a SATA port, the instance of a USB HID device). Several chips of one name
on one device are told apart by whoever lists them. Numbers of USB ports stay, and those of I2C buses on boards whose
devices are described to the kernel (`of_node`): they follow the wiring. On others a bus goes by its adapter's name, as
`spd5118@pci0000:00/0000:00:14.0/SMBus PIIX4 adapter port 0 at 0b00/0051`.
"""

import re

from edge_agent.collectors.sysfs.lasting import lasting_name
from edge_agent.collectors.sysfs.parts import label, names_in
from edge_agent.model.ports import Host

_NUMBERED = re.compile(r"(/(hwmon|nvme|ieee80211)(/[a-z_]+\d+)?|/(hwmon|nvme|phy)\d+)+$")
_HID = re.compile(r"(/[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4})\.[0-9A-F]{4}$")
_DISK = re.compile(r"/host\d+/target\d+:(\d+:\d+)/\d+:\d+:\d+:(\d+)$")
_I2C = re.compile(r"(?P<adapter>(?P<parent>.*)/i2c-\d+)/\d+-(?P<address>[0-9a-f]{4})(?P<below>/.*|$)")
_ZONES = "sys/class/thermal"


def files_at(host: Host, path: str) -> str:
    """The folder of the files of the chip at this path: its own, or its device's, where old drivers put them."""
    device = f"{path}/device"
    return device if "name" not in names_in(host, path) and "name" in names_in(host, device) else path


def chip(host: Host, path: str, name: str, zones: frozenset[str]) -> str | None:
    """How the chip of this name is known, in this folder of the device; None where another collector has it."""
    if name in host.claimed or name in zones or "/thermal_zone" in path or "/power_supply/" in path:
        return None
    _devices, below, device = _on_bus(host, path).rpartition("sys/devices/")
    for pattern, kept in ((_NUMBERED, ""), (_HID, r"\1"), (_DISK, r"/target:\1:\2")):
        device = pattern.sub(kept, device)
    driver = lasting_name(name)
    return f"{driver}@{device}" if below and device not in {"", "virtual"} else driver


def _on_bus(host: Host, path: str) -> str:
    """The path, by the name of the I2C bus where its number may be another one at the next boot."""
    found = _I2C.fullmatch(path)
    if found is None or "of_node" in names_in(host, found["adapter"]):
        return path
    bus = label(host, f"{found['adapter']}/name")
    return path if bus is None else f"{found['parent']}/{bus}/{found['address']}{found['below']}"


def zone_names(host: Host) -> frozenset[str]:
    """The names that thermal zones have as chips."""
    try:
        folders = [name for name in names_in(host, _ZONES) if name.startswith("thermal_zone")]
    except OSError:
        return frozenset()
    found = set()
    for folder in folders:
        try:
            kind = label(host, f"{_ZONES}/{folder}/type")
        except OSError:
            continue
        if kind:
            found.add(kind.replace("-", "_"))
    return frozenset(found)
