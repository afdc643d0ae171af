"""Batteries and the mains."""

import errno
from pathlib import Path

from edge_agent.collectors.battery import OFFER, Battery
from edge_agent.collectors.thermal import OFFER as THERMAL
from edge_agent.model.offers import NoOptions
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant, table

CLASS = "sys/class/power_supply"


def supply(name: str, kind: str, **files: str) -> dict[str, str]:
    """The files of a power supply."""
    return {f"{CLASS}/{name}/{file}": f"{text}\n" for file, text in {"type": kind, **files}.items()}


def test_a_battery_is_told_whole(tmp_path: Path) -> None:
    files = supply(
        "BAT0", "Battery", capacity="81", power_now="5002000", voltage_now="11660000", current_now="-429000",
        time_to_empty_avg="7200", time_to_full_now="-1", status="Discharging", temp="-35",
    )  # fmt: skip
    plant(tmp_path, files)
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.battery.charge BAT0": 0.81,
        "hw.power BAT0 battery": 5.002,
        "hw.voltage BAT0": 11.66,
        "hw.current BAT0": -0.429,
        "hw.temperature BAT0 BAT0": -3.5,
        "hw.battery.time_left discharging BAT0": 7200,
        "hw.battery.time_left charging BAT0": "invalid",
        "hw.status BAT0 charging battery": 0,
        "hw.status BAT0 discharging battery": 1,
        "hw.status BAT0 full battery": 0,
        "hw.status BAT0 not_charging battery": 0,
    }


def test_charge_and_power_come_from_their_parts_where_no_whole_is_told(tmp_path: Path) -> None:
    plant(
        tmp_path,
        supply(
            "A", "Battery", charge_now="1000000", charge_full="3000000", voltage_now="12000000", current_now="500000"
        )
        | supply("B", "Battery", energy_now="1", energy_full="0"),
    )
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.battery.charge A"] == 1 / 3
    assert shown["hw.power A battery"] == 6
    assert shown["hw.battery.charge B"] == "invalid"
    sources = {one.attributes["hw.id"] + one.name: one.source for one in build(OFFER, tmp_path).collect()}
    assert sources["Ahw.battery.charge"] == f"/{CLASS}/A/charge_now / /{CLASS}/A/charge_full"
    assert sources["Ahw.power"] == f"/{CLASS}/A/voltage_now * /{CLASS}/A/current_now"


def test_a_gauge_that_tells_no_time_left_to_a_running_machine_does_not_know_it(tmp_path: Path) -> None:
    plant(tmp_path, supply("BAT0", "Battery", time_to_empty_now="0", time_to_full_now="0"))
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.battery.time_left discharging BAT0": "invalid",
        "hw.battery.time_left charging BAT0": 0,
    }


def test_the_mains_supply_or_do_not(tmp_path: Path) -> None:
    plant(tmp_path, supply("AC", "Mains", online="1") | supply("usb", "USB", online="0") | supply("x", "Mains"))
    plant(tmp_path, supply("pd", "USB", online="2") | supply("odd", "USB", online="-1"))
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.status pd ok power_supply": 1,
        "hw.status odd ok power_supply": "invalid",
        "hw.status AC ok power_supply": 1,
        "hw.status usb ok power_supply": 0,
    }


def test_batteries_of_other_things_are_left_out(tmp_path: Path) -> None:
    plant(tmp_path, supply("hidpp_battery_0", "Battery", scope="Device", capacity="5"))
    assert table(build(OFFER, tmp_path).collect()) == {}


def test_a_state_that_is_not_known_is_absent(tmp_path: Path) -> None:
    plant(tmp_path, supply("BAT0", "Battery", status="Unknown"))
    assert set(table(build(OFFER, tmp_path).collect()).values()) == {"not reported"}
    plant(tmp_path, supply("BAT0", "Battery", status="Exploding"))
    assert set(table(build(OFFER, tmp_path).collect()).values()) == {"malformed"}


def test_one_bad_file_costs_its_own_readings_only(tmp_path: Path) -> None:
    plant(tmp_path, supply("BAT0", "Battery", capacity="81", voltage_now="11660000"))
    host = Host(tmp_path, live=False, errors={f"{CLASS}/BAT0/capacity": errno.ENODEV})
    shown = table(Battery(NoOptions(), host).collect())
    assert shown == {"hw.battery.charge BAT0": "unreadable: ENODEV", "hw.voltage BAT0": 11.66}


def test_a_supply_whose_temperature_the_kernel_gives_a_thermal_zone_leaves_it_to_that(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone3"
    plant(tmp_path, supply("bq27500-0", "Battery", temp="291") | supply("BAT1", "Battery", temp="300"))
    plant(tmp_path, {f"{zone}/type": "bq27500-0\n", f"{zone}/temp": "29100\n"})
    collectors = [build(OFFER, tmp_path), build(THERMAL, tmp_path)]
    told = {"hw.temperature BAT1 BAT1": 30.0, "hw.temperature bq27500-0 bq27500-0": 29.1}
    assert table([one for collector in collectors for one in collector.collect()]) == told
    (tmp_path / zone / "type").unlink()
    for _beat in range(30):
        shown = table(collectors[0].collect())
    assert list(shown) == ["hw.temperature BAT1 BAT1"]


def test_what_no_battery_has_is_absent(tmp_path: Path) -> None:
    plant(
        tmp_path,
        supply("A", "Battery", capacity="-1", temp="-2731")
        | supply("B", "Battery", capacity="255", temp="62804")
        | supply("C", "Battery", capacity="0", temp="0", energy_now="1", energy_full="2")
        | supply("D", "Battery", energy_now="-1", energy_full="2"),
    )
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.battery.charge A": "invalid",
        "hw.temperature A A": "invalid",
        "hw.battery.charge B": "invalid",
        "hw.temperature B B": "invalid",
        "hw.battery.charge C": 0,
        "hw.temperature C C": 0,
        "hw.battery.charge D": "invalid",
    }
