"""Disks: what is counted, what is skipped, what comes and goes."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.collectors.disk import OFFER
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant, table

SDA = "   8       0 sda 10 11 12 13 20 21 22 23 7 30 31\n"
NVME = " 259       0 nvme0n1 1 1 1 1 1 1 1 1 0 1 1 2 2 2 2 3 3\n"


def line(name: str) -> str:
    return f" 1 0 {name} 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5\n"


def disks(shown: dict[str, float | str | None]) -> set[str]:
    return {name.removesuffix(" read").removesuffix(" write").rpartition(" ")[2] for name in shown}


def test_what_a_disk_did_goes_each_way(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/diskstats": SDA})
    assert table(build(OFFER, tmp_path).collect()) == {
        "system.disk.io read sda": 12 * 512,
        "system.disk.io write sda": 22 * 512,
        "system.disk.operations read sda": 10,
        "system.disk.operations write sda": 20,
        "system.disk.merged read sda": 11,
        "system.disk.merged write sda": 21,
        "system.disk.operation_time read sda": 0.013,
        "system.disk.operation_time write sda": 0.023,
        "system.disk.io_time sda": 0.03,
    }


def test_all_are_counters_and_times_have_milliseconds(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/diskstats": SDA})
    readings = list(build(OFFER, tmp_path).collect())
    assert {(reading.kind, reading.source) for reading in readings} == {("counter", "/proc/diskstats")}
    assert {reading.digits for reading in readings if reading.unit == "s"} == {3}
    assert {reading.digits for reading in readings if reading.unit != "s"} == {0}


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("sda", ["sda1", "sda12"]),
        ("sdp", ["sdp1"]),
        ("nvme0n1", ["nvme0n1p1", "nvme0n1p10"]),
        ("mmcblk0", ["mmcblk0p1", "mmcblk0p12"]),
        ("cciss/c0d0", ["cciss/c0d0p1"]),
        ("vdab", ["vdab3"]),
    ],
)
def test_partitions_are_no_disks(tmp_path: Path, whole: str, parts: list[str]) -> None:
    plant(tmp_path, {"proc/diskstats": "".join(map(line, [whole, *parts]))})
    assert disks(table(build(OFFER, tmp_path).collect())) == {whole}


def test_a_name_that_only_looks_like_a_partition_is_a_disk(tmp_path: Path) -> None:
    names = ["mmcblk0", "mmcblk0boot0", "mmcblk1", "mmcblk10", "dm-1", "dm-10", "pmem0", "pmem0s", "sdap1"]
    plant(tmp_path, {"proc/diskstats": "".join(map(line, names))})
    assert disks(table(build(OFFER, tmp_path, exclude=()).collect())) == set(names)


def test_what_lies_on_other_disks_or_in_memory_is_skipped(tmp_path: Path) -> None:
    names = ["loop0", "ram15", "zram0", "dm-0", "md127", "nbd3", "fd0", "mmcblk0boot1", "mmcblk0", "sr0"]
    names += ["bcache0", "drbd1", "zd16"]
    plant(tmp_path, {"proc/diskstats": "".join(map(line, names))})
    assert disks(table(build(OFFER, tmp_path).collect())) == {"mmcblk0", "sr0"}
    assert disks(table(build(OFFER, tmp_path, exclude=("[!d]*", "drbd*")).collect())) == {"dm-0"}


def test_a_disk_that_went_is_absent_and_may_come_back(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/diskstats": SDA + NVME})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {"proc/diskstats": NVME})
    shown = table(collector.collect())
    assert shown["system.disk.io read sda"] == shown["system.disk.io_time sda"] == "gone"
    assert shown["system.disk.io read nvme0n1"] == 512
    plant(tmp_path, {"proc/diskstats": SDA + NVME})
    assert table(collector.collect())["system.disk.io read sda"] == 12 * 512


def test_the_number_of_disks_is_bounded_and_those_that_went_make_room(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/diskstats": SDA + NVME})
    collector = build(OFFER, tmp_path, most=1)
    assert disks(table(collector.collect())) == {"nvme0n1"}
    plant(tmp_path, {"proc/diskstats": SDA})
    assert disks(table(collector.collect())) == {"sda"}


def test_the_first_disks_of_a_kind_are_read_where_there_are_more_than_fit(tmp_path: Path) -> None:
    names = ["sdaa", "sdb", "sdab", "sda", "nvme10n1", "nvme2n1", "mmcblk0", "sdz"]
    plant(tmp_path, {"proc/diskstats": "".join(map(line, names))})
    collector = build(OFFER, tmp_path, most=5)
    seen = dict.fromkeys(reading.attributes["system.device"] for reading in collector.collect())
    assert list(seen) == ["mmcblk0", "nvme2n1", "nvme10n1", "sda", "sdb"]
    plant(tmp_path, {"proc/diskstats": "".join(map(line, [*names[2:], "sdc"]))})  # sdb and sdaa were pulled
    assert disks(table(collector.collect())) == {"mmcblk0", "nvme2n1", "nvme10n1", "sda", "sdc"}
    plant(tmp_path, {"proc/diskstats": "".join(map(line, names[3:]))})
    assert disks(table(collector.collect())) == {"mmcblk0", "nvme2n1", "nvme10n1", "sda", "sdz"}


def test_a_disk_that_finds_no_room_is_judged_once(tmp_path: Path) -> None:
    judged: list[str] = []

    class _Patterns(tuple[str, ...]):
        """Excludes nothing, and counts how often it is asked."""

        __slots__ = ()

        def __iter__(self) -> Iterator[str]:
            judged.append("once")
            return iter(())

    plant(tmp_path, {"proc/diskstats": "".join(map(line, ["sda", "sdb", "sdc"]))})
    collector = build(OFFER, tmp_path, most=1, exclude=_Patterns())
    for _ in range(5):
        assert disks(table(collector.collect())) == {"sda"}
    assert len(judged) == 3


def test_a_machine_without_disks_says_nothing(tmp_path: Path) -> None:
    assert table(build(OFFER, tmp_path).collect()) == {}
    plant(tmp_path, {"proc/diskstats": ""})
    assert table(build(OFFER, tmp_path).collect()) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        (SDA + " 8 16 sdb 1 2 3\n", "malformed"),
        (SDA.replace("12", "-1"), "malformed"),
        (b"\0\xff\n", "malformed"),
        *((f" 8 0 sda 1 2 3 {'9' * long} 1 1 1 1 1 1 1\n", "malformed") for long in (21, 400, 5000)),
    ],
)
def test_a_file_that_says_nothing_leaves_known_disks_absent(
    tmp_path: Path, content: str | bytes | None, reason: str
) -> None:
    plant(tmp_path, {"proc/diskstats": SDA})
    collector = build(OFFER, tmp_path)
    collector.collect()
    (tmp_path / "proc/diskstats").unlink()
    if content is not None:
        plant(tmp_path, {"proc/diskstats": content})
    shown = table(collector.collect())
    assert len(shown) == 9
    assert set(shown.values()) == {reason}


def test_an_unreadable_file_names_its_error(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/diskstats": SDA})
    errors: dict[str, int] = {}
    collector = OFFER.build(OFFER.options(), Host(tmp_path, live=False, errors=errors))
    list(collector.collect())
    errors["proc/diskstats"] = errno.EACCES
    assert set(table(collector.collect()).values()) == {"unreadable: EACCES"}
