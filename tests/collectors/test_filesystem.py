"""Mounted file systems: which are told, how much room they have, and what becomes of those that do not answer."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors.filesystem import OFFER, Filesystem
from edge_agent.model.ports import Host
from tests.collectors.mountlines import SERVER, STICK, SYSTEM
from tests.collectors.tree import build, plant, table

OTHER = "42 27 0:45 / /films rw,relatime - nfs4 10.0.0.2:/films rw,hard\n"


def told(blocks: int = 1000, free: int = 400, usable: int = 300, files: int = 100, left: int = 40) -> os.statvfs_result:
    """What statvfs answers, in blocks of 512 bytes."""
    return os.statvfs_result((4096, 512, blocks, free, usable, files, left, left, 0, 255, 0))


def live(root: Path, mountinfo: str, ask: Callable[[bytes], os.statvfs_result], **options: Any) -> Filesystem:
    plant(root, {"proc/self/mountinfo": mountinfo})
    return Filesystem(OFFER.options(**options), Host(root, live=True), ask)


def test_room_is_bytes_and_inodes_and_its_states_add_up(tmp_path: Path) -> None:
    where = "/dev/vda rw /"
    shown = table(live(tmp_path, SYSTEM, lambda _place: told()).collect())
    assert shown == {
        f"system.filesystem.limit {where} ext4": 512_000,
        "system.filesystem.usage /dev/vda rw / used ext4": 307_200,
        "system.filesystem.usage /dev/vda rw / free ext4": 153_600,
        "system.filesystem.usage /dev/vda rw / reserved ext4": 51_200,
        "system.filesystem.utilization /dev/vda rw / used ext4": 0.6,
        f"system.filesystem.inodes.limit {where} ext4": 100,
        "system.filesystem.inodes.usage /dev/vda rw / used ext4": 60,
        "system.filesystem.inodes.usage /dev/vda rw / free ext4": 40,
    }


def test_the_mount_is_asked_below_the_root_by_its_true_name(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def ask(place: bytes) -> os.statvfs_result:
        asked.append(place)
        return told()

    readings = list(live(tmp_path, STICK, ask).collect())
    assert asked == [os.fsencode(tmp_path / "media/my stick")]
    assert {reading.attributes["system.filesystem.mountpoint"] for reading in readings} == {"/media/my stick"}


def test_this_machine_is_measured_as_statvfs_says() -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("this kernel names no mounts")
    collector = OFFER.build(OFFER.options(), Host(Path("/"), live=True))
    limits = {
        reading.attributes["system.filesystem.mountpoint"]: reading.value
        for reading in collector.collect()
        if reading.name == "system.filesystem.limit"
    }
    root = os.statvfs("/")
    assert limits["/"] == root.f_blocks * root.f_frsize


def test_a_file_system_without_inodes_tells_none(tmp_path: Path) -> None:
    names = {reading.name for reading in live(tmp_path, STICK, lambda _place: told(files=0)).collect()}
    assert "system.filesystem.limit" in names
    assert not [name for name in names if "inodes" in name]


def test_a_file_system_without_a_limit_does_not_count_its_room(tmp_path: Path) -> None:
    shown = table(live(tmp_path, SYSTEM, lambda _place: told(0, 0, 0, 0, 0)).collect())
    assert len(shown) == 5
    assert set(shown.values()) == {"not reported"}


def test_inodes_that_are_not_counted_any_more_are_absent_and_come_back(tmp_path: Path) -> None:
    files = [100, 0, 100]
    collector = live(tmp_path, SYSTEM, lambda _place: told(files=files.pop(0)))
    limit, used = (
        "system.filesystem.inodes.limit /dev/vda rw / ext4",
        "system.filesystem.inodes.usage /dev/vda rw / used ext4",
    )
    shown = [table(collector.collect()) for _ in range(3)]
    assert [(each[limit], each[used]) for each in shown] == [(100, 60), ("not reported", "not reported"), (100, 60)]


def test_a_file_system_that_contradicts_itself_is_not_believed(tmp_path: Path) -> None:
    shown = table(live(tmp_path, SYSTEM, lambda _place: told(free=300, usable=400)).collect())
    assert shown["system.filesystem.usage /dev/vda rw / reserved ext4"] == "contradicts itself"
    assert shown["system.filesystem.usage /dev/vda rw / free ext4"] == 400 * 512


def test_a_recorded_tree_has_mounts_without_room(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/self/mountinfo": SYSTEM + STICK})
    shown = table(build(OFFER, tmp_path).collect())
    assert len(shown) == 2 * 5
    assert set(shown.values()) == {"not live"}


@pytest.mark.parametrize("name", ["proc/1/mountinfo", "proc/self/mountinfo"])
def test_a_tree_may_have_the_list_of_another_process(tmp_path: Path, name: str) -> None:
    plant(tmp_path, {name: SYSTEM})
    assert len(list(build(OFFER, tmp_path).collect())) == 5


def test_a_tree_may_have_the_old_list_only(tmp_path: Path) -> None:
    old = "rootfs / rootfs rw 0 0\n/dev/root / ext4 ro,relatime 0 0\nproc /proc proc rw 0 0\n"
    plant(tmp_path, {"proc/self": "26231", "proc/mounts": old})
    attributes = next(iter(build(OFFER, tmp_path).collect())).attributes
    assert attributes == {
        "system.device": "/dev/root",
        "system.filesystem.mountpoint": "/",
        "system.filesystem.type": "ext4",
        "system.filesystem.mode": "ro",
    }


def test_a_running_machine_is_never_read_through_another_process(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/1/mountinfo": SYSTEM})
    assert list(Filesystem(OFFER.options(), Host(tmp_path, live=True), lambda _place: told()).collect()) == []


def test_a_machine_without_the_list_says_nothing(tmp_path: Path) -> None:
    assert list(build(OFFER, tmp_path).collect()) == []


def test_the_root_of_a_container_is_told_whatever_it_is(tmp_path: Path) -> None:
    container = """\
500 400 0:60 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b
501 500 0:61 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
502 500 259:2 /var/lib/docker/containers/x/hosts /etc/hosts rw,relatime - ext4 /dev/nvme0n1p2 rw
503 500 259:2 /var/lib/docker/containers/x/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/nvme0n1p2 rw
"""
    plant(tmp_path, {"proc/self/mountinfo": container})
    shown = {reading.attributes["system.filesystem.mountpoint"] for reading in build(OFFER, tmp_path).collect()}
    assert shown == {"/", "/etc/hosts"}


def test_a_file_system_made_read_only_after_an_error_is_another_series(tmp_path: Path) -> None:
    collector = live(tmp_path, SYSTEM, lambda _place: told())
    list(collector.collect())
    plant(tmp_path, {"proc/self/mountinfo": SYSTEM.replace("/dev/vda rw,discard", "/dev/vda ro,discard")})
    shown = table(collector.collect())
    assert shown["system.filesystem.limit /dev/vda ro / ext4"] == 512_000
    assert shown["system.filesystem.limit /dev/vda rw / ext4"] == "gone"


def test_mounts_that_are_read_only_for_this_process_alone_are_writable(tmp_path: Path) -> None:
    shielded = SYSTEM.replace("/ / rw,relatime - ext4", "/ / ro,nosuid,relatime - ext4")
    assert shielded != SYSTEM
    shown = table(live(tmp_path, shielded, lambda _place: told()).collect())
    assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000


def test_a_stick_that_was_pulled_is_gone_and_comes_back(tmp_path: Path) -> None:
    collector = live(tmp_path, SYSTEM + STICK, lambda _place: told())
    list(collector.collect())
    limit = "system.filesystem.limit /dev/sda1 rw /media/my stick vfat"
    plant(tmp_path, {"proc/self/mountinfo": SYSTEM})
    shown = table(collector.collect())
    assert shown[limit] == "gone"
    assert shown["system.filesystem.inodes.limit /dev/sda1 rw /media/my stick vfat"] == "gone"
    plant(tmp_path, {"proc/self/mountinfo": SYSTEM + STICK})
    assert table(collector.collect())[limit] == 512_000


def test_the_number_of_mounts_is_bounded_and_those_that_went_make_room(tmp_path: Path) -> None:
    collector = live(tmp_path, STICK + SYSTEM, lambda _place: told(), most=1)
    assert {reading.attributes["system.device"] for reading in collector.collect()} == {"/dev/vda"}
    plant(tmp_path, {"proc/self/mountinfo": STICK})
    assert {reading.attributes["system.device"] for reading in collector.collect()} == {"/dev/sda1"}


def test_the_root_is_told_first_and_servers_last_where_there_are_more_than_fit(tmp_path: Path) -> None:
    mounts = OTHER + "1 0 0:20 / / rw - zfs zroot/ROOT/default rw\n"
    mounts += "".join(f"{50 + n} 1 0:{50 + n} / /tank/{n} rw - zfs tank/{n} rw\n" for n in range(2, 20))
    shown = live(
        tmp_path, mounts + "99 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n", lambda _place: told(), most=4
    ).collect()
    told_of = dict.fromkeys(reading.attributes["system.filesystem.mountpoint"] for reading in shown)
    assert list(told_of) == ["/", "/boot", "/tank/10", "/tank/11"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        ("what is this\n", "malformed"),
        (b"\0\xff\xfe" * 99, "malformed"),
        ("1 1 0:1 / / rw\n", "malformed"),
        ("1 1 0:1 / / rw - ext4\n", "malformed"),
    ],
)
def test_a_list_that_says_nothing_leaves_known_mounts_absent(
    tmp_path: Path, content: str | bytes | None, reason: str
) -> None:
    collector = live(tmp_path, SYSTEM, lambda _place: told())
    list(collector.collect())
    (tmp_path / "proc/self/mountinfo").unlink()
    if content is not None:
        plant(tmp_path, {"proc/self/mountinfo": content})
    shown = table(collector.collect())
    assert len(shown) == 8
    assert set(shown.values()) == {reason}
    plant(tmp_path, {"proc/self/mountinfo": SYSTEM})
    assert table(collector.collect())["system.filesystem.limit /dev/vda rw / ext4"] == 512_000


def test_an_error_of_one_mount_costs_its_own_readings_only(tmp_path: Path) -> None:
    def ask(place: bytes) -> os.statvfs_result:
        if place.endswith(b"stick"):
            raise OSError(5, "input/output error")
        return told()

    shown = table(live(tmp_path, SYSTEM + STICK, ask).collect())
    assert shown["system.filesystem.limit /dev/sda1 rw /media/my stick vfat"] == "unreadable: EIO"
    assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000


# Mounts that do not answer.


class _Servers:
    """Places that answer once they are let go; counts how often each was asked."""

    def __init__(self, *silent: str) -> None:
        self.silent = {name.encode(): threading.Event() for name in silent}
        self.asked: list[bytes] = []

    def ask(self, place: bytes) -> os.statvfs_result:
        name = place.rpartition(b"/")[2]
        self.asked.append(name)
        if name in self.silent:
            self.silent[name].wait()
        return told()


@contextmanager
def servers(*silent: str) -> Iterator[_Servers]:
    """They are let go at the end, so that no thread outlives the test."""
    those = _Servers(*silent)
    try:
        yield those
    finally:
        for event in those.silent.values():
            event.set()
        for thread in threading.enumerate():
            if thread.name == "collector.filesystem.ask":
                thread.join()


def test_a_server_that_does_not_answer_costs_its_own_mount_and_is_not_asked_again(tmp_path: Path) -> None:
    with servers("srv") as those:
        collector = live(tmp_path, SYSTEM + SERVER + OTHER, those.ask, patience=1.0, every=1)
        for _ in range(3):
            shown = table(collector.collect())
            assert shown["system.filesystem.limit 10.0.0.9:/export rw /srv nfs4"] == "hung"
            assert shown["system.filesystem.limit 10.0.0.2:/films rw /films nfs4"] == 512_000
            assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000
        assert (those.asked.count(b"srv"), those.asked.count(b"films")) == (1, 3)


def test_what_is_not_held_here_is_asked_and_told_now_and_then(tmp_path: Path) -> None:
    with servers() as those:
        collector = live(tmp_path, SYSTEM + SERVER, those.ask, patience=1.0, every=3)
        limits = [
            ("system.filesystem.limit 10.0.0.9:/export rw /srv nfs4" in shown, len(shown))
            for shown in (table(collector.collect()) for _ in range(5))
        ]
        assert limits == [(True, 16), (False, 8), (False, 8), (True, 16), (False, 8)]
        assert those.asked.count(b"srv") == 2


def test_a_late_answer_is_told_at_the_next_read(tmp_path: Path) -> None:
    with servers("srv") as those:
        collector = live(tmp_path, SERVER, those.ask, patience=0.05)
        limit = "system.filesystem.limit 10.0.0.9:/export rw /srv nfs4"
        assert [table(collector.collect())[limit] for _ in range(2)] == ["hung", "hung"]
        those.silent[b"srv"].set()
        for thread in threading.enumerate():
            if thread.name == "collector.filesystem.ask":
                thread.join()
        assert table(collector.collect())[limit] == 512_000
        assert those.asked == [b"srv"]


def test_a_device_below_a_server_that_does_not_answer_holds_nobody_up(tmp_path: Path) -> None:
    below = "50 41 8:17 / /srv/deep/data rw - ext4 /dev/sdb1 rw\n"
    with servers("srv", "data") as those:
        shown = table(live(tmp_path, SYSTEM + SERVER + below, those.ask, patience=0.05).collect())
        assert shown["system.filesystem.limit /dev/sdb1 rw /srv/deep/data ext4"] == "hung"
        assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000


def test_a_server_that_answers_again_is_asked_again(tmp_path: Path) -> None:
    with servers("srv") as those:
        collector = live(tmp_path, SERVER, those.ask, patience=1.0)
        limit = "system.filesystem.limit 10.0.0.9:/export rw /srv nfs4"
        assert table(collector.collect())[limit] == "hung"
        those.silent[b"srv"].set()
        for thread in threading.enumerate():
            if thread.name == "collector.filesystem.ask":
                thread.join()
        assert table(collector.collect())[limit] == 512_000


def test_many_silent_servers_are_waited_for_together(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(20)]
    mounts = "".join(
        f"{50 + n} 27 0:{50 + n} / /{name} rw - nfs4 10.0.0.1:/{name} rw\n" for n, name in enumerate(names)
    )
    with servers(*names) as those:
        collector = live(tmp_path, SYSTEM + mounts, those.ask, patience=0.1, most=99)
        shown = table(collector.collect())
        assert sum(value == "hung" for value in shown.values()) == 20 * 5
        assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000
        plant(tmp_path, {"proc/self/mountinfo": SYSTEM + mounts + SERVER})
        assert (
            table(collector.collect())["system.filesystem.limit 10.0.0.9:/export rw /srv nfs4"] == "too many are hung"
        )


def test_a_program_behind_a_mount_is_not_trusted_to_answer(tmp_path: Path) -> None:
    mounts = "41 27 0:44 / /srv rw - fuseblk /dev/sdb1 rw\n"
    with servers("srv") as those:
        shown = table(live(tmp_path, SYSTEM + mounts, those.ask, patience=0.1).collect())
        assert shown["system.filesystem.limit /dev/sdb1 rw /srv fuseblk"] == "hung"
        assert shown["system.filesystem.limit /dev/vda rw / ext4"] == 512_000
