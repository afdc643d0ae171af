"""The words of what was recorded on real boards come out as they were: names of boards, chips, rails, zones and modes.

`WORDS` names every word that a recording holds, and those who wrote a recording down in prose beside it. Numbers, and
the paths and zones beside them, are compared in `test_recorded`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors import hwmon, thermal
from edge_agent.collectors.jetson import board, emc, gpu, modes, overcurrent, power
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.jetson.test_power import Rails, chip
from tests.collectors.jetson.test_recorded import ORIN, RECORDED, THOR, recorded, zones
from tests.collectors.tree import build, plant

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings in {RECORDED}")

COMPARED = "compared here"
AS_A_NAME = "compared here: what is read there bears it"
PROSE = "not compared: what the one who wrote it down says, of no file"
NO_RAIL = "compared here: there is no such rail"

WORDS: Mapping[str, Mapping[str, str]] = {
    "agx-orin-jp6": {
        "board": PROSE,
        "provenance": PROSE,
        "note": PROSE,
        "paths /proc/device-tree/model": COMPARED,
        "paths /proc/device-tree/compatible": COMPARED,
        "paths /load": "compared in test_recorded: its greatest number is a load of 1",
        "paths in1_label": AS_A_NAME,
        "paths in2_label": AS_A_NAME,
        "paths in3_label": AS_A_NAME,
        "paths in1": NO_RAIL,
        "paths in3": NO_RAIL,
        "paths thermal_zones": AS_A_NAME,
    },
    "nano-jp4-thermal": {"board": PROSE, "provenance": PROSE, "note": PROSE},
    "orin-nano-jp6-paths": {
        "board": PROSE,
        "provenance": PROSE,
        "paths ina3221": "compared here: the source of the rails",
        "paths labels in1_label": AS_A_NAME,
        "paths labels in2_label": AS_A_NAME,
        "paths labels in3_label": AS_A_NAME,
        "paths labels in7_label": NO_RAIL,
        "paths alarms": "compared here: no reading is of one, since the chip forgets an alarm that was read",
        "paths soctherm_oc": "compared here: the source of the counters",
        "paths gpu": "compared in test_recorded by its number: it is read through the class",
        "paths emc_cap": "compared here: the source of the limit",
        "paths governor": "compared here: it is in no reading, and changes none",
    },
    "orin-nano-super-jp6-oc": {
        "board": "compared here: L4T and mode; the rest is prose",
        "provenance": PROSE,
        "readings hwmon name": "compared in test_recorded: a chip of another name has no counters",
    },
    "orin-nano-super-jp6": {"board": COMPARED, "provenance": PROSE, "caveat": PROSE},
    "thor-jp7": {
        "board": PROSE,
        "provenance": PROSE,
        "notes": PROSE,
        "readings zones_C gpu-thermal": "compared in test_recorded: a reason",
        "readings throttle_cdevs": "compared here: the names of the cooling devices; the rest is prose",
    },
}


def words(said: Any, place: str = "") -> Iterator[str]:
    """Where the words of a recording stand, without chips' paths and places within a list."""
    if isinstance(said, str):
        yield place.strip()
    for name, one in said.items() if isinstance(said, dict) else ():
        path = f" {name}" if not name.startswith("/sys/") else f" /{name.rpartition('/')[2]}" * isinstance(one, str)
        yield from words(one, place + path)
    for one in said if isinstance(said, list) else ():
        yield from words(one, place)


def read(offer: CollectorOffer[Any], root: Path) -> list[Reading]:
    """What a collector tells of a tree at once."""
    return list(build(offer, root).collect())


def named(readings: list[Reading], name: str) -> set[str]:
    """The `hw.id` of the series of a name."""
    return {one.attributes["hw.id"] for one in readings if one.name == name}


def test_every_word_of_the_recordings_is_compared_or_it_is_said_why_not() -> None:
    assert {file.stem: set(words(json.loads(file.read_bytes()))) for file in RECORDED.glob("*.json")} == {
        name: set(places) for name, places in WORDS.items()
    }


def test_the_model_and_the_module_of_an_agx_orin(tmp_path: Path) -> None:
    paths = recorded("agx-orin-jp6")["paths"]
    model, compatible = paths["/proc/device-tree/model"], paths["/proc/device-tree/compatible"]
    plant(tmp_path, {"proc/device-tree/model": model, "proc/device-tree/compatible": compatible})
    (told,) = read(board.OFFER, tmp_path)
    assert told.attributes["device.model.name"] == model.removesuffix("\0")
    assert f"+{told.attributes['device.model.identifier']}\0" in compatible
    assert f",tegra{told.attributes['jetson.soc'][1:]}\0" in compatible


def test_the_rails_and_the_zones_of_an_agx_orin(tmp_path: Path) -> None:
    said = recorded("agx-orin-jp6")
    found = {}
    for path, files in said["paths"].items():
        if "/hwmon/hwmon" in path:
            labels: Rails = {n: (files[f"in{n}_label"], 1, 1) for n in (1, 2, 3) if f"in{n}_label" in files}
            address = path.split("/")[6]
            folder = chip(tmp_path, int(path[-1]), labels, address)
            place = f"{address.partition('-')[2]}/hwmon/hwmon*"
            found.update({label: f"{place}/in{n}_input" for n, (label, *_) in labels.items()})
            plant(folder, {f"in{n}_label": "NC\n" for n in (1, 2, 3) if files.get(f"in{n}") == "absent"})
    rails = read(power.OFFER, tmp_path)
    assert named(rails, "hw.power") == set(said["expected_mW"])
    sources = {one.attributes["hw.id"]: one.source for one in rails if one.name == "hw.voltage"}
    assert {label: source.rpartition("-")[2] for label, source in sources.items()} == found
    kinds = dict(said["paths"]["thermal_zones"])
    assert set(zones(tmp_path, kinds, 1)) == set(kinds)


def test_the_names_and_paths_of_an_orin_nano(tmp_path: Path) -> None:
    paths = recorded("orin-nano-jp6-paths")["paths"]
    monitor, counters = paths["ina3221"][1:], paths["soctherm_oc"][1:]
    plant(tmp_path, ORIN)
    for path, files in (
        (monitor, {"name": "ina3221\n", **paths["labels"], **dict.fromkeys(paths["alarms"], "1\n")}),
        (monitor, {f"{kind}{n}_input": "5000\n" for kind in ("in", "curr") for n in (1, 2, 3)}),
        (counters, {"name": "soctherm_oc\n", "oc1_event_cnt": "4\n"}),
    ):
        plant(tmp_path / path, files)
        link = tmp_path / "sys/class/hwmon" / path.rpartition("/")[2]
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../../../{path}")
    rails = read(power.OFFER, tmp_path)
    assert named(rails, "hw.power") == {paths["labels"][f"in{n}_label"] for n in (1, 2, 3)}
    for one in rails:
        assert not any(alarm in one.source for alarm in paths["alarms"])
        assert re.match(lasting(one.source), paths["ina3221"]), one.source
    claimed = Host(tmp_path, live=False, claimed=power.OFFER.claims | overcurrent.OFFER.claims)
    assert not list(hwmon.OFFER.build(hwmon.OFFER.options(), claimed).collect()), "another one owns these chips"
    (events,) = read(overcurrent.OFFER, tmp_path)
    assert re.match(lasting(events.source), paths["soctherm_oc"]), events.source
    limit, _, hertz = paths["emc_cap"].partition(" = ")
    plant(tmp_path, {limit[1:]: f"{hertz}\n"})
    assert [one.source for one in read(emc.OFFER, tmp_path) if one.name.endswith(".limit")] == [limit]
    entry = "sys/class/devfreq/17000000.gpu"
    plant(tmp_path, {f"{entry}/cur_freq": "306000000\n", f"{entry}/device/load": "0\n"})
    before = read(gpu.OFFER, tmp_path)
    plant(tmp_path, {f"{entry}/governor": f"{paths['governor']}\n"})
    assert read(gpu.OFFER, tmp_path) == before
    assert paths["governor"] not in str(before)


def lasting(source: str) -> str:
    """A pattern of the folder of the first file that a source names; numbers that boots change stand in it as `*`."""
    folder = source.partition(" ")[0].rpartition("/")[0]
    return re.escape(folder).replace(r"\*", r"\d+") + "$"


def test_the_release_and_the_mode_of_an_orin_nano_super(tmp_path: Path) -> None:
    _, release, mode = recorded("orin-nano-super-jp6-oc")["board"].split(", ")
    l4t = release.removeprefix("L4T R")
    major, _, revision = l4t.partition(".")
    plant(
        tmp_path,
        {
            **ORIN,
            "proc/device-tree/model": f"{recorded('orin-nano-super-jp6')['board']}\0",
            "etc/nv_tegra_release": f"# R{major} (release), REVISION: {revision}, GCID: 1, BOARD: generic\n",
            "etc/nvpmodel.conf": f"< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME={mode} >\n",
            "var/lib/nvpmodel/status": "pmode:0002\n",
        },
    )
    (told,) = read(board.OFFER, tmp_path)
    assert told.attributes["device.model.name"] == recorded("orin-nano-super-jp6")["board"]
    assert told.attributes["jetson.l4t.version"] == l4t
    names = [one.attributes for one in read(modes.OFFER, tmp_path) if one.name == "jetson.nvpmodel.mode"]
    assert names == [{"jetson.nvpmodel.id": "2", "jetson.nvpmodel.name": mode}]


def test_the_cooling_devices_of_a_thor(tmp_path: Path) -> None:
    said = recorded("thor-jp7")["readings"]
    found = re.findall(r"[*\w-]*-[\w-]+", said["throttle_cdevs"])
    kinds = [word.replace("*", zone.removesuffix("-thermal")) for word in found for zone in said["zones_C"]]
    plant(tmp_path, THOR)
    for number, kind in enumerate(dict.fromkeys(kinds)):
        folder = f"sys/class/thermal/cooling_device{number}"
        plant(tmp_path, {f"{folder}/type": f"{kind}\n", f"{folder}/cur_state": "1\n", f"{folder}/max_state": "2\n"})
    states = [one for one in read(thermal.OFFER, tmp_path) if one.name == "linux.cooling.state"]
    assert len(found) == 2
    assert {one.attributes["linux.cooling.device"] for one in states} == set(kinds)
    assert {one.value for one in states} == {1}


def boards_rails() -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Every board of the table of rails, with the rails of each chip by its address."""
    for section in (RECORDED / "JetsonPowerRails.md").read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| 0x([0-9a-f]{2})[^|]*\|(.*)\|$", section, re.MULTILINE)
        yield section.partition("\n")[0], {address: re.findall(r"\w+", row) for address, row in rows}


def test_the_rails_of_each_board_of_the_table_have_its_names_and_one_input_at_most(tmp_path: Path) -> None:
    seen = list(boards_rails())
    assert len(seen) == 7
    for name, chips in seen:
        for number, (address, labels) in enumerate(chips.items()):
            chip(tmp_path / name, number, {n: (rail, 1, 1) for n, rail in enumerate(labels, 1)}, f"1-00{address}")
        told = read(power.OFFER, tmp_path / name)
        assert named(told, "hw.power") == {rail for labels in chips.values() for rail in labels} - {"NC"}, name
        inputs = {rail for labels in chips.values() for rail in labels} & {"VDD_IN", "POM_5V_IN"}
        assert [one.name for one in told].count("hw.host.power") == len(inputs) == (0 if "AGX" in name else 1), name
