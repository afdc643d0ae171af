"""What to do about a source that cannot be read: a group, a rule, a service, a mount; words for `checks/sensors`.

The agent is not root. Where doctor is, files that others may not read are told too: what it reads itself proves nothing
of the agent. A source that is closed is told with who may read it. A fix holds over a restart of the machine: numbers
of hwmon chips change then, so what lies in sysfs is opened by a rule of udev and not by its path.

Does not handle: access lists, security modules.
"""

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_agent.cli.extras import installs

DROP_IN = "`systemctl edit edge-agent`: [Service] SupplementaryGroups="
_RULES = "/etc/udev/rules.d/70-edge-agent.rules"
_DEBUG = "/sys/kernel/debug/"
_JTOP = (
    "leave it, or take it from jtop's root service: `pip3 install jetson-stats` and `jtop --install-service` as root, "
    f'[collectors."jetson.jtop"] enabled = true with python = "/usr/bin/python3", and {DROP_IN}jtop '
    "(the agent could then set modes and fans, too)"
)
_METER = "edge-agent-energy"
"""A group for the energy counters."""
FILES = (
    "`--volume /etc/nv_tegra_release:/etc/nv_tegra_release:ro --volume /etc/nvpmodel.conf:/etc/nvpmodel.conf:ro "
    "--volume /var/lib/nvpmodel:/var/lib/nvpmodel:ro`"
)
BOARD = (
    "start the container with `--security-opt systempaths=unconfined` (podman: `--security-opt unmask=/sys/firmware`, "
    f"Kubernetes: `procMount: Unmasked`) and {FILES}"
)
POWER = (
    "is the driver loaded (`modprobe ina3221`; L4T 32: ina3221x) and /sys all there? A Nano of 2 GB has no monitor: "
    "leave it there"
)


class Closed(NamedTuple):
    """What keeps others from a file, and what opens it."""

    what: str
    fix: str


def program_fix(name: str, reason: str) -> str:
    """What to do about a source that is a program."""
    match name, reason:
        case "jtop", "missing" | "not installed":
            return f'`{installs("jetson")}`, or python = "/usr/bin/python3" where the board has jetson-stats'
        case "jtop", "version mismatch":
            return "the client must be of the service's version, major and minor: `jtop --version`, and install that"
        case "jtop", "no permission":
            return (
                f"{DROP_IN}jtop (the agent could then set modes and fans, too); in a container "
                "`--group-add $(getent group jtop | cut -d: -f3)`"
            )
        case "jtop", _:
            return "`systemctl enable --now jtop`; in a container `--volume /run/jtop.sock:/run/jtop.sock`"
        case "tegrastats", "missing":
            return (
                "`apt install nvidia-l4t-tools`; in a container `--volume /usr/bin/tegrastats:/usr/bin/tegrastats:ro`"
            )
        case "tegrastats", _:
            return "run `tegrastats` by hand as the agent's user: what it prints is all that the agent sees"
        case "nvml", "missing" | "not installed":
            return f"`{installs('nvidia')}`"
        case "nvml", "no permission":
            return f"{DROP_IN}video render; in a container `--group-add video --group-add render`"
        case "nvml", _:
            return "does `nvidia-smi` answer? In a container `--runtime nvidia` brings the driver's library and devices"
        case _:
            return "turn its collector off"


def closed(root: Path, source: str) -> Closed:
    """What keeps the agent from reading a file that is there."""
    if source.startswith(_DEBUG):
        return Closed("only root may read debugfs", _JTOP)
    if source.endswith("/energy_uj"):
        return Closed("only root may read the energy counters", _energy())
    shut = list(_shut(root, source))
    group = _group(root / source[1:])
    if group is not None and shut in ([], [source]):
        return Closed(f"only root and the group {group} may read it", f"{DROP_IN}{group}")
    device = _device(root, source)
    if device is not None:
        return Closed("only root may read it", _rule(*device))
    modes = "; ".join(f"`z {path} {'0444' if path == source else '0755'} - - -`" for path in shut or [source])
    return Closed(
        "only root may read it", f"{modes} in /etc/tmpfiles.d/edge-agent.conf, and `systemd-tmpfiles --create`"
    )


def is_closed(root: Path, source: str) -> bool:
    """Whether others than its owner and group may not read a file, or not reach it."""
    return bool(list(_shut(root, source)))


def _shut(root: Path, source: str) -> Iterator[str]:
    """The folders above a file that others may not pass, and the file when they may not read it."""
    real = Path(os.path.realpath(root))
    path = Path(os.path.realpath(root / source[1:]))
    try:
        above = [folder for folder in reversed(path.parents) if folder.is_relative_to(real) and folder != real]
        shut = [folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH]
        if not path.stat().st_mode & stat.S_IROTH:
            shut.append(path)
    except OSError:
        return
    for one in shut:
        yield source if one == path else f"/{one.relative_to(real)}"


def _device(root: Path, source: str) -> tuple[str, str] | None:
    """The subsystem of the device of sysfs that a file belongs to, and the file's name within it."""
    real = Path(os.path.realpath(root / source[1:]))
    if not source.startswith("/sys/"):
        return None
    for folder in real.parents:
        link = folder / "subsystem"
        if link.is_symlink():
            return link.readlink().name, str(real.relative_to(folder))
    parts = source.split("/")
    named = parts[2] == "class" and len(parts) > len(("", "sys", "class", "hwmon", "hwmon0"))
    return (parts[3], "/".join(parts[5:])) if named else None


def _energy() -> str:
    """A group of the agent's own: the counters were closed to others since they tell secrets (CVE-2020-8694)."""
    run = f'RUN+="/bin/chgrp {_METER} /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
    rule = f'SUBSYSTEM=="powercap", ACTION=="add", TEST=="energy_uj", {run}'
    return (
        f"leave it, or open it to the agent alone (whoever reads it may learn what others compute, CVE-2020-8694): "
        f"`groupadd --system {_METER}`; `{rule}` in {_RULES}; "
        f"`udevadm trigger --action=add --subsystem-match=powercap`; {DROP_IN}{_METER}"
    )


def _rule(subsystem: str, file: str) -> str:
    rule = f'SUBSYSTEM=="{subsystem}", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/{file}"'
    return f"`{rule}` in {_RULES}; then `udevadm trigger --action=add --subsystem-match={subsystem}`"


def _group(path: Path) -> str | None:
    try:
        said = path.stat()
        return grp.getgrgid(said.st_gid).gr_name if said.st_mode & stat.S_IRGRP and said.st_gid else None
    except (OSError, KeyError):
        return None
