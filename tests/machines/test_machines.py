"""Recorded machines: what each reads, one owner a series, sources that vanish and return, files that go wrong."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from edge_agent.agent.machine import host_of
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import Collector
from edge_agent.model.reading import Reading
from tests.machines.machine import (
    FOLDER,
    MACHINES,
    OPT_IN,
    Key,
    Told,
    beat,
    collectors,
    doubled,
    files_of,
    goldens,
    readings,
    words,
)
from tests.machines.shaken import shaken
from tests.machines.wounded import Machine

_NUMBERED = re.compile(r"\b(hwmon|thermal_zone|cooling_device|iio:device)\d")
"""Numbers that change over boots."""
_MINUTE, _ALL_TOLD = 60, 10
"""Beats; some series are told once in ten."""
_CLASSES = ("sys/class/hwmon", "sys/class/thermal")
_ASKED_FOR = {
    "nano-jp4", "tx2-jp4", "xavier-nx-jp5", "agx-orin-jp6", "orin-nano-jp6", "orin-jp7", "thor-jp7", "raspberry-pi-5",
    "container-without-sys-firmware", "bare-vm", "x86-desktop",
}  # fmt: skip
_STANDS = {"jetson.board"}
"""What a board is does not go with its files."""
_PROGRAMS = {"tegrastats", "jtop"}
_COUNTERS = {
    "hw.energy": "J", "jetson.oc.events": "{event}", "linux.pressure.stall.time": "s", "system.cpu.time": "s",
    "system.disk.io": "By", "system.disk.io_time": "s", "system.disk.merged": "{operation}",
    "system.disk.operation_time": "s", "system.disk.operations": "{operation}", "system.network.errors": "{error}",
    "system.network.io": "By", "system.network.packet.count": "{packet}", "system.network.packet.dropped": "{packet}",
    "system.paging.faults": "{fault}", "system.paging.operations": "{operation}", "system.process.created": "{process}",
}  # fmt: skip
_GAUGES = {
    "hw.battery.charge": "1", "hw.battery.time_left": "s", "hw.current": "A", "hw.current.limit": "A",
    "hw.fan.speed": "rpm", "hw.fan.speed.limit": "rpm", "hw.fan.speed_ratio": "1", "hw.gpu.speed": "Hz",
    "hw.gpu.speed.limit": "Hz", "hw.gpu.utilization": "1", "hw.host.power": "W",
    "hw.physical_disk.endurance_utilization": "1", "hw.power": "W", "hw.power.limit": "W", "hw.status": "1",
    "hw.temperature": "Cel", "hw.temperature.limit": "Cel", "hw.voltage": "V", "hw.voltage.limit": "V",
    "jetson.board": "1", "jetson.clocks.pinned": "1", "jetson.emc.frequency": "Hz", "jetson.emc.frequency.limit": "Hz",
    "jetson.emc.utilization": "1", "jetson.engine.frequency": "Hz", "jetson.engine.state": "1",
    "jetson.engine.utilization": "1", "jetson.memory.largest_free_block": "By", "jetson.nvmap.usage": "By",
    "jetson.nvpmodel.mode": "1", "jetson.oc.throttles": "1", "jetson.source.up": "1", "linux.cooling.state": "{step}",
    "linux.cooling.state.limit": "{step}", "linux.thread.blocked": "{thread}", "linux.thread.count": "{thread}",
    "linux.thread.runnable": "{thread}", "system.cpu.frequency": "Hz", "system.cpu.load_average.15m": "{thread}",
    "system.cpu.load_average.1m": "{thread}", "system.cpu.load_average.5m": "{thread}",
    "system.cpu.logical.count": "{cpu}", "system.cpu.utilization": "1", "system.filesystem.limit": "By",
    "system.filesystem.usage": "By", "system.filesystem.utilization": "1", "system.memory.limit": "By",
    "system.memory.linux.available": "By", "system.memory.linux.shared": "By", "system.memory.linux.slab.usage": "By",
    "system.memory.usage": "By", "system.memory.utilization": "1", "system.paging.usage": "By",
    "system.paging.utilization": "1", "system.process.count": "{process}", "system.uptime": "s",
}  # fmt: skip
"""Every name that a machine may read, with its unit: semantic conventions, and names of our own modelled on them."""
_TYPED = {"hw.power", "hw.energy", "hw.status"}
"""Where `hw.type` is required."""
_MOST = {"Cel": 160, "V": 60, "A": 40, "W": 300, "rpm": 20_000, "Hz": 6_000_000_000}
"""More than any machine here may show: a wrong scale shows."""
SEEDS = range(220)


def rows(text: bytes) -> list[str]:
    """One reading a line, as it may be compared and read in a failure."""
    return sorted(text.decode().splitlines())


def test_the_machines_that_were_asked_for_are_there() -> None:
    assert set(MACHINES) >= _ASKED_FOR


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_reads_what_was_reviewed(name: str) -> None:
    found = goldens(FOLDER / name)
    assert {path.name for path in (FOLDER / name).glob("golden*")} == set(found)
    for golden, lines in found.items():
        assert rows(b"\n".join(lines)) == rows((FOLDER / name / golden).read_bytes())


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*/golden*.jsonl")), ids=lambda path: f"{path.parent.name} {path.stem}"
)
def test_golden_readings_keep_the_rules(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        row = orjson.loads(line)
        name, value, attributes = row["name"], row["value"], row.get("attributes", {})
        assert (value is None) == bool(row.get("reason")), line
        assert row.get("source"), line
        counter = _COUNTERS.get(name)
        assert (row["unit"], row["kind"]) == ((counter, "counter") if counter else (_GAUGES.get(name), "gauge")), line
        if value is not None:
            assert value >= 0, line
            assert value <= (1 if row["unit"] == "1" else _MOST.get(row["unit"], value)), line
        if name.startswith("hw.") and name != "hw.host.power":
            assert attributes.get("hw.id"), line
            assert attributes.get("hw.type") or name not in _TYPED, line
        assert not [value for value in (*attributes.values(), row["source"]) if _NUMBERED.search(value)], line


@pytest.mark.parametrize("name", MACHINES)
def test_a_value_is_read_where_it_says(name: str) -> None:
    host, found = host_of(FOLDER / name), 0
    for one in readings(FOLDER / name):
        for file in files_of(FOLDER / name, one.reading) if one.reading.value is not None else ():
            if not (FOLDER / name / file).is_dir():
                assert HostFile(host, file).read(), one
                found += 1
    assert found


@pytest.mark.parametrize("also", [(), OPT_IN], ids=["default", "with what is opt-in"])
@pytest.mark.parametrize("name", MACHINES)
def test_a_series_has_one_owner(name: str, also: tuple[str, ...]) -> None:
    told = readings(FOLDER / name, also)
    assert not doubled(told)
    owners: dict[Key, set[str]] = {}
    for one in told:
        owners.setdefault(one.key, set()).add(one.collector)
    assert not {key: held for key, held in owners.items() if len(held) > 1}


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_asked_for_besides_takes_no_value_away(name: str) -> None:
    plain, more = (
        {one.key: one.reading.value for one in readings(FOLDER / name, also) if one.reading.value is not None}
        for also in ((), OPT_IN)
    )
    assert {key: value for key, value in more.items() if key in plain} == plain


def numbered(root: Path) -> list[tuple[str, str]]:
    """The chips and zones of a machine, whose numbers change over boots: class link, and folder."""
    return [
        (f"{place}/{entry}", os.path.relpath(os.path.realpath(root / place / entry), root))
        for place in _CLASSES
        for entry in sorted(link.name for link in (root / place).glob("*"))
        if entry.startswith(("hwmon", "thermal_zone"))
    ]


@pytest.mark.parametrize("name", [name for name in MACHINES if numbered(FOLDER / name)])
def test_sensors_that_vanish_are_absent_and_return_under_other_numbers(name: str, tmp_path: Path) -> None:
    machine = Machine.copied(name, tmp_path)
    # What cannot be a file keeps its path: such sensors stay where they are.
    stay = {str(Path(path).parent) for path in machine.errors}
    moving = [pair for pair in numbered(machine.root) if not stay & set(pair)]
    moved = {folder for _link, folder in moving}
    mine = {key: one.reading for key, one in machine.told.items() if moved & folders(machine.sources[key])}
    assert mine
    built = machine.built()
    for _ in range(2):
        beat(built)

    for link, folder in sorted(moving, key=lambda pair: -len(pair[1])):
        (machine.root / link).unlink()
        shutil.move(machine.root / folder, tmp_path / f"away {folder.replace('/', ' ')}")
    after = [values(beat(built)) for _ in range(_MINUTE)][-1]
    for key, reading in mine.items():
        if reading.value is not None:
            assert after.get(key) is None or after[key].value is None, f"{key} is still {after[key]}"
    live = {key for key, reading in mine.items() if reading.value is not None and not key[0].endswith(".limit")}
    assert {key: after[key].reason for key in live} == dict.fromkeys(live, "gone")

    for link, folder in moving:
        other = folder[: len(folder.rstrip("0123456789"))] + f"9{folder[len(folder.rstrip('0123456789')) :]}"
        shutil.move(tmp_path / f"away {folder.replace('/', ' ')}", machine.root / other)
        place = (machine.root / link).parent
        (place / Path(other).name).symlink_to(os.path.relpath(machine.root / other, place))
    again = [values(beat(built)) for _ in range(_MINUTE)][-1]
    was = {key: (reading.value, reading.reason) for key, reading in mine.items()}
    assert {key: (again[key].value, again[key].reason) for key in was} == was


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_of_which_nothing_is_left_is_absent_and_returns(name: str, tmp_path: Path) -> None:
    machine = Machine.copied(name, tmp_path)
    built = machine.built()
    was = values(words(built, _ALL_TOLD))
    parts = [path for path in machine.root.iterdir() if path.name != "errors.toml"]
    for part in parts:
        shutil.move(part, tmp_path / f"away {part.name}")
    lost = settled(built)
    assert not was.keys() - lost.keys(), "told no more"
    assert {key: one.value for key, one in lost.items() if one.value is not None and key[0] not in _STANDS} == {}
    assert [key for key, one in lost.items() if one.value is None and not one.reason] == []
    for part in parts:
        shutil.move(tmp_path / f"away {part.name}", part)
    again = settled(built)
    assert {key: (again[key].value, again[key].source) for key in was} == {
        key: (one.value, one.source) for key, one in was.items()
    }


@pytest.mark.parametrize("name", MACHINES)
def test_what_a_machine_gets_while_it_is_read_is_found(name: str, tmp_path: Path) -> None:
    machine = Machine.copied(name, tmp_path)
    parts = [path for path in machine.root.iterdir() if path.name != "errors.toml"]
    for part in parts:
        shutil.move(part, tmp_path / f"away {part.name}")
    built = machine.built()
    for _ in range(2):
        beat(built)
    for part in parts:
        shutil.move(tmp_path / f"away {part.name}", part)
    found = settled(built)
    assert {key: found[key].value if key in found else "nothing" for key in machine.told} == {
        key: one.reading.value for key, one in machine.told.items()
    }


@pytest.mark.parametrize("name", [name for name in MACHINES if (FOLDER / name / "commands").is_dir()])
def test_what_programs_tell_is_absent_without_them_and_returns(name: str, tmp_path: Path) -> None:
    machine = Machine.copied(name, tmp_path)
    built = collectors(host_of(machine.root), OPT_IN)
    was = values(words(built, _ALL_TOLD))
    told = {key: one for key, one in was.items() if one.source in _PROGRAMS and one.value is not None}
    assert told
    shutil.move(machine.root / "commands", tmp_path / "away")
    lost = settled(built)
    assert {key: lost[key].value for key in told} == dict.fromkeys(told)
    assert {key: one.value for key, one in lost.items() if key not in told} == {
        key: one.value for key, one in was.items() if key not in told
    }
    shutil.move(tmp_path / "away", machine.root / "commands")
    again = settled(built)
    assert {key: (again[key].value, again[key].source) for key in was} == {
        key: (one.value, one.source) for key, one in was.items()
    }


def settled(built: Mapping[str, Collector]) -> dict[Key, Reading]:
    """What is told after a minute of beats."""
    for _ in range(_MINUTE - _ALL_TOLD):
        beat(built)
    return values(words(built, _ALL_TOLD))


def folders(sources: frozenset[str]) -> set[str]:
    """Every folder above these files."""
    return {str(above) for source in sources for above in Path(source).parents}


def values(told: list[Told]) -> dict[Key, Reading]:
    return {one.key: one.reading for one in told}


def test_whatever_goes_wrong_with_files_costs_their_own_readings_only(tmp_path: Path) -> None:
    found = list(shaken(tmp_path, SEEDS))
    assert not found, "\n".join(found[:20])


def test_a_machine_without_anything_yields_hardly_anything(tmp_path: Path) -> None:
    built = collectors(host_of(tmp_path))
    told = [one for _ in range(2) for one in beat(built)]
    assert [one for one in told if one.reading.value is not None] == []
    assert {one.collector for one in told} <= {"cpu", "load", "memory", "network", "pressure", "uptime", "processes"}
