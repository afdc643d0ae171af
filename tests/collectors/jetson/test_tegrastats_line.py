"""The grammar of tegrastats: recorded lines of L4T 28 to 39, and what stands wrong in one."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from edge_agent.collectors.jetson.tegraline import Amount, Core, Engine, parse
from tests.collectors.tree import FIXTURES

MIB = 1024 * 1024
LINES = FIXTURES / "jetson" / "tegrastats.jsonl"
NOT_HERE = "the recorded lines are not beside this checkout"
OFF = Engine(None, None, off=True)
HIDDEN = Engine(None, None)

FACTS: Mapping[str, Mapping[str, Any]] = {
    "tx1-l4t28-sudo-old": {"EMC": Engine(1, 408), "GR3D": Engine(3, 76), "APE": Engine(None, 25), "cores": 4},
    "tx2-l4t28-sudo": {"GR3D_FREQ": Engine(None, 0), "off": 2, "VDD_IN": 3566, "thermal": 28.7},
    "tx2-l4t28-user": {"EMC_FREQ": None, "GR3D_FREQ": None, "VDD_IN": 3624, "Tdiode": 31.25},
    "tx2-l4t32-user": {"EMC_FREQ": HIDDEN, "GR3D_FREQ": HIDDEN, "VDD_4V0_WIFI": 0, "VDD_IN": 1840},
    "tx2-l4t32-root-beszel": {"EMC_FREQ": Engine(1, 1866), "GR3D_FREQ": Engine(0, 114), "VDD_IN": 5297},
    "nano-l4t32-root": {"GR3D_FREQ": Engine(42, 76), "POM_5V_IN": 2793, "POM_5V_CPU": 1222, "CPU": 28.5},
    "nano-norails": {"rails": 0, "off": 2, "thermal": 41.75, "GR3D_FREQ": HIDDEN},
    "nano-wifi": {"iwlwifi": 44.0, "POM_5V_IN": 2132, "EMC_FREQ": Engine(3, 1600)},
    "xavier-agx-l4t32-root": {"GR3D_FREQ": Engine(95, 1377), "AUX": 46.0, "SYS5V": 4632, "rail GPU": 18401},
    "xavier-agx-l4t35-root": {"VIC_FREQ": Engine(None, 115), "cores": 8, "rail CV": 0, "zone GPU": 35.0},
    "xavier-nx-l4t35-root": {"GR3D_FREQ": Engine(0, 114), "EMC_FREQ": Engine(2, 204), "VDD_IN": 2763},
    "xavier-nx-l4t35-user": {"GR3D_FREQ": Engine(22, None), "EMC_FREQ": HIDDEN, "off": 2, "VDD_IN": 5542},
    "agx-orin-l4t34-root": {"NVJPG1": Engine(None, 729), "CV0": "gated", "rails": 4, "VIN_SYS_5V0": 3842},
    "agx-orin-l4t35-root-arr": {"GR3D_FREQ": Engine(0, 0), "zone GPU": "gated", "tj": 44.343, "rails": 4},
    "orin-nano-l4t35-root": {"GR3D2_FREQ": Engine(0, 0), "cores": 6, "off": 2, "VDD_IN": 4915},
    "agx-orin-l4t36-root": {"GR3D_FREQ": Engine(39, 305), "NVENC": OFF, "PVA0_FREQ": OFF, "off": 4, "cores": 12},
    "orin-nano-l4t36-nvdec": {"NVDEC": Engine(40, 115), "VIC": Engine(31, 115), "NVJPG": OFF, "VDD_IN": 17946},
    "orin-nano-l4t36-root": {"NVENC": None, "GR3D_FREQ": Engine(63, 621), "VDD_IN": 12479},
    "orin-nano-l4t39-user": {"GR3D_FREQ": Engine(33, None), "EMC_FREQ": None, "VDD_IN": 9761, "soc2": 47.937},
    "agx-orin-l4t39-root": {"NVENC0": OFF, "GR3D_FREQ": Engine(12, 1300), "VDD_CPU_CV": 3268, "gpu": 47.625},
    "thor-l4t38-idle": {"GR3D_FREQ": Engine(None, 0), "NVENC0_FREQ": Engine(None, 0), "VIC": OFF, "VDD_GPU": 0},
    "thor-l4t38-gpu-on": {"GR3D_FREQ": Engine(None, 314), "VIN": 19780, "OFA_FREQ": Engine(None, 315)},
    "thor-l4t39-root": {"VIC": Engine(59, 423), "VDD_CPU_SOC_MSS": 7953, "cpu": 34.312},
    "thor-l4t39-loaded": {"GR3D_FREQ": Engine(87, 1574), "VIN": 124486, "tj": 66.625, "cores": 0},
    "nano-l4t32-root-waggle": {"EMC_FREQ": Engine(0, 1600), "POM_5V_GPU": 0, "POM_5V_IN": 1750},
}
"""What each recorded line says, as it was read by eye: of its cores, engines, zones and rails."""


def recorded() -> list[dict[str, Any]]:
    """Every recorded line, with its facts."""
    if not LINES.exists():
        pytest.skip(NOT_HERE)
    return [json.loads(line) for line in LINES.read_text().splitlines()]


def test_every_recorded_line_says_what_is_known_of_it() -> None:
    assert {one["id"] for one in recorded()} == set(FACTS)
    for one in recorded():
        said = parse(one["line"])
        assert said is not None, one["id"]
        counts = {
            "cores": len(said.cores),
            "off": said.cores.count(Core(None, None)),
            "rails": len(said.rails),
        }
        for name, fact in FACTS[one["id"]].items():
            kind, _, alone = name.rpartition(" ")
            if fact == "gated":
                assert said.zones[alone] is None, (one["id"], name)
            elif kind or name in counts:
                found = said.rails if kind == "rail" else said.zones if kind else counts
                assert found[alone] == fact, (one["id"], name)
            elif isinstance(fact, Engine) or fact is None:
                assert said.engines.get(name) == fact, (one["id"], name)
            else:
                assert (said.zones if isinstance(fact, float) else said.rails)[name] == fact, (one["id"], name)


def test_no_recorded_line_gives_a_dummy_or_a_reading_of_nothing() -> None:
    for one in recorded():
        said = parse(one["line"])
        assert said is not None
        assert not {"PMIC", "NC"} & {*said.zones, *said.rails, *said.engines}
        assert all(degrees is None or 20 < degrees < 100 for degrees in said.zones.values()), one["id"]
        assert all(core.clock is None or core.clock > 80 for core in said.cores), one["id"]


def test_every_word_of_every_recorded_line_is_known() -> None:
    passed = {"MTS", "fg", "bg", "(cached", "(lfb"}
    for one in recorded():
        said = parse(one["line"])
        assert said is not None
        known = {*said.engines, *said.zones, *said.rails, "RAM", "SWAP", "IRAM", "CPU", "cpu", "NC", "PMIC", *passed}
        words = {word.partition("@")[0] for word in one["line"].split() if word[0].isalpha() or word[0] == "("}
        assert words - known <= {"off"}, one["id"]


def test_memory_is_in_units_of_1024() -> None:
    said = parse("RAM 1095/3964MB (lfb 336x4MB) SWAP 1/4096MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [off]")
    assert said is not None
    assert said.memory == {
        "RAM": Amount(1095 * MIB, 3964 * MIB, 336 * 4 * MIB),
        "SWAP": Amount(MIB, 4096 * MIB, None),
        "IRAM": Amount(0, 252 * 1024, 252 * 1024),
    }


def test_of_pairs_and_triples_the_first_number_is_the_present_one() -> None:
    said = parse("cpu@58.25C/61.75C VDD_GPU 37939mW/8660mW/37940mW VDD_IN 12479mW/12480mW POM_5V_IN 2793/1750")
    assert said is not None
    assert said.zones == {"cpu": 58.25}
    assert said.rails == {"VDD_GPU": 37939, "VDD_IN": 12479, "POM_5V_IN": 2793}


def test_a_rail_of_a_zones_name_is_another_thing() -> None:
    said = parse("GPU@-256C CPU@49C GPU 18401/18525 CPU 2301/2330")
    assert said is not None
    assert (said.zones, said.rails) == ({"GPU": None, "CPU": 49.0}, {"GPU": 18401, "CPU": 2301})
    assert said.engines == {}


def test_a_zero_without_a_clock_is_what_one_who_may_not_know_writes() -> None:
    said = parse("EMC_FREQ 0% GR3D_FREQ 0% VIC_FREQ 7% NVDEC 0%@115")
    assert said is not None
    assert said.engines == {
        "EMC_FREQ": HIDDEN,
        "GR3D_FREQ": HIDDEN,
        "VIC_FREQ": Engine(7, None),
        "NVDEC": Engine(0, 115),
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "Fri Nov 20 19:34:00 UTC 2026",
        "sh: 1: tegrastats: not found",
        "\0\xff\xfe",
        "CPU [",
        "RAM x/yMB",
        "@@@@",
    ],
)
def test_what_is_no_line_of_it_is_none(line: str) -> None:
    assert parse(line) is None


def test_noise_costs_itself_only() -> None:
    said = parse("warning: RAM 1/2MB CPU [1%@2,wat,3%@4] GR3D_FREQ x%@7 EMC_FREQ 3%@1600 cpu@hotC VDD_IN 1mW/2mW")
    assert said is not None
    assert said.cores == (Core(1, 2), Core(None, None), Core(3, 4))
    assert (said.engines, said.zones, said.rails) == ({"EMC_FREQ": Engine(3, 1600)}, {}, {"VDD_IN": 1})
