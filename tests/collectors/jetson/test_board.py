"""The board: who it is by the device tree and the release file, and that what is hidden is asked for again."""

from pathlib import Path

import pytest

from edge_agent.collectors.jetson.board import OFFER, Board, Known, board_of
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant

TREE = "sys/firmware/devicetree/base"
ORIN = {
    f"{TREE}/model": b"NVIDIA Jetson AGX Orin Developer Kit\0",
    f"{TREE}/compatible": b"nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
}
RELEASE = "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, DATE: Mon Jun 16 2025\n"


def seen(root: Path) -> Board | None:
    return board_of(Host(root, live=False))


def test_one_reading_names_the_board(tmp_path: Path) -> None:
    plant(tmp_path, {**ORIN, "etc/nv_tegra_release": RELEASE})
    (reading,) = build(OFFER, tmp_path).collect()
    assert (reading.name, reading.value) == ("jetson.board", 1)
    assert reading.attributes == {
        "device.model.name": "NVIDIA Jetson AGX Orin Developer Kit",
        "device.model.identifier": "p3701-0005",
        "jetson.soc": "t234",
        "jetson.l4t.version": "36.4.4",
        "jetson.jetpack.version": "6.2.1",
    }


@pytest.mark.parametrize(
    ("files", "source"),
    [
        (ORIN, f"/{TREE}/compatible"),
        ({"proc/device-tree/compatible": b"nvidia,tegra264\0"}, "/proc/device-tree/compatible"),
        ({"etc/nv_tegra_release": RELEASE}, "/etc/nv_tegra_release"),
    ],
)
def test_its_source_is_the_file_that_says_it_is_a_jetson(
    tmp_path: Path, files: dict[str, str | bytes], source: str
) -> None:
    plant(tmp_path, files)
    assert [reading.source for reading in build(OFFER, tmp_path).collect()] == [source]


@pytest.mark.parametrize(
    ("compatible", "module"),
    [
        (b"nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210\0", "p3448-0000"),
        (b"nvidia,galen\0nvidia,p2822-0000+p2888-0001\0nvidia,tegra194\0", "p2888-0001"),
        (b"nvidia,tegra234\0", "unknown"),
    ],
)
def test_the_module_is_told_by_compatible(tmp_path: Path, compatible: bytes, module: str) -> None:
    plant(tmp_path, {f"{TREE}/compatible": compatible})
    board = seen(tmp_path)
    assert board is not None
    assert board.module == module


def test_another_machine_is_none(tmp_path: Path) -> None:
    plant(tmp_path, {f"{TREE}/model": b"Raspberry Pi 5\0", f"{TREE}/compatible": b"raspberrypi,5\0brcm,bcm2712\0"})
    assert seen(tmp_path) is None
    assert list(build(OFFER, tmp_path).collect()) == []


@pytest.mark.parametrize(
    ("chip", "soc"),
    [("210", "t210"), ("186", "t186"), ("194", "t194"), ("234", "t234"), ("23x", "t234"), ("264", "t264")],
)
def test_the_chip_is_told_by_compatible(tmp_path: Path, chip: str, soc: str) -> None:
    plant(tmp_path, {f"{TREE}/compatible": f"nvidia,p1\0nvidia,tegra{chip}\0"})
    board = seen(tmp_path)
    assert board == Board("unknown", soc, "unknown")
    assert board.jetpack == "unknown"


@pytest.mark.parametrize(
    ("line", "l4t", "jetpack"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29818004", "32.7.1", "4.6.1"),
        ("# R32 (release), REVISION: 5.0, GCID: 1", "32.5.0", "4.5"),
        ("# R35 (release), REVISION: 4.1, GCID: 1", "35.4.1", "5.1.2"),
        ("# R36 (release), REVISION: 4.0, GCID: 1", "36.4.0", "6.1"),
        ("# R39 (release), REVISION: 2.0, DATE: Mon Jun  1 09:28:48 PM UTC 2026", "39.2.0", "7.2"),
        ("# R40 (release), REVISION: 1.0, GCID: 1", "40.1.0", "unknown JetPack, L4T 40.1.0"),
    ],
)
def test_the_release_tells_l4t_and_jetpack(tmp_path: Path, line: str, l4t: str, jetpack: str) -> None:
    plant(tmp_path, {**ORIN, "etc/nv_tegra_release": line + "\n"})
    board = seen(tmp_path)
    assert board is not None
    assert (board.l4t, board.jetpack) == (l4t, jetpack)


def test_a_release_file_alone_is_a_board_of_unknown_model(tmp_path: Path) -> None:
    plant(tmp_path, {"etc/nv_tegra_release": RELEASE})
    assert seen(tmp_path) == Board("unknown", "unknown", "36.4.4")


@pytest.mark.parametrize("model", [b"\xfc\xa7", b"", b"a\nb", b"x" * 257])
def test_a_model_that_is_no_text_is_unknown_until_it_is_one(model: bytes, tmp_path: Path) -> None:
    plant(tmp_path, ORIN)
    (tmp_path / TREE / "model").write_bytes(model)
    known = Known(Host(tmp_path, live=False))
    board = known.board()
    assert board is not None
    assert board.model == "unknown"
    plant(tmp_path, ORIN)
    assert [known.board() for _ in range(30)][-1] == seen(tmp_path)


def test_files_that_are_bound_into_a_container_later_are_found(tmp_path: Path) -> None:
    known = Known(Host(tmp_path, live=False))
    assert known.board() is None
    plant(tmp_path, {f"proc/device-tree/{name.rpartition('/')[2]}": text for name, text in ORIN.items()})
    assert [known.board() for _ in range(29)] == [None] * 29
    board = known.board()
    assert board is not None
    assert board.soc == "t234"


def test_a_known_board_stays_known_when_its_files_go(tmp_path: Path) -> None:
    plant(tmp_path, ORIN)
    known = Known(Host(tmp_path, live=False))
    board = known.board()
    (tmp_path / TREE / "compatible").unlink()
    assert {known.board() for _ in range(70)} == {board}


def test_what_was_known_stays_known_beside_what_is_learnt_later(tmp_path: Path) -> None:
    plant(tmp_path, ORIN)
    known = Known(Host(tmp_path, live=False), every=1)
    assert known.board() == Board("NVIDIA Jetson AGX Orin Developer Kit", "t234", "unknown", "p3701-0005")
    (tmp_path / TREE / "model").unlink()
    (tmp_path / TREE / "compatible").unlink()
    plant(tmp_path, {"etc/nv_tegra_release": RELEASE})
    assert known.board() == Board("NVIDIA Jetson AGX Orin Developer Kit", "t234", "36.4.4", "p3701-0005")


@pytest.mark.parametrize("text", [b"", b"\0\0", b"\xff\xfe" * 9000, b"# R36 (release)\n"])
def test_a_release_file_that_says_nothing_leaves_it_unknown(tmp_path: Path, text: bytes) -> None:
    plant(tmp_path, {**ORIN, "etc/nv_tegra_release": text})
    board = seen(tmp_path)
    assert board is not None
    assert board.l4t == "unknown"


def test_the_series_of_the_name_that_it_had_before_is_gone(tmp_path: Path) -> None:
    plant(tmp_path, ORIN)
    collector = build(OFFER, tmp_path)
    (before,) = collector.collect()
    plant(tmp_path, {"etc/nv_tegra_release": RELEASE})
    for _beat in range(31):
        readings = list(collector.collect())
    assert readings[0] == before._replace(value=None, reason="gone")
    assert [reading.value for reading in readings] == [None, 1]
