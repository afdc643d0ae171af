"""Engines: clocks and states by any of their names, and only those that are there or must be."""

import errno
from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.engines import OFFER, Engines
from edge_agent.model.ports import Host
from tests.collectors.jetson.spoken import Spoken
from tests.collectors.tree import build, plant, table

CLK = "sys/kernel/debug/clk"
BOARD = {
    "proc/device-tree/compatible": b"nvidia,tegra234\0",
    "proc/device-tree/model": b"NVIDIA Jetson AGX Orin Developer Kit\0",
}
NANO = {**BOARD, "proc/device-tree/model": b"NVIDIA Jetson Orin Nano Developer Kit\0"}


@pytest.mark.parametrize(
    ("clock", "engine"),
    [
        ("nvenc", "nvenc0"),
        ("msenc", "nvenc0"),
        ("nvdec1", "nvdec1"),
        ("nvjpg1", "nvjpg1"),
        ("dla0_core", "dla0"),
        ("pva0_vps", "pva0"),
        ("pva0_vps0", "pva0"),
        ("vic03", "vic"),
        ("ofa", "ofa"),
        ("ape", "ape"),
    ],
)
def test_a_clock_and_its_state_are_an_engines(tmp_path: Path, clock: str, engine: str) -> None:
    plant(tmp_path, {f"{CLK}/{clock}/clk_rate": "1190400000\n", f"{CLK}/{clock}/clk_enable_count": "2\n"})
    assert table(build(OFFER, tmp_path).collect()) == {
        f"jetson.engine.frequency {engine}": 1190400000,
        f"jetson.engine.state {engine}": 1,
    }


def test_an_engine_that_is_off_has_state_zero(tmp_path: Path) -> None:
    plant(tmp_path, {f"{CLK}/nvdec/clk_rate": "268800000\n", f"{CLK}/nvdec/clk_enable_count": "0\n"})
    assert table(build(OFFER, tmp_path).collect())["jetson.engine.state nvdec0"] == 0


def test_without_root_what_the_board_has_is_absent(tmp_path: Path) -> None:
    plant(tmp_path, BOARD)
    errors = {f"{CLK}/{clock}/clk_rate": errno.EACCES for clock in ("nvenc", "nvdec", "nvjpg", "vic", "ofa", "ape")}
    shown = table(Engines(OFFER.options(), Host(tmp_path, live=False, errors=errors)).collect())
    clocks = {name.split()[1]: said for name, said in shown.items() if name.startswith("jetson.engine.frequency")}
    assert clocks == dict.fromkeys(("nvenc0", "nvdec0", "nvjpg0", "vic"), "unreadable: EACCES")


def test_a_board_without_an_encoder_has_none(tmp_path: Path) -> None:
    plant(tmp_path, NANO)
    assert not [name for name in table(build(OFFER, tmp_path).collect()) if "nvenc" in name]


@pytest.mark.parametrize(
    "load",
    [
        "sys/class/devfreq/15340000.vic/device/load",
        "sys/devices/platform/13e40000.host1x/15340000.vic/load",
        "sys/devices/platform/bus@0/13e00000.host1x/15340000.vic/load",
    ],
)
def test_vic_tells_its_load_to_all(tmp_path: Path, load: str) -> None:
    plant(tmp_path, {**BOARD, load: "125\n", "sys/class/devfreq/15340000.vic/cur_freq": "115200000\n"})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["jetson.engine.utilization vic"] == 0.125
    assert shown["jetson.engine.frequency vic"] == 115200000


def test_on_thor_nvml_tells_the_load_of_the_gpus_coders_and_is_not_begun_elsewhere(tmp_path: Path) -> None:
    spoken = Spoken()
    spoken.says["nvml"] = b'{"gpus": [{"name": "NVIDIA Thor", "encoder": 12, "decoder": 0}]}'
    host = Host(tmp_path, live=False, claimed=frozenset({"nvml"}), commands=spoken)
    plant(tmp_path, BOARD)
    Engines(OFFER.options(), host).collect()
    assert spoken.asked == []
    plant(tmp_path, {"proc/device-tree/compatible": b"nvidia,tegra264\0"})
    collector = Engines(OFFER.options(), host)
    readings = list(collector.collect())
    assert table(readings) == {"hw.gpu.utilization encoder gpu": 0.12, "hw.gpu.utilization decoder gpu": 0}
    assert {reading.source for reading in readings} == {"nvml"}
    spoken.says["nvml"] = b'{"absent": "no driver"}'
    assert set(table(collector.collect()).values()) == {"no driver"}


def test_what_appears_on_a_machine_that_is_no_board_as_far_as_is_known_is_found(tmp_path: Path) -> None:
    collector = build(OFFER, tmp_path)
    assert list(collector.collect()) == []
    plant(tmp_path, {f"{CLK}/nvdec/clk_rate": "268800000\n"})
    found = [table(collector.collect()) for _ in range(31)]
    assert found[-1] == {"jetson.engine.frequency nvdec0": 268800000}
    plant(tmp_path, {f"{CLK}/nvdec/clk_enable_count": "1\n"})
    assert len([table(collector.collect()) for _ in range(31)][-1]) == 2


def test_engines_that_a_board_may_have_are_found_each_at_another_beat(tmp_path: Path) -> None:
    plant(tmp_path, BOARD)
    collector = build(OFFER, tmp_path)
    before = table(collector.collect()).keys()
    plant(tmp_path, {f"{CLK}/{clock}/clk_rate": "268800000\n" for clock in ("nvdec1", "ofa", "ape", "dla1_core")})
    counts = [len(table(collector.collect()).keys() - before) for _beat in range(30)]
    assert counts[-1] == 4
    assert max(after - count for count, after in pairwise(counts)) == 1


def test_another_machine_gives_nothing(tmp_path: Path) -> None:
    errors = {f"{CLK}/vic/clk_rate": errno.EACCES}
    assert list(Engines(OFFER.options(), Host(tmp_path, live=False, errors=errors)).collect()) == []
