"""What the collectors of sysfs share: one bad file costs its own readings only, whatever is bad about it."""

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge_agent.collectors import battery, frequency, hwmon, powercap, thermal, wear
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import Gauge, fetch, names_in, number, told
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import MOST, HostFile
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.tree import plant, table

OFFERS: tuple[CollectorOffer[Any], ...] = (
    thermal.OFFER,
    hwmon.OFFER,
    frequency.OFFER,
    battery.OFFER,
    powercap.OFFER,
    wear.OFFER,
)
THERMAL, CHIP, CPU = "sys/class/thermal", "sys/class/hwmon/hwmon", "sys/devices/system/cpu"
BATTERY, ENERGY, DISK = "sys/class/power_supply/BAT0", "sys/class/powercap/intel-rapl:0", "sys/block/mmcblk0/device"
MACHINE = {
    f"{THERMAL}/thermal_zone0/type": "cpu-thermal", f"{THERMAL}/thermal_zone0/temp": "47500",
    f"{THERMAL}/thermal_zone0/trip_point_0_type": "critical", f"{THERMAL}/thermal_zone0/trip_point_0_temp": "104500",
    f"{THERMAL}/thermal_zone1/type": "gpu-thermal", f"{THERMAL}/thermal_zone1/temp": "42000",
    f"{THERMAL}/cooling_device0/type": "pwm-fan", f"{THERMAL}/cooling_device0/cur_state": "1",
    f"{THERMAL}/cooling_device0/max_state": "3",
    f"{CHIP}0/name": "board", f"{CHIP}0/temp1_input": "40000", f"{CHIP}0/temp1_label": "inlet",
    f"{CHIP}0/temp1_crit": "90000", f"{CHIP}0/temp1_fault": "0", f"{CHIP}0/temp1_alarm": "1",
    f"{CHIP}0/in1_input": "5000",
    f"{CHIP}1/name": "pwmfan", f"{CHIP}1/pwm1": "77",
    f"{CPU}/online": "0-1", f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "729600",
    f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1728000",
    f"{BATTERY}/type": "Battery", f"{BATTERY}/capacity": "81", f"{BATTERY}/voltage_now": "11660000",
    f"{BATTERY}/current_now": "429000", f"{BATTERY}/status": "Full",
    f"{ENERGY}/name": "package-0", f"{ENERGY}/energy_uj": "1500000", f"{ENERGY}/max_energy_range_uj": "900000000",
    f"{DISK}/name": "G1", f"{DISK}/serial": "0x1", f"{DISK}/life_time": "0x01 0x02", f"{DISK}/pre_eol_info": "0x01",
}  # fmt: skip
BAD: Mapping[str, bytes | int | None] = {
    "missing": None,
    "empty": b"",
    "binary": bytes(range(256)),
    "huge": -2,
    "many digits": b"9" * 5000,
    "EAGAIN": errno.EAGAIN,
    "EINVAL": errno.EINVAL,
    "EIO": errno.EIO,
    "ENODATA": errno.ENODATA,
    "EACCES": errno.EACCES,
    "ENODEV": errno.ENODEV,
    "folder": 0,
    "circle": -1,
}


def spoil(root: Path, name: str, bad: bytes | int | None, errors: dict[str, int]) -> None:
    """Make one file bad."""
    path = root / name
    if isinstance(bad, bytes):
        path.write_bytes(bad)
    elif bad is not None and bad > 0:
        errors[name] = bad
    elif bad == BAD["huge"]:
        os.truncate(path, MOST + 1)
    else:
        path.unlink()
        if bad == 0:
            path.mkdir()
        elif bad is not None:
            path.symlink_to(path.name)


def said(host: Host) -> dict[str, float | str | None]:
    """What all collectors say of it at once."""
    return table(one for offer in OFFERS for one in offer.build(offer.options(), host).collect())


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_one_bad_file_costs_its_own_readings_only(tmp_path: Path, bad: bytes | int | None) -> None:
    plant(tmp_path, MACHINE)
    errors: dict[str, int] = {}
    host = replace(Host(tmp_path, live=False), errors=errors)
    clean = said(host)
    assert None not in clean.values()
    assert len(clean) == 26
    for name, content in MACHINE.items():
        collectors = [offer.build(offer.options(), host) for offer in OFFERS]
        assert table(one for collector in collectors for one in collector.collect()) == clean
        spoil(tmp_path, name, bad, errors)
        readings = [one for collector in collectors for one in collector.collect()]
        now = table(readings)
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).unlink(missing_ok=True)
        plant(tmp_path, {name: content})
        errors.clear()
        assert now.keys() == clean.keys()
        lost = {one.source for one in readings if one.value is None}
        own = lasting_path(
            name.replace("_fault", "_input")
        )  # while it is not known whether a sensor is broken, its number is not
        assert lost <= {source for source in lost if f"/{own}" in source.split()}, name
        assert {key: value for key, value in now.items() if not isinstance(value, str)}.items() <= clean.items(), name
    for _beat in range(31):
        after = table(one for collector in collectors for one in collector.collect())
    assert after == clean


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_machine_that_is_met_with_a_bad_file_tells_nothing_that_is_not_so(
    tmp_path: Path, bad: bytes | int | None
) -> None:
    plant(tmp_path, MACHINE)
    clean = said(Host(tmp_path, live=False))
    values = {(key.split()[0], value) for key, value in clean.items()}
    for number_of, name in enumerate(MACHINE):
        root = tmp_path / str(number_of)
        plant(root, MACHINE)
        errors: dict[str, int] = {}
        spoil(root, name, bad, errors)
        now = said(replace(Host(root, live=False), errors=errors))
        assert {(key.split()[0], value) for key, value in now.items() if not isinstance(value, str)} <= values, name


class _Gated(HostFile):
    """A file that answers EAGAIN some times before it tells."""

    def __init__(self, host: Host, times: int) -> None:
        super().__init__(host, "temp")
        self.times, self.reads = times, 0

    def reread(self) -> bytes:
        self.reads += 1
        if self.reads <= self.times:
            raise OSError(errno.EAGAIN, "gated")
        return b"1000\n"


@pytest.mark.parametrize(("times", "told"), [(0, (1000, None)), (1, (1000, None)), (2, (None, "EAGAIN"))])
def test_eagain_is_asked_once_more_and_no_more(tmp_path: Path, times: int, told: tuple[int | None, str | None]) -> None:
    file = _Gated(Host(tmp_path, live=False), times)
    assert number(file) == told
    assert file.reads == min(times + 1, 2)


@pytest.mark.parametrize("text", ["1 2", "1.5", "0x10", "1_0", "+1", "--1", "1" * 21, "\u0661"])
def test_what_is_no_whole_number_is_malformed(tmp_path: Path, text: str) -> None:
    plant(tmp_path, {"x": text.encode()})
    assert number(HostFile(Host(tmp_path, live=False), "x")) == (None, "malformed")


def test_members_that_went_make_room_for_others(tmp_path: Path) -> None:
    def parts(key: str, path: str) -> list[Gauge]:
        return [Gauge(HostFile(host, f"{path}/n"), Reading("x", None, "1", {"id": key}))]

    host = Host(tmp_path, live=False)
    plant(tmp_path, {"d/a1/n": "1", "d/a2/n": "2", "d/b/n": "3"})
    roster = Roster(host, Kind("d", r"a\d", lambda path: path, parts, 2))
    assert table(roster.collect()) == {"x d/a1": 1, "x d/a2": 2}
    shutil.rmtree(tmp_path / "d/a1")
    plant(tmp_path, {"d/a3/n": "3"})
    roster.collect()
    assert table(roster.collect()) == {"x d/a2": 2, "x d/a3": 3}


def test_a_file_that_stays_missing_does_not_list_the_folder_at_each_beat(tmp_path: Path) -> None:
    looks: list[str] = []

    def parts(key: str, path: str) -> list[Gauge]:
        return [Gauge(HostFile(host, f"{path}/n"), Reading("x", None, "1", {"id": key}))]

    host = Host(tmp_path, live=False)
    (tmp_path / "d/a").mkdir(parents=True)
    roster = Roster(host, Kind("d", "a", lambda path: path, parts, 2, before=lambda: looks.append("look")))
    for _beat in range(150):
        assert table(roster.collect()) == {"x d/a": "missing"}
    assert len(looks) == 4


class _Folder:
    """Members of a folder `d` that are known by their file `id`, with a part for each file `n*`."""

    def __init__(self, root: Path, most: int = 8, *, numbered: bool = False) -> None:
        self.errors: dict[str, int] = {}
        self.host = Host(root, live=False, errors=self.errors)
        self.roster = Roster(self.host, Kind("d", r"m\d+", self._identify, self._parts, most, numbered=numbered))

    def _identify(self, path: str) -> str:
        return told(self.host, f"{path}/id")

    def _parts(self, key: str, path: str) -> list[Gauge]:
        names = sorted(name for name in names_in(self.host, path) if name.startswith("n"))
        return [
            Gauge(HostFile(self.host, f"{path}/{name}"), Reading("x", None, "1", {"id": f"{key}/{name}"}))
            for name in names
        ]

    def after(self, beats: int) -> dict[str, float | str | None]:
        """What is told at the last of so many beats."""
        return [table(self.roster.collect()) for _beat in range(beats)][-1]


def test_a_member_that_returns_with_fewer_files_tells_that_the_others_are_gone(tmp_path: Path) -> None:
    plant(tmp_path, {"d/m1/id": "a", "d/m1/n1": "1", "d/m1/n2": "2"})
    folder = _Folder(tmp_path)
    assert folder.after(1) == {"x a/n1": 1, "x a/n2": 2}
    shutil.rmtree(tmp_path / "d/m1")
    assert folder.after(60) == {"x a/n1": "gone", "x a/n2": "gone"}
    plant(tmp_path, {"d/m7/id": "a", "d/m7/n1": "3"})
    assert folder.after(50) == {"x a/n1": 3, "x a/n2": "gone"}
    plant(tmp_path, {"d/m7/n2": "4", "d/m7/n3": "5"})
    assert folder.after(60) == {"x a/n1": 3, "x a/n2": 4, "x a/n3": 5}


def test_every_member_is_looked_at_again_within_a_minute_of_beats_and_none_at_each(tmp_path: Path) -> None:
    count = 64
    plant(tmp_path, {f"d/m{number}/id": f"a{number}" for number in range(count)})
    folder = _Folder(tmp_path, count)
    assert folder.after(7) == {}
    plant(tmp_path, {f"d/m{number}/n": str(number) for number in range(count)})
    found = [len(folder.after(1)) for _beat in range(60)]
    assert found[-1] == count
    assert max(after - before for before, after in pairwise(found)) == 16, "a quarter of them"


@pytest.mark.parametrize("neighbour", ["d/m0", "d/m9"])
def test_a_member_is_looked_at_within_a_minute_whoever_comes_and_goes(neighbour: str, tmp_path: Path) -> None:
    folder = _Folder(tmp_path, 2)
    plant(tmp_path, {"d/m5/id": "a"})
    for beat in range(1, 50, 6):
        folder.after(60 + beat)
        plant(tmp_path, {f"{neighbour}/id": "b", f"d/m5/n{beat}": "1"})
        assert f"x a/n{beat}" in folder.after(60), f"one came after {beat} beats"
        folder.after(beat)
        shutil.rmtree(tmp_path / neighbour)
        plant(tmp_path, {f"d/m5/n{beat}+": "1"})
        assert f"x a/n{beat}+" in folder.after(60), f"one went after {beat} beats"


def test_what_a_member_lost_is_bounded(tmp_path: Path) -> None:
    folder = _Folder(tmp_path)
    for turn in range(4):
        plant(tmp_path, {f"d/m{turn}/id": "a", **{f"d/m{turn}/n{turn}x{part}": "1" for part in range(30)}})
        folder.after(30)
        shutil.rmtree(tmp_path / f"d/m{turn}")
    assert len(folder.after(30)) == 30 + 64


def test_a_number_that_leads_elsewhere_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    plant(tmp_path, {"p/a/id": "a", "p/a/n": "1", "p/b/id": "b", "p/b/n": "2"})
    (tmp_path / "d").mkdir()
    link = tmp_path / "d/m1"
    link.symlink_to("../p/a")
    folder = _Folder(tmp_path)
    assert folder.after(1) == {"x a/n": 1}
    link.unlink()
    link.symlink_to("../p/b")
    (tmp_path / "p/b/id").write_text("")
    assert folder.after(60) == {"x a/n": "gone"}
    (tmp_path / "p/b/id").write_text("b")
    assert folder.after(60) == {"x a/n": "gone", "x b/n": 2}


def test_a_place_that_became_anothers_is_not_read_while_the_folder_cannot_be_listed_nor_after(tmp_path: Path) -> None:
    plant(tmp_path, {"d/m1/id": "a", "d/m1/n": "1", "d/m2/id": "b", "d/m2/n": "2"})
    folder = _Folder(tmp_path, numbered=True)
    assert folder.after(3) == {"x a/n": 1, "x b/n": 2}
    shutil.move(tmp_path / "d/m1", tmp_path / "away")
    plant(tmp_path, {"d/m1/id": "z", "d/m1/n": "9"})
    folder.errors["d"] = errno.EMFILE
    assert folder.after(1) == {"x a/n": "gone", "x b/n": "unreadable: EMFILE"}
    folder.errors.clear()
    assert {folder.after(1)["x a/n"] for _beat in range(60)} == {"gone"}
    assert folder.after(1) == {"x a/n": "gone", "x b/n": 2, "x z/n": 9}


def test_what_a_link_in_circles_led_to_is_asked_where_it_leads_then(tmp_path: Path) -> None:
    plant(tmp_path, {"p/a/n": "1"})
    (tmp_path / "d").mkdir()
    link, asked = tmp_path / "d/m1", set[str]()
    link.symlink_to("m1")
    host = Host(tmp_path, live=False)

    def identify(path: str) -> str:
        (tmp_path / path / "n").stat()
        asked.add(path)
        return path

    def parts(_key: str, path: str) -> list[Gauge]:
        return [Gauge(HostFile(host, f"{path}/n"), Reading("x", None, "1"))]

    roster = Roster(host, Kind("d", r"m\d+", identify, parts, 8, numbered=True))
    roster.collect()
    link.unlink()
    link.symlink_to("../p/a")
    assert table([roster.collect() for _beat in range(60)][-1]) == {"x": 1}
    assert asked == {"p/a"}


def test_no_series_falls_silent_whatever_happens_to_the_files(tmp_path: Path) -> None:
    chance = Random(1)
    plant(tmp_path, MACHINE)
    collectors = [offer.build(offer.options(), Host(tmp_path, live=False)) for offer in OFFERS]
    clean = table(one for collector in collectors for one in collector.collect())
    for _turn in range(25):
        for name in chance.sample(sorted(MACHINE), 3):
            path = tmp_path / name
            if path.exists():
                path.unlink()
            else:
                plant(tmp_path, {name: MACHINE[name]})
        for _beat in range(chance.randint(1, 40)):
            now = table(one for collector in collectors for one in collector.collect())
            assert clean.keys() <= now.keys()
    plant(tmp_path, MACHINE)
    for _beat in range(60):
        now = table(one for collector in collectors for one in collector.collect())
    assert {key: value for key, value in now.items() if key in clean} == clean


def test_fetch_gives_other_errors_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fetch(HostFile(Host(tmp_path, live=False), "none"))


@pytest.mark.parametrize(
    ("path", "lasting"),
    [
        ("/sys/devices/platform/c240000.i2c/i2c-1/1-0040/hwmon/hwmon3/in1_input",
         "/sys/devices/platform/c240000.i2c/i2c-*/*-0040/hwmon/hwmon*/in1_input"),
        ("/sys/devices/50000000.host1x/546c0000.i2c/i2c-6/6-0040/iio:device0/in_power0_input",
         "/sys/devices/50000000.host1x/546c0000.i2c/i2c-*/*-0040/iio:device*/in_power0_input"),
        ("/sys/devices/pci0000:00/0000:02:00.1/ata1/host0/target0:0:1/0:0:1:0/hwmon/hwmon4/temp1_input",
         "/sys/devices/pci0000:00/0000:02:00.1/ata1/host*/target*:0:1/*:0:1:0/hwmon/hwmon*/temp1_input"),
        ("/sys/devices/pci0000:00/usb1/1-2/1-2:1.0/0003:1E71:170E.0005/hwmon/hwmon5/fan1_input",
         "/sys/devices/pci0000:00/usb1/1-2/1-2:1.0/0003:1E71:170E.*/hwmon/hwmon*/fan1_input"),
        ("/sys/devices/platform/3460000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/device/life_time",
         "/sys/devices/platform/3460000.mmc/mmc_host/mmc*/mmc*:0001/block/mmcblk*/device/life_time"),
        ("/sys/devices/virtual/thermal/cooling_device11/cur_state",
         "/sys/devices/virtual/thermal/cooling_device*/cur_state"),
        ("/sys/class/power_supply/BAT0/capacity", "/sys/class/power_supply/BAT0/capacity"),
        ("/sys/devices/system/cpu/cpu3/cpufreq", "/sys/devices/system/cpu/cpu3/cpufreq"),
    ],
)  # fmt: skip
def test_a_source_has_no_number_that_boots_change(path: str, lasting: str) -> None:
    assert lasting_path(path) == lasting


def test_what_found_no_room_is_not_asked_again_until_there_is(tmp_path: Path) -> None:
    asked: list[str] = []

    def identify(path: str) -> str:
        asked.append(path)
        return path

    def parts(key: str, path: str) -> list[Gauge]:
        return [Gauge(HostFile(host, f"{path}/n"), Reading("x", None, "1", {"id": key}))]

    host = Host(tmp_path, live=False)
    plant(tmp_path, {f"d/m{number}/n": "1" for number in range(9)})
    roster = Roster(host, Kind("d", r"m\d+", identify, parts, 2))
    assert table(roster.collect()) == {"x d/m0": 1, "x d/m1": 1}
    asked.clear()
    for _beat in range(60):
        roster.collect()
    assert set(asked) == {"d/m0", "d/m1"}
    shutil.rmtree(tmp_path / "d/m1")
    for _beat in range(2):
        roster.collect()
    assert table(roster.collect()) == {"x d/m0": 1, "x d/m2": 1}
