"""Chips and their channels: units, names, limits, faults, and what is left to other collectors."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors.hwmon import OFFER, Hwmon, Options
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.tree import build, plant, table

CLASS = "sys/class/hwmon"


def chip(root: Path, number: int, device: str, files: dict[str, str]) -> None:
    """A chip below its device, and the link to it."""
    folder = f"sys/devices/{device}/hwmon{number}"
    plant(root, {f"{folder}/{name}": content for name, content in files.items()})
    link = root / CLASS / f"hwmon{number}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"../../../{folder}")


def shown(readings: Any) -> dict[str, float | str | None]:
    """Value or reason by name and id, with the kind of limit."""
    return {
        " ".join([one.name, one.attributes["hw.id"], one.attributes.get("hw.limit_type", "")]).strip(): (
            one.reason if one.value is None else one.value
        )
        for one in readings
    }


def test_each_kind_of_channel_has_its_unit(tmp_path: Path) -> None:
    files = {
        "name": "board\n", "temp1_input": "41500\n", "fan1_input": "1200\n", "in0_input": "792\n",
        "curr1_input": "-1500\n", "power1_input": "12500000\n", "energy1_input": "2500000\n", "pwm1": "51\n",
        "pwm1_enable": "2\n", "temp1_offset": "1\n", "intrusion0_alarm": "1\n", "bogus1_input": "7\n",
    }  # fmt: skip
    chip(tmp_path, 0, "platform/board.1/hwmon", files)
    readings = list(build(OFFER, tmp_path).collect())
    assert {(one.name, one.value, one.unit, one.kind, one.digits) for one in readings} == {
        ("hw.temperature", 41.5, "Cel", "gauge", 3),
        ("hw.fan.speed", 1200, "rpm", "gauge", 0),
        ("hw.voltage", 0.792, "V", "gauge", 3),
        ("hw.current", -1.5, "A", "gauge", 3),
        ("hw.power", 12.5, "W", "gauge", 6),
        ("hw.energy", 2.5, "J", "counter", 6),
        ("hw.fan.speed_ratio", 0.2, "1", "gauge", 4),
    }
    assert {one.attributes["hw.parent"] for one in readings} == {"board@platform/board.1"}


def test_fans_of_jetson_boards(tmp_path: Path) -> None:
    chip(tmp_path, 3, "platform/pwm-fan/hwmon", {"name": "pwmfan\n", "pwm1": "255\n"})
    chip(tmp_path, 1, "platform/bus@0/39c0000.tachometer/hwmon", {"name": "tachometer\n", "rpm": "1786\n"})
    assert shown(build(OFFER, tmp_path).collect()) == {
        "hw.fan.speed_ratio pwmfan@platform/pwm-fan/pwm1": 1,
        "hw.fan.speed tachometer@platform/bus@0/39c0000.tachometer/rpm": 1786,
    }


def test_labels_say_where_and_limits_are_read_now_and_then(tmp_path: Path) -> None:
    files = {"name": "coretemp\n", "temp2_input": "54000\n", "temp2_label": "Core 0\n", "temp2_crit": "100000\n"}
    chip(tmp_path, 0, "platform/coretemp.0/hwmon", files)
    collector = build(OFFER, tmp_path)
    place = {"hw.id": "coretemp@platform/coretemp.0/temp2", "hw.parent": "coretemp@platform/coretemp.0"}
    place["hw.sensor_location"] = "Core 0"
    source = "/sys/devices/platform/coretemp.0/hwmon/hwmon*/temp2_"
    assert list(collector.collect()) == [
        Reading("hw.temperature", 54, "Cel", place, digits=3, source=f"{source}input"),
        Reading(
            "hw.temperature.limit",
            100,
            "Cel",
            {**place, "hw.limit_type": "critical"},
            digits=3,
            source=f"{source}crit",
        ),
    ]
    plant(tmp_path, {"sys/class/hwmon/hwmon0/temp2_crit": "90000\n"})
    told = [list(collector.collect())[1].value for _beat in range(60)]
    assert told[-1] == 90
    assert told == sorted(told, reverse=True)
    plant(tmp_path, {"sys/class/hwmon/hwmon0/temp2_crit": "hot\n"})
    assert [list(collector.collect())[1] for _beat in range(60)][-1].reason == "malformed"


def test_a_limit_at_the_end_of_the_register_is_none(tmp_path: Path) -> None:
    files = {"temp1_input": "30850\n", "temp1_max": "65261850\n", "temp1_crit": "-273150\n", "temp2_input": "1000"}
    chip(tmp_path, 3, "virtual/hwmon", {"name": "nvme\n", **files, "temp2_max": "0\n", "temp2_crit": "81850\n"})
    assert shown(build(OFFER, tmp_path).collect()) == {
        "hw.temperature nvme/temp1": 30.85,
        "hw.temperature nvme/temp2": 1,
        "hw.temperature.limit nvme/temp2 critical": 81.85,
    }


@pytest.mark.parametrize(
    ("device", "place"),
    [
        ("platform/coretemp.0/hwmon", "@platform/coretemp.0"),
        ("pci0000:00/0000:01:00.0/nvme/nvme7", "@pci0000:00/0000:01:00.0"),
        ("platform/18000000.wifi/ieee80211/phy4/hwmon", "@platform/18000000.wifi"),
        ("pci0/usb1/1-2/1-2:1.0/0003:1E71:170E.0004/hwmon", "@pci0/usb1/1-2/1-2:1.0/0003:1E71:170E"),
        ("pci0/ata3/host5/target5:0:0/5:0:0:0/hwmon", "@pci0/ata3/target:0:0:0"),
        ("i2c-1/1-0048/hwmon", "@i2c-1/1-0048"),
        ("virtual/hwmon", ""),
    ],
)
def test_a_chip_is_known_by_its_device_without_numbers_of_the_boot(tmp_path: Path, device: str, place: str) -> None:
    chip(tmp_path, 12, device, {"name": "x\n", "temp1_input": "1000\n"})
    assert shown(build(OFFER, tmp_path).collect()) == {f"hw.temperature x{place}/temp1": 1}


def test_chips_of_one_name_on_one_device_are_told_apart(tmp_path: Path) -> None:
    for number in (10, 9):
        chip(tmp_path, number, "virtual/hwmon", {"name": "x\n", "temp1_input": f"{number}000\n"})
    assert shown(build(OFFER, tmp_path).collect()) == {"hw.temperature x/temp1": 9, "hw.temperature x#2/temp1": 10}


def test_files_of_old_drivers_are_with_their_device(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/devices/platform/smc.1/name": "smc\n", "sys/devices/platform/smc.1/fan1_input": "1998\n"})
    chip(tmp_path, 2, "platform/smc.1/hwmon", {})
    (tmp_path / "sys/devices/platform/smc.1/hwmon/hwmon2").mkdir(parents=True)
    (tmp_path / "sys/devices/platform/smc.1/hwmon/hwmon2/device").symlink_to("../../../smc.1")
    assert shown(build(OFFER, tmp_path).collect()) == {"hw.fan.speed smc@platform/smc.1/fan1": 1998}


def test_what_others_own_is_left_to_them(tmp_path: Path) -> None:
    temperature = {"temp1_input": "1000\n"}
    chip(tmp_path, 0, "i2c-1/1-0040/hwmon", {"name": "ina3221\n", "in1_input": "5000\n"})
    chip(tmp_path, 1, "virtual/thermal/thermal_zone0", {"name": "anything\n", **temperature})
    chip(tmp_path, 2, "virtual/hwmon", {"name": "cpu_thermal\n", **temperature})
    chip(tmp_path, 3, "LNXSYSTM:00/power_supply/BAT0", {"name": "BAT0\n", "in0_input": "11000\n"})
    chip(tmp_path, 4, "platform/other/hwmon", {"name": "other\n", **temperature})
    plant(tmp_path, {"sys/class/thermal/thermal_zone0/type": "cpu-thermal\n"})
    host = replace(Host(tmp_path, live=False), claimed=frozenset({"ina3221"}))
    assert shown(Hwmon(Options(), host).collect()) == {"hw.temperature other@platform/other/temp1": 1}


def test_a_faulty_sensor_is_absent(tmp_path: Path) -> None:
    files = {"name": "x\n", "temp1_input": "127000\n", "temp1_fault": "1\n", "temp2_input": "1\n", "temp2_fault": "0\n"}
    chip(tmp_path, 0, "virtual/hwmon", files)
    collector = build(OFFER, tmp_path)
    assert shown(collector.collect()) == {"hw.temperature x/temp1": "fault", "hw.temperature x/temp2": 0.001}
    plant(tmp_path, {"sys/class/hwmon/hwmon0/temp1_fault": "0\n"})
    assert shown(collector.collect())["hw.temperature x/temp1"] == 127
    plant(tmp_path, {"sys/class/hwmon/hwmon0/temp1_fault": "\n"})
    assert shown(collector.collect())["hw.temperature x/temp1"] == "malformed"


def test_numbers_that_stand_for_none_are_invalid_and_zero_is_a_number(tmp_path: Path) -> None:
    files = {"temp1_input": "-128000", "temp2_input": "0", "fan1_input": "65535\n", "fan2_input": "0\n"}
    more = {"fan3_input": "-1\n", "pwm1": "256\n", "pwm2": "0\n", "energy1_input": "-5\n"}
    chip(tmp_path, 0, "virtual/hwmon", {"name": "x\n", **files, **more})
    assert shown(build(OFFER, tmp_path).collect()) == {
        "hw.fan.speed x/fan3": "invalid",
        "hw.fan.speed_ratio x/pwm1": "invalid",
        "hw.fan.speed_ratio x/pwm2": 0,
        "hw.energy x/energy1": "invalid",
        "hw.temperature x/temp1": "invalid",
        "hw.temperature x/temp2": 0,
        "hw.fan.speed x/fan1": "invalid",
        "hw.fan.speed x/fan2": 0,
    }


def test_alarms_are_one_status_a_channel(tmp_path: Path) -> None:
    files = {"name": "x\n", "in1_input": "1024\n", "in1_alarm": "0\n", "in1_min_alarm": "0\n", "in11_alarm": "1\n"}
    chip(tmp_path, 0, "virtual/hwmon", files)
    collector = build(OFFER, tmp_path)
    assert table(collector.collect())["hw.status x/in1 x in1 degraded voltage"] == 0
    plant(tmp_path, {"sys/class/hwmon/hwmon0/in1_min_alarm": "1\n"})
    assert table(collector.collect())["hw.status x/in1 x in1 degraded voltage"] == 1
    plant(tmp_path, {"sys/class/hwmon/hwmon0/in1_min_alarm": "yes\n"})
    assert table(collector.collect())["hw.status x/in1 x in1 degraded voltage"] == "malformed"
    assert len(table(build(OFFER, tmp_path, alarms=False).collect())) == 1


def test_a_channel_may_have_an_alarm_alone(tmp_path: Path) -> None:
    chip(tmp_path, 1, "platform/soc/soc:firmware/raspberrypi-hwmon/hwmon", {
        "name": "rpi_volt\n", "in0_lcrit_alarm": "1\n", "in1_label": "x\n", "temp1_crit": "1\n",
    })  # fmt: skip
    (alarm,) = build(OFFER, tmp_path).collect()
    key = "rpi_volt@platform/soc/soc:firmware/raspberrypi-hwmon"
    place = {"hw.id": f"{key}/in0", "hw.parent": key, "hw.sensor_location": "in0"}
    source = "/sys/devices/platform/soc/soc:firmware/raspberrypi-hwmon/hwmon/hwmon*/in0_lcrit_alarm"
    attributes = {**place, "hw.type": "voltage", "hw.state": "degraded"}
    assert alarm == Reading("hw.status", 1, "1", attributes, source=source)
    assert table(build(OFFER, tmp_path, alarms=False).collect()) == {}


def test_an_alarm_is_of_the_type_that_its_channel_is(tmp_path: Path) -> None:
    files = {"power1_input": "1\n", "power1_alarm": "0\n", "curr1_crit_alarm": "0\n"}
    chip(tmp_path, 0, "virtual/hwmon", {"name": "amdgpu\n", **files})
    types = {one.attributes["hw.id"]: one.attributes["hw.type"] for one in build(OFFER, tmp_path).collect()}
    assert types == {"amdgpu/power1": "gpu", "amdgpu/curr1": "voltage"}


def test_shunts_of_an_ina3221_are_microvolts(tmp_path: Path) -> None:
    files = {"in1_input": "5120\n", "in4_input": "1240\n", "in7_input": "4320\n"}
    chip(tmp_path, 0, "platform/i2c-1/1-0040/hwmon", {"name": "ina3221\n", **files})
    chip(tmp_path, 1, "platform/other/hwmon", {"name": "other\n", "in4_input": "1240\n"})
    told = {one.attributes["hw.id"]: (one.value, one.digits) for one in build(OFFER, tmp_path).collect()}
    assert told == {
        "ina3221@platform/i2c-1/1-0040/in1": (5.12, 3),
        "ina3221@platform/i2c-1/1-0040/in4": (0.00124, 6),
        "ina3221@platform/i2c-1/1-0040/in7": (0.00432, 6),
        "other@platform/other/in4": (1.24, 3),
    }


def test_a_chip_that_cannot_say_its_name_is_not_read_until_it_can(tmp_path: Path) -> None:
    chip(tmp_path, 0, "platform/x/hwmon", {"name": "x\n", "temp1_input": "1000\n"})
    errors = {"sys/devices/platform/x/hwmon/hwmon0/name": errno.EACCES}
    collector = Hwmon(Options(), replace(Host(tmp_path, live=False), errors=errors))
    assert shown(collector.collect()) == {}
    errors.clear()
    assert [shown(collector.collect()) for _beat in range(30)][-1] == {"hw.temperature x@platform/x/temp1": 1}
    errors["sys/devices/platform/x/hwmon/hwmon0/name"] = errno.EACCES
    assert [shown(collector.collect()) for _beat in range(60)][-1] == {"hw.temperature x@platform/x/temp1": 1}


def test_a_label_that_cannot_be_read_for_a_while_makes_no_other_series(tmp_path: Path) -> None:
    chip(tmp_path, 0, "virtual/hwmon", {"name": "x\n", "temp1_input": "1000\n", "temp1_label": "inlet\n"})
    collector = build(OFFER, tmp_path)
    expected = {"hw.temperature x/temp1 x inlet": 1}
    assert table(collector.collect()) == expected
    for bad in ("", "\x00\x01", None):
        if bad is None:
            (tmp_path / CLASS / "hwmon0/temp1_label").unlink()
        else:
            plant(tmp_path, {f"{CLASS}/hwmon0/temp1_label": bad})
        assert [table(collector.collect()) for _beat in range(60)][-1] == expected


def test_a_label_that_could_not_be_read_at_first_is_told_when_it_can(tmp_path: Path) -> None:
    chip(tmp_path, 0, "virtual/hwmon", {"name": "x\n", "temp1_input": "1000\n", "temp1_label": "\n"})
    collector = build(OFFER, tmp_path)
    assert table(collector.collect()) == {"hw.temperature x/temp1 x temp1": 1}
    plant(tmp_path, {f"{CLASS}/hwmon0/temp1_label": "inlet\n"})
    assert [table(collector.collect()) for _beat in range(60)][-1] == {
        "hw.temperature x/temp1 x inlet": 1,
        "hw.temperature x/temp1 x temp1": "gone",
    }


def test_a_channel_that_appears_later_is_found_and_one_that_goes_stays_absent(tmp_path: Path) -> None:
    chip(tmp_path, 0, "virtual/hwmon", {"name": "x\n", "temp1_input": "1000\n", "temp1_crit": "9000\n"})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {f"{CLASS}/hwmon0/fan1_input": "1200\n", f"{CLASS}/hwmon0/temp1_alarm": "0\n"})
    told = [shown(collector.collect()) for _beat in range(60)][-1]
    assert told["hw.fan.speed x/fan1"] == 1200
    assert told["hw.status x/temp1"] == 0
    for name in ("fan1_input", "temp1_crit"):
        (tmp_path / CLASS / "hwmon0" / name).unlink()
    told = [shown(collector.collect()) for _beat in range(60)][-1]
    assert told == {
        "hw.temperature x/temp1": 1,
        "hw.temperature.limit x/temp1 critical": "gone",
        "hw.status x/temp1": 0,
        "hw.fan.speed x/fan1": "missing",
    }
    plant(tmp_path, {f"{CLASS}/hwmon0/fan1_input": "1300\n"})
    assert shown(collector.collect())["hw.fan.speed x/fan1"] == 1300


def test_an_input_is_taken_before_an_average(tmp_path: Path) -> None:
    files = {
        "name": "amdgpu\n",
        "power1_input": "4000000\n",
        "power1_average": "3000000\n",
        "power2_average": "2000000",
    }
    chip(tmp_path, 0, "virtual/hwmon", files)
    readings = list(build(OFFER, tmp_path).collect())
    assert [one.value for one in readings] == [4, 2]
    assert {one.attributes["hw.type"] for one in readings} == {"gpu"}


@pytest.mark.parametrize("label", [b"", b"a\nb", b"\x00\x01", b"\xfc\xa7", b"x" * 65])
def test_a_label_that_is_none_leaves_the_number_on_the_chip(tmp_path: Path, label: bytes) -> None:
    chip(tmp_path, 0, "virtual/hwmon", {"name": "x\n", "temp1_input": "1000\n", "temp1_label": ""})
    (file,) = (tmp_path / "sys").rglob("temp1_label")
    file.write_bytes(label)
    (reading,) = build(OFFER, tmp_path).collect()
    assert reading.attributes["hw.sensor_location"] == "temp1"


def test_chips_and_channels_are_bounded(tmp_path: Path) -> None:
    for number in range(5):
        files = {f"temp{channel}_input": "1000\n" for channel in range(9)}
        chip(tmp_path, number, f"platform/x.{number}/hwmon", {"name": "x\n", **files})
    assert len(shown(build(OFFER, tmp_path, most_chips=2, most_channels=3).collect())) == 6


def test_a_chip_that_is_numbered_anew_keeps_its_name(tmp_path: Path) -> None:
    chip(tmp_path, 0, "platform/x.0/hwmon", {"name": "x\n", "temp1_input": "1000\n"})
    collector = build(OFFER, tmp_path)
    collector.collect()
    (tmp_path / CLASS / "hwmon0").unlink()
    shutil.rmtree(tmp_path / "sys/devices/platform/x.0")
    chip(tmp_path, 5, "platform/x.0/hwmon", {"name": "x\n", "temp1_input": "2000\n"})
    assert shown(collector.collect()) == {"hw.temperature x@platform/x.0/temp1": "missing"}
    assert shown(collector.collect()) == {"hw.temperature x@platform/x.0/temp1": 2}


def test_limits_of_nothing_are_none(tmp_path: Path) -> None:
    kinds = ("temp1", "in1", "fan1", "curr1", "power1")
    files = {"name": "x\n"} | {f"{kind}_{file}": "0\n" for kind in kinds for file in ("input", "max", "crit")}
    chip(tmp_path, 0, "platform/x.0/hwmon", files)
    assert len(shown(build(OFFER, tmp_path).collect())) == len(kinds)


@pytest.mark.parametrize("name", ["thinkpad", "odd", None])
def test_a_thinkpad_has_no_sensor_where_its_controller_says_0(name: str | None, tmp_path: Path) -> None:
    files = {"temp1_input": "0\n", "fan1_input": "0\n"}
    chip(tmp_path, 0, "platform/thinkpad_hwmon/hwmon", files | ({"name": f"{name}\n"} if name else {}))
    assert shown(build(OFFER, tmp_path).collect()) == {
        f"hw.temperature {name or 'unnamed'}@platform/thinkpad_hwmon/temp1": "invalid",
        f"hw.fan.speed {name or 'unnamed'}@platform/thinkpad_hwmon/fan1": 0,
    }
