"""Paths and names of devices without the numbers that follow the order in which drivers came up.

What a series is called must hold over boots, and where it is read is part of it. So a source is the path of the device
with such numbers written as `*`: a pattern for the shell, which mostly leads to the one file. The numbers of I2C buses
and hosts go too; addresses of chips, PCI slots and USB ports follow the wiring and stay.

    /sys/devices/platform/c240000.i2c/i2c-*/*-0040/hwmon/hwmon*/in1_input
"""

import re

_PART = re.compile(
    r"/(?:(?P<kind>hwmon|thermal_zone|cooling_device|iio:device|nvme|mmcblk|mmc|host|target|phy|i2c-)\d+"
    r"(?P<below>(?::[\da-f]+)*)"
    r"|\d+(?P<address>-[\da-f]{4}|:\d+:\d+:\d+)"
    r"|(?P<hid>[\dA-F]{4}:[\dA-F]{4}:[\dA-F]{4}\.)[\dA-F]{4})(?=/|$)"
)
"""A part of a path: a kind with its number, an I2C or SCSI address behind the bus, an instance of a USB HID device."""
_COUNTED = re.compile(r"(?<=^iwlwifi)_\d+$|_phy\d+(?=_\d+$|$)")
"""Wireless cards count themselves in their sensors' names, anew each time that their driver begins."""


def lasting_path(path: str) -> str:
    """A path as any boot knows it."""
    return _PART.sub(_starred, path)


def lasting_name(name: str) -> str:
    """A driver's name for its sensor as any boot knows it."""
    return _COUNTED.sub("", name)


def _starred(found: re.Match[str]) -> str:
    return f"/{found['kind'] or found['hid'] or ''}*{found['below'] or found['address'] or ''}"
