"""The GPU: found on every family, by what it is and not by where, and absent where no file tells."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.gpu import OFFER, Gpu
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant, table

LOAD, SPEED = "hw.gpu.utilization general gpu", "hw.gpu.speed gpu"
THOR = {"sys/firmware/devicetree/base/compatible": b"nvidia,p3834\0nvidia,tegra264\0"}


def gpu(root: Path, device: str, entry: str, load: str | None = "412\n", clock: str = "611000000\n") -> Path:
    """A GPU at a device's path, with its clock in the class of clocks; the file of its load."""
    plant(root, {f"{device}/devfreq/{entry}/cur_freq": clock})
    if load is not None:
        plant(root, {f"{device}/load": load})
    (root / device / "devfreq" / entry / "device").symlink_to("../..")
    classes = root / "sys/class/devfreq"
    classes.mkdir(parents=True, exist_ok=True)
    (classes / entry).symlink_to(f"../../../{device}/devfreq/{entry}")
    return root / device / "load"


@pytest.mark.parametrize(
    ("device", "entry"),
    [
        ("sys/devices/57000000.gpu", "57000000.gpu"),
        ("sys/devices/17000000.gp10b", "17000000.gp10b"),
        ("sys/devices/17000000.gv11b", "17000000.gv11b"),
        ("sys/devices/platform/17000000.gv11b", "17000000.gv11b"),
        ("sys/devices/platform/17000000.ga10b", "17000000.ga10b"),
        ("sys/devices/platform/bus@0/17000000.gpu", "17000000.gpu"),
    ],
)
def test_each_family_has_load_and_clock(tmp_path: Path, device: str, entry: str) -> None:
    gpu(tmp_path, device, entry)
    shown = table(build(OFFER, tmp_path).collect())
    assert (shown[LOAD], shown[SPEED]) == (0.412, 611000000)


def test_limits_of_the_clock_are_told(tmp_path: Path) -> None:
    load = gpu(tmp_path, "sys/devices/platform/17000000.ga10b", "17000000.ga10b")
    ends = load.parent / "devfreq/17000000.ga10b"
    (ends / "min_freq").write_text("306000000\n")
    (ends / "max_freq").write_text("1300500000\n")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["hw.gpu.speed.limit gpu min"] == 306000000
    assert shown["hw.gpu.speed.limit gpu max"] == 1300500000


def test_a_gpu_at_a_new_address_is_known_by_its_node(tmp_path: Path) -> None:
    load = gpu(tmp_path, "sys/devices/platform/1b000000.gb10b", "1b000000.gb10b", "77\n")
    node = load.parent / "of_node"
    plant(tmp_path, {f"{node.relative_to(tmp_path)}/name": b"gb10b\0"})
    (node / "compatible").write_bytes(b"nvidia,gb10b\0")
    assert table(build(OFFER, tmp_path).collect())[LOAD] == 0.077


def test_clocks_of_others_are_none(tmp_path: Path) -> None:
    gpu(tmp_path, "sys/devices/platform/fb000000.gpu", "fb000000.gpu", "4@300000000Hz\n")
    gpu(tmp_path, "sys/devices/platform/15340000.vic", "15340000.vic")
    plant(tmp_path, {"sys/devices/platform/fb000000.gpu/of_node/name": b"gpu\0"})
    plant(tmp_path, {"sys/devices/platform/fb000000.gpu/of_node/compatible": b"rockchip,rk3588-mali\0"})
    assert list(build(OFFER, tmp_path).collect()) == []


def test_a_gpu_that_was_never_powered_has_a_load_without_a_clock(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/devices/platform/gpu.0/load": "0\n"})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown == {LOAD: 0, SPEED: "missing"}


def test_thor_has_clocks_and_no_load(tmp_path: Path) -> None:
    plant(tmp_path, THOR)
    gpu(tmp_path, "sys/devices/pci0000:00/0000:01:00.0", "gpu-gpc-0", None)
    plant(tmp_path, {"sys/devices/pci0000:00/0000:01:00.0/devfreq/gpu-nvd-0/cur_freq": "5\n"})
    (tmp_path / "sys/class/devfreq/gpu-nvd-0").symlink_to(
        "../../../sys/devices/pci0000:00/0000:01:00.0/devfreq/gpu-nvd-0"
    )
    shown = table(build(OFFER, tmp_path).collect())
    assert (shown[LOAD], shown[SPEED], shown["hw.gpu.speed gpu-nvd-0"]) == ("missing", 611000000, 5)


def test_a_board_without_a_gpu_to_see_says_so(tmp_path: Path) -> None:
    plant(tmp_path, THOR)
    assert table(build(OFFER, tmp_path).collect()) == {LOAD: "missing", SPEED: "missing"}


def test_another_machine_gives_nothing(tmp_path: Path) -> None:
    assert list(build(OFFER, tmp_path).collect()) == []


@pytest.mark.parametrize(
    ("text", "said"), [("", "malformed"), ("x", "malformed"), ("1_0", "malformed"), ("-\n", "malformed")]
)
def test_a_load_that_is_no_number_costs_itself_only(tmp_path: Path, text: str, said: str) -> None:
    load = gpu(tmp_path, "sys/devices/57000000.gpu", "57000000.gpu")
    collector = build(OFFER, tmp_path)
    collector.collect()
    list(collector.collect())
    load.write_text(text)
    shown = table(collector.collect())
    assert (shown[LOAD], shown[SPEED]) == (said, 611000000)


def test_a_gated_block_is_absent_and_back_at_once(tmp_path: Path) -> None:
    gpu(tmp_path, "sys/devices/57000000.gpu", "57000000.gpu")
    host = Host(tmp_path, live=False)
    file = "sys/class/devfreq/57000000.gpu/device/load"
    collector = Gpu(OFFER.options(), replace(host, errors={file: errno.EAGAIN}))
    shown = table(collector.collect())
    assert shown == {LOAD: "EAGAIN", SPEED: 611000000} | {
        f"hw.gpu.speed.limit gpu {end}": "missing" for end in ("min", "max")
    }


def test_what_was_seen_and_went_is_gone_and_may_come_back(tmp_path: Path) -> None:
    load = gpu(tmp_path, "sys/devices/57000000.gpu", "57000000.gpu")
    collector = build(OFFER, tmp_path)
    assert table(collector.collect())[LOAD] == 0.412
    load.unlink()
    assert {table(collector.collect())[LOAD] for _ in range(40)} == {"gone"}
    load.write_text("1000\n")
    assert 1 in [table(collector.collect())[LOAD] for _ in range(31)]
