"""Load and clock of the board's own GPU, for every family from TX1 to Thor, and what stands in where no file tells.

Clocks are those of /sys/class/devfreq whose device is the GPU: its node is called gpu, gv11b, gp10b, ga10b or gb10b
(`17000000.gpu`), or the clock is called `gpu-gpc-0` (Thor, whose `gpu-nvd-0` is the clock of its coders). The load is
the device's file `load`, in thousandths; `gpu.0` leads to it too, also before the GPU was powered for the first time,
when it has no clock yet. A GPU without power has load 0 and keeps its last clock, as the driver tells it. Limits of the
clocks are looked at now and then.

Thor has no load file: `order` asks NVML and what else there is. A board that is known and shows neither is absent.

Not handled: GPUs of other makers and on cards, the memory (it is the board's), tasks and contexts on the GPU.
"""

import re
from collections.abc import Iterable, Sequence

from edge_agent.collectors.jetson.board import Known
from edge_agent.collectors.jetson.choice import Choice
from edge_agent.collectors.jetson.order import Lower
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Fixed, Gauge, Part, label, number
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_FOLDER = "sys/class/devfreq"
_NODES = frozenset({"gpu", "gm20b", "gp10b", "gv11b", "ga10b", "gb10b"})
_OURS = re.compile(r"(?:57000000|17000000)\.(\w+)")
"""The addresses of the GPU on the chips so far: a container may hide the node's name."""
_PATTERN = r"[0-9a-f]{1,16}\.\w{1,16}|gpu-[a-z]{1,8}-\d{1,2}"
_FIRST_CLOCK = "gpu-gpc-0"
_ALIASES = ("sys/devices/gpu.0", "sys/devices/platform/gpu.0", "sys/devices/platform/bus@0/17000000.gpu")
_DEVICES = ("17000000.gpu", "17000000.ga10b", "17000000.gv11b", "17000000.gp10b", "57000000.gpu")
_LOADS = (*(f"{_FOLDER}/{name}/device/load" for name in _DEVICES), *(f"{alias}/load" for alias in _ALIASES))
_ID = "gpu"
_MOST = 8
_PLACE = {"hw.id": _ID}
_LOAD = Reading("hw.gpu.utilization", None, "1", {"hw.id": _ID, "hw.gpu.task": "general"}, digits=3)
_SPEED = Reading("hw.gpu.speed", None, "Hz", _PLACE, reason="missing")
_PERMILLE = 1000


class Gpu:
    """Reads the GPU's load and clocks."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host = host
        self._known = Known(host)
        self._loads: tuple[str, ...] = _LOADS
        self._load = Choice(host, self._loads)
        self._clocks = Roster(host, Kind(_FOLDER, _PATTERN, self._identify, self._parts, _MOST))
        self._lower = Lower(host)

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        clocks = self._clocks.collect()
        choice = self._load  # a clock that was late may bring another one
        load = choice.read()
        if not clocks and not choice.ever and self._known.board() is None:
            return
        value = None if load is None else load / _PERMILLE
        yield self._lower.better(_LOAD._replace(value=value, source=choice.source, reason=choice.reason))
        if not any(clock.name == _SPEED.name and clock.attributes == _PLACE for clock in clocks):
            yield self._lower.better(_SPEED._replace(source=f"/{_FOLDER}"))
        for clock in clocks:
            yield self._lower.better(clock) if clock.attributes == _PLACE else clock

    def tried(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """What was asked after the files for this series, each with its answer."""
        return self._lower.tried(reading)

    def _identify(self, path: str) -> str | None:
        name = path.rpartition("/")[2]
        if name.startswith("gpu-"):
            return _ID if name == _FIRST_CLOCK else name
        return _ID if self._is_gpu(name, path) else None

    def _is_gpu(self, name: str, path: str) -> bool:
        if found := _OURS.fullmatch(name):
            return found[1] in _NODES
        node = f"{path}/device/of_node"
        try:
            return label(self._host, f"{node}/name") in _NODES and b"nvidia," in _text(self._host, f"{node}/compatible")
        except OSError:
            return False

    def _parts(self, key: str, path: str) -> Sequence[Part]:
        load = f"{path}/device/load"
        if key == _ID and load not in self._loads:
            self._loads = (load, *_LOADS)
            self._load = Choice(self._host, self._loads)
        place = {"hw.id": key}
        return [
            Gauge(HostFile(self._host, f"{path}/cur_freq"), _SPEED._replace(attributes=place, reason=None)),
            *(
                Fixed(_read(HostFile(self._host, f"{path}/{most}_freq"), {**place, "hw.limit_type": most}))
                for most in ("min", "max")
            ),
        ]


def _read(file: HostFile, attributes: dict[str, str]) -> Reading:
    """A limit as it is now."""
    hertz, why = number(file)
    return Reading("hw.gpu.speed.limit", hertz, "Hz", attributes, source=file.source, reason=why)


def _text(host: Host, name: str) -> bytes:
    return HostFile(host, name).read_head(4096)


OFFER = CollectorOffer(NoOptions, Gpu, default=True)
