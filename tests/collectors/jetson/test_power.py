"""Rails: every kind of driver, totals only where there is an input, and one chip's trouble its own."""

from pathlib import Path

import pytest

from edge_agent.collectors.jetson.power import OFFER
from tests.collectors.tree import build, plant, table

Rails = dict[int, tuple[str | None, int, int]]
ORIN: Rails = {1: ("VDD_GPU_SOC", 843, 6170), 2: ("VDD_CPU_CV", 780, 3437), 3: ("VIN_SYS_5V0", 4968, 953)}
NANO = {0: ("POM_5V_IN", 5072, 460, 2333), 1: ("POM_5V_GPU", 5072, 24, 121), 2: ("NC", 0, 0, 0)}
IIO = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"


def chip(root: Path, number: int, rails: Rails, address: str = "1-0040", name: str = "ina3221") -> Path:
    """A chip of hwmon with these rails: label, mV and mA by channel; its folder."""
    device = f"sys/devices/platform/i2c-1/{address}"
    folder = f"{device}/hwmon/hwmon{number}"
    plant(root, {f"{folder}/name": f"{name}\n", f"{folder}/in7_label": "sum of shunt voltages\n"})
    for channel, (label, volts, amperes) in rails.items():
        plant(root, {f"{folder}/in{channel}_input": f"{volts}\n", f"{folder}/curr{channel}_input": f"{amperes}\n"})
        if label is not None:
            plant(root, {f"{folder}/in{channel}_label": f"{label}\n"})
    (root / folder / "device").symlink_to("../..")
    classes = root / "sys/class/hwmon"
    classes.mkdir(parents=True, exist_ok=True)
    (classes / f"hwmon{number}").symlink_to(f"../../../{folder}")
    return root / folder


def nano(root: Path) -> Path:
    """The chip of a Nano with JetPack 4; its folder."""
    for channel, (label, volts, amperes, watts) in NANO.items():
        plant(
            root,
            {
                f"{IIO}/rail_name_{channel}": f"{label}\n",
                f"{IIO}/in_voltage{channel}_input": f"{volts}\n",
                f"{IIO}/in_current{channel}_input": f"{amperes}\n",
                f"{IIO}/in_power{channel}_input": f"{watts}\n",
                f"{IIO}/crit_current_limit_{channel}": "32760 ma\n",
            },
        )
    return root / IIO


def test_power_of_a_chip_without_it_is_voltage_times_current(tmp_path: Path) -> None:
    chip(tmp_path, 3, ORIN)
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.power VDD_GPU_SOC voltage"] == pytest.approx(5.20131)
    assert shown["hw.voltage VDD_GPU_SOC voltage"] == 0.843
    assert shown["hw.current VDD_GPU_SOC voltage"] == 6.17
    assert len(shown) == 9
    assert "hw.host.power" not in shown


def test_jetpack_4_has_power_of_its_own_and_an_input(tmp_path: Path) -> None:
    nano(tmp_path)
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.power POM_5V_IN voltage"] == shown["hw.host.power"] == 2.333
    assert shown["hw.current.limit POM_5V_IN critical"] == 32.76
    assert not [name for name in shown if "NC" in name]


@pytest.mark.parametrize("label", ["VDD_IN", "POM_5V_IN"])
def test_an_input_rail_is_the_hosts_power(tmp_path: Path, label: str) -> None:
    chip(tmp_path, 0, {1: (label, 5000, 2000)})
    assert table(build(OFFER, tmp_path).collect())["hw.host.power"] == 10


def test_two_inputs_are_no_total(tmp_path: Path) -> None:
    chip(tmp_path, 0, {1: ("VDD_IN", 5000, 2000)})
    chip(tmp_path, 1, {1: ("POM_5V_IN", 5000, 2000)}, "1-0041")
    assert "hw.host.power" not in table(build(OFFER, tmp_path).collect())


def test_an_ina238_of_thor_is_the_boards_input(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/device-tree/compatible": b"nvidia,tegra264\0"})
    folder = chip(tmp_path, 1, {1: (None, 19480, 980)}, "2-0044", "ina238")
    (folder / "power1_input").write_text("19090401\n")
    (folder / "temp1_input").write_text("41000\n")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.host.power"] == shown["hw.power VIN voltage"] == 19.090401
    assert shown["hw.temperature ina238 2-0044 ina238 2-0044"] == 41


def test_an_ina238_elsewhere_is_no_input(tmp_path: Path) -> None:
    chip(tmp_path, 1, {1: (None, 12000, 500)}, "2-0044", "ina238")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.power ina238 2-0044 voltage"] == 6
    assert "hw.host.power" not in shown


def test_channels_without_a_label_are_known_by_the_chips_address(tmp_path: Path) -> None:
    chip(tmp_path, 5, {1: (None, 5000, 100), 2: (None, 3300, 200)}, "1-0043")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.power ina3221 1-0043 1 voltage"] == 0.5
    assert shown["hw.power ina3221 1-0043 2 voltage"] == 0.66


def test_nothing_is_left_out_but_what_is_called_nc(tmp_path: Path) -> None:
    chip(tmp_path, 4, {1: ("NC", 0, 0), 2: ("VDD_SYNC", 1800, 300)})
    assert list(table(build(OFFER, tmp_path).collect())) == [
        f"hw.{what} VDD_SYNC voltage" for what in ("power", "voltage", "current")
    ]


def test_one_label_on_two_chips_gives_two_rails(tmp_path: Path) -> None:
    chip(tmp_path, 0, {1: ("VDD_IN", 5000, 1000)})
    chip(tmp_path, 1, {1: ("VDD_IN", 5000, 2000)}, "1-0041")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.power VDD_IN ina3221 1-0040 voltage"] == 5
    assert shown["hw.power VDD_IN ina3221 1-0041 voltage"] == 10
    assert "hw.host.power" not in shown


def test_limits_are_told(tmp_path: Path) -> None:
    folder = chip(tmp_path, 0, {1: ("VDD_IN", 5000, 1000)})
    (folder / "curr1_crit").write_text("4984\n")
    (folder / "curr1_max").write_text("nonsense\n")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.current.limit VDD_IN critical"] == 4.984
    assert shown["hw.current.limit VDD_IN max"] == "malformed"


def test_one_bad_file_costs_its_own_readings_only(tmp_path: Path) -> None:
    folder = chip(tmp_path, 3, ORIN)
    whole = table(build(OFFER, tmp_path).collect())
    (folder / "curr1_input").write_bytes(b"\0\xff")
    shown = table(build(OFFER, tmp_path).collect())
    assert {name for name in shown if shown[name] != whole[name]} == {
        "hw.power VDD_GPU_SOC voltage",
        "hw.current VDD_GPU_SOC voltage",
    }
    assert shown["hw.power VDD_GPU_SOC voltage"] == "malformed"


def test_one_label_that_cannot_be_read_leaves_out_that_rail_alone_until_it_can(tmp_path: Path) -> None:
    folder = chip(tmp_path, 3, ORIN)
    whole = table(build(OFFER, tmp_path).collect())
    label = (folder / "in2_label").read_bytes()
    for bad in (b"", b"\xff\0" * 99):
        (folder / "in2_label").write_bytes(bad)
        collector = build(OFFER, tmp_path)
        left = {name for name in whole if "VDD_CPU_CV" not in name}
        assert set(table(collector.collect())) == left
        (folder / "in2_label").write_bytes(label)
        assert whole in [table(collector.collect()) for _ in range(51)]


@pytest.mark.parametrize("name", ["in1_label", "name"])
def test_a_rail_keeps_its_name_while_its_label_or_its_chips_name_cannot_be_read(tmp_path: Path, name: str) -> None:
    folder = chip(tmp_path, 3, ORIN)
    collector = build(OFFER, tmp_path)
    whole = table(collector.collect())
    (folder / name).unlink()
    (folder / name).symlink_to(name)
    assert [table(collector.collect()) == whole for _ in range(65)] == [True] * 65


def test_power_of_the_chips_own_is_taken_once_it_is_there_and_not_made_up_when_it_goes(tmp_path: Path) -> None:
    folder = nano(tmp_path)
    (folder / "in_power0_input").unlink()
    collector = build(OFFER, tmp_path)
    assert table(collector.collect())["hw.host.power"] == pytest.approx(5.072 * 0.46)
    (folder / "in_power0_input").write_text("2333\n")
    assert 2.333 in [table(collector.collect())["hw.host.power"] for _ in range(51)]
    (folder / "in_power0_input").unlink()
    assert {table(collector.collect())["hw.host.power"] for _ in range(65)} <= {"missing", "gone"}


def test_a_current_the_other_way_is_negative(tmp_path: Path) -> None:
    chip(tmp_path, 0, {1: ("VDD_BAT", 12000, -500)})
    assert table(build(OFFER, tmp_path).collect())["hw.power VDD_BAT voltage"] == -6


def test_a_chip_that_is_renumbered_keeps_its_series(tmp_path: Path) -> None:
    chip(tmp_path, 3, ORIN)
    collector = build(OFFER, tmp_path)
    before = table(collector.collect())
    (tmp_path / "sys/class/hwmon/hwmon3").unlink()
    (tmp_path / "sys/class/hwmon/hwmon7").symlink_to("../../../sys/devices/platform/i2c-1/1-0040/hwmon/hwmon3")
    collector.collect()
    assert table(collector.collect()) == before


def test_a_chip_that_went_is_gone_and_may_come_back(tmp_path: Path) -> None:
    folder = nano(tmp_path)
    collector = build(OFFER, tmp_path)
    before = table(collector.collect())
    driver = tmp_path / "sys/bus/i2c/drivers/ina3221x"
    driver.rename(tmp_path / "elsewhere")
    collector.collect()
    assert set(table(collector.collect()).values()) == {"gone"}
    (tmp_path / "elsewhere").rename(driver)
    assert before in [table(collector.collect()) for _ in range(51)]
    assert folder.is_dir()


def test_another_machine_gives_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/class/hwmon/hwmon0/name": "coretemp\n", "sys/class/hwmon/hwmon0/temp1_input": "40000\n"})
    assert table(build(OFFER, tmp_path).collect()) == {}


def test_the_chips_are_claimed() -> None:
    assert OFFER.claims == {"ina3221", "ina3221x", "ina238"}
