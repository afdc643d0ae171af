"""A machine that moves: ticks of a typical board, from a seed, the same for the same seed."""

import random
from collections.abc import Iterator

from edge_agent.model.reading import Reading, Tick

START = 86_400_000
"""Axis ms of the first tick."""


class Machine:
    """96 series of four collectors (more with more cores), each of which wanders, climbs or stands still."""

    def __init__(self, seed: int, cores: int = 12) -> None:
        self._chance = random.Random(seed)
        self._cores = cores
        self._levels: dict[tuple[str, int], float] = {}

    def ticks(self, beats: int) -> Iterator[Tick]:
        """So many beats of a second, each a tick of every collector."""
        for beat in range(beats):
            at = START + beat * 1000
            yield Tick("cpu", at, tuple(self._cpu()))
            yield Tick("power", at + self._chance.randrange(3), tuple(self._power()))
            yield Tick("memory", at, tuple(self._memory()))
            yield Tick("network", at + 1, tuple(self._network()))

    def _cpu(self) -> Iterator[Reading]:
        path = "/proc/stat"
        for core in range(self._cores):
            where = {"cpu.logical_number": str(core)}
            yield Reading("system.cpu.utilization", self._ratio("cpu", core), "1", where, digits=2, source=path)
            frequency = 2_201_600_000 if self._chance.random() < 0.7 else 1_510_400_000
            yield Reading("system.cpu.frequency", frequency, "Hz", where, source=path)
            for number, mode in enumerate(("user", "system")):
                spent = self._climb(mode, core, 0.3 - 0.2 * number)
                attributes = {**where, "cpu.mode": mode}
                yield Reading("system.cpu.time", spent, "s", attributes, "counter", 2, path)

    def _power(self) -> Iterator[Reading]:
        for zone in range(12):
            where = {"hw.id": f"thermal_zone{zone}", "hw.name": f"zone-{zone}"}
            yield Reading("hw.temperature", self._wander("heat", zone, 52, 0.15), "Cel", where, digits=1, source="/sys")
        for rail in range(6):
            where = {"hw.id": f"ina3221/{rail}"}
            power = round(self._wander("power", rail, 4.2, 0.2) / 0.04) * 0.04  # converters count in steps
            yield Reading("hw.power", power, "W", where, digits=3, source="/sys")
            voltage = round(self._wander("volt", rail, 19.1, 0.004) / 0.008) * 0.008
            yield Reading("hw.voltage", voltage, "V", where, digits=3, source="/sys")
        yield Reading("hw.gpu.utilization", self._ratio("gpu", 0), "1", digits=3, source="/sys")
        yield Reading("hw.fan.speed", None, "{rpm}", digits=0, source="/sys", reason="not_supported")

    def _memory(self) -> Iterator[Reading]:
        for number, state in enumerate(("used", "free", "cached", "buffers", "shared", "slab")):
            level = round(self._wander("memory", number, 3e9, 400_000) / 4096) * 4096
            yield Reading("system.memory.usage", level, "By", {"system.memory.state": state}, source="/proc/meminfo")
        yield Reading("system.uptime", self._climb("uptime", 0, 2), "s", kind="counter", digits=2)
        yield Reading("system.memory.limit", 64 * 2**30, "By", source="/proc/meminfo")

    def _network(self) -> Iterator[Reading]:
        for port in range(2):
            for way in ("receive", "transmit"):
                where = {"network.interface.name": f"eth{port}", "network.io.direction": way}
                grown = int(self._climb(way, port, 240_000))
                yield Reading("system.network.io", grown, "By", where, "counter", source="/proc/net/dev")
                yield Reading("system.network.packets", grown // 900, "{packet}", where, "counter")
        for disk in range(2):
            where = {"system.device": f"nvme{disk}n1"}
            yield Reading("system.disk.io", int(self._climb("disk", disk, 90_000)) // 512 * 512, "By", where, "counter")
            yield Reading("system.disk.errors", 0, "{error}", where, "counter")
        for number in range(2):
            yield Reading("system.filesystem.utilization", 0.4321, "1", {"mount": f"/data{number}"}, digits=4)

    def _wander(self, name: str, index: int, level: float, step: float) -> float:
        before = self._levels.setdefault((name, index), level)
        after = self._levels[name, index] = before + self._chance.gauss(0, step)
        return after

    def _ratio(self, name: str, index: int) -> float:
        return min(1.0, max(0.0, self._wander(name, index, 0.35, 0.05)))

    def _climb(self, name: str, index: int, step: float) -> float:
        before = self._levels.setdefault((name, index), 1000 * step)
        after = self._levels[name, index] = before + self._chance.random() * step
        return after
