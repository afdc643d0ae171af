"""tegrastats as a source: what its lines give to the owners of series, and how it is kept running."""

import json
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.answers import Absent, engine_id
from edge_agent.collectors.jetson.tegrastats import OFFER, answers, knows
from edge_agent.model.ports import Host
from tests.collectors.jetson.spoken import Spoken
from tests.collectors.tree import FIXTURES, table

LINES = FIXTURES / "jetson" / "tegrastats.jsonl"
LOAD = "hw.gpu.utilization"
ORIN = (
    b"RAM 17953/62841MB (lfb 9x4MB) EMC_FREQ 12%@204 GR3D_FREQ 39%@[305,0] NVENC 79%@166 NVDEC off NVJPG1 off VIC off"
    b" NVDLA1 off PVA0_FREQ off APE 174 cpu@43.9C VDD_IN 12479mW/12480mW\n"
)


def told(line: bytes) -> dict[str, float | str | None]:
    """Value or reason by name and id."""
    return {
        f"{name} {one}".strip(): a.reason if a.value is None else a.value for (name, one), a in answers(line).items()
    }


def test_a_line_gives_the_gpu_the_memory_controller_the_engines_and_the_rails() -> None:
    assert told(ORIN) == {
        "hw.gpu.utilization gpu": 0.39,
        "hw.gpu.speed gpu": 305_000_000,
        "jetson.emc.utilization": 0.12,
        "jetson.emc.frequency": 204_000_000,
        "hw.gpu.utilization nvenc0": 0.79,
        "jetson.engine.frequency nvenc0": 166_000_000,
        "jetson.engine.state nvenc0": 1,
        "hw.gpu.utilization nvdec0": "off",
        "jetson.engine.frequency nvdec0": "off",
        "jetson.engine.state nvdec0": 0,
        "jetson.engine.utilization nvjpg1": "off",
        "jetson.engine.frequency nvjpg1": "off",
        "jetson.engine.state nvjpg1": 0,
        "jetson.engine.utilization vic": "off",
        "jetson.engine.frequency vic": "off",
        "jetson.engine.state vic": 0,
        "jetson.engine.utilization dla1": "off",
        "jetson.engine.frequency dla1": "off",
        "jetson.engine.state dla1": 0,
        "jetson.engine.utilization pva0": "off",
        "jetson.engine.frequency pva0": "off",
        "jetson.engine.state pva0": 0,
        "jetson.engine.frequency ape": 174_000_000,
        "hw.power VDD_IN": 12.479,
    }


def test_a_clock_alone_leaves_load_and_state_unknown_and_one_of_zero_is_none() -> None:
    said = told(b"GR3D_FREQ @[0,0,0] NVENC0_FREQ @0 NVENC1_FREQ @314 NVDEC0_FREQ 0%@115\n")
    assert said[f"{LOAD} gpu"] == said["hw.gpu.speed gpu"] == "not told"
    assert said["jetson.engine.frequency nvenc0"] == "not told"
    assert said["jetson.engine.frequency nvenc1"] == 314_000_000
    assert [name for name in said if "state" in name] == ["jetson.engine.state nvdec0"]
    assert said["jetson.engine.state nvdec0"] == 1


def test_a_load_of_more_than_all_is_malformed() -> None:
    assert told(b"GR3D_FREQ 101%@300\n") == {f"{LOAD} gpu": "malformed", "hw.gpu.speed gpu": 300_000_000}


def test_what_one_without_privilege_writes_is_absent() -> None:
    said = told(b"RAM 1/2MB EMC_FREQ 0% GR3D_FREQ 0% VDD_IN 1840/1840\n")
    assert said == {
        f"{LOAD} gpu": "not told",
        "hw.gpu.speed gpu": "not told",
        "jetson.emc.utilization": "not told",
        "jetson.emc.frequency": "not told",
        "hw.power VDD_IN": 1.84,
    }


def test_each_recorded_line_gives_values_within_reason() -> None:
    if not LINES.exists():
        pytest.skip("the recorded lines are not beside this checkout")
    for one in map(json.loads, LINES.read_text().splitlines()):
        for (name, _id), answer in answers(one["line"].encode()).items():
            if answer.value is None:
                assert answer.reason in {"off", "not told"}, one["id"]
            elif name.endswith("utilization"):
                assert 0 <= answer.value <= 1, one["id"]
            elif name.endswith(("frequency", "speed")):
                assert 2e7 < answer.value < 5e9, one["id"]


@pytest.mark.parametrize(
    "form", [b"VDD_IN %smW/1mW", b"GR3D_FREQ 1%%@%s", b"RAM %s/%sMB", b"VIC %s", b"EMC_FREQ %s%%@1"]
)
def test_a_number_that_is_beyond_all_numbers_is_none(form: bytes) -> None:
    line = b"VDD_SOC 1mW/1mW " + form.replace(b"%%", b"%").replace(b"%s", b"9" * 4000)
    assert told(line)["hw.power VDD_SOC"] == 0.001
    assert all(isinstance(said, str) or said < 1e12 for said in told(line).values() if said is not None)


@pytest.mark.parametrize("line", [b"\xff\0 sh: not found\n", b"", b"cpu [" * 100_000, b"VDD_IN 1mW/1mW " * 1000])
def test_what_is_no_line_is_absent(line: bytes) -> None:
    with pytest.raises(Absent, match="malformed"):
        answers(line)


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("NVENC", "nvenc0"), ("nvenc1", "nvenc1"), ("MSENC", "nvenc0"), ("msenc", "nvenc0"), ("NVDEC0_FREQ", "nvdec0"),
        ("NVJPG1", "nvjpg1"), ("nvjpg", "nvjpg0"), ("NVDLA0", "dla0"), ("DLA1_CORE", "dla1"), ("dla0_core", "dla0"),
        ("PVA0_FREQ", "pva0"), ("VIC_FREQ", "vic"), ("OFA", "ofa"), ("APE", "ape"), ("DLA0_FALCON", None),
        ("PVA0_CPU_AXI", None), ("SE", None), ("GR3D", None), ("", None),
    ],
)  # fmt: skip
def test_an_engine_has_one_id_whoever_speaks_of_it(name: str, one: str | None) -> None:
    assert engine_id(name) == one


def test_it_knows_nothing_of_what_it_does_not_give() -> None:
    assert knows((LOAD, "gpu"))
    assert not knows(("hw.temperature", "cpu"))


def test_it_is_kept_running_and_tells_the_largest_free_block() -> None:
    spoken = Spoken()
    collector = OFFER.build(OFFER.options(), Host(Path("/nowhere"), live=True, commands=spoken))
    assert table(collector.collect()) == {
        "jetson.source.up tegrastats": "starting",
        "jetson.memory.largest_free_block": "starting",
    }
    assert spoken.offers == {"tegrastats": (("tegrastats",), 1.0)}
    spoken.says["tegrastats"] = ORIN
    assert table(collector.collect()) == {
        "jetson.source.up tegrastats": 1,
        "jetson.memory.largest_free_block": 9 * 4 * 1024 * 1024,
    }
    spoken.fresh = False
    assert set(table(collector.collect()).values()) == {"stale"}
    spoken.says["tegrastats"] = b"VDD_IN 1mW/1mW\n"
    spoken.fresh = True
    assert table(collector.collect())["jetson.memory.largest_free_block"] == "not reported"
    spoken.says["tegrastats"] = b"what?\n"
    assert set(table(collector.collect()).values()) == {"malformed"}


def test_its_words_and_its_beat_are_options() -> None:
    spoken = Spoken()
    options = OFFER.options(command=("sudo", "-n", "/usr/bin/tegrastats"), every=0.5)
    tuple(OFFER.build(options, Host(Path("/nowhere"), live=True, commands=spoken)).collect())
    assert spoken.offers == {"tegrastats": (("sudo", "-n", "/usr/bin/tegrastats", "--interval", "500"), 0.5)}
    options = OFFER.options(command=("cat", "/run/tegrastats.pipe"), every=5.0)
    tuple(OFFER.build(options, Host(Path("/nowhere"), live=True, commands=spoken)).collect())
    assert spoken.offers == {"tegrastats": (("cat", "/run/tegrastats.pipe"), 5.0)}
    for command, why in ((), "empty"), (("tegrastats", ""), "empty"), (("tegra\0stats",), "zero byte"):
        with pytest.raises(ValueError, match=why):
            OFFER.build(OFFER.options(command=command), Host(Path("/nowhere"), live=True))


def test_it_runs_only_when_it_is_asked_for_and_says_so_without_commands() -> None:
    assert not OFFER.default
    shown = table(OFFER.build(OFFER.options(), Host(Path("/nowhere"), live=False)).collect())
    assert set(shown.values()) == {"not live"}
