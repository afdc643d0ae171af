"""The kernel's lists of mounts: what is seen, what is near, and one place for each file system."""

from pathlib import Path

import pytest

from edge_agent.collectors.filesystem import OFFER
from edge_agent.collectors.filesystem.mounts import near, one_each, read_mountinfo, read_mounts, visible
from tests.collectors.mountlines import SERVER, STICK, SYSTEM
from tests.collectors.tree import FIXTURES, build, plant


def places(mountinfo: str) -> list[bytes]:
    return [mount.place for mount in visible(read_mountinfo(mountinfo.encode()))]


def test_near_is_what_no_other_machine_or_program_stands_before() -> None:
    mounts = SYSTEM + STICK + SERVER + "50 41 8:2 / /srv/deep/data rw - ext4 /dev/sdb1 rw\n"
    mounts += "51 27 0:60 / /tank rw - zfs tank rw\n52 27 8:3 / /ntfs rw - fuseblk /dev/sdc1 rw\n"
    mounts += "53 52 0:61 / /ntfs/mem rw - tmpfs tmpfs rw\n"
    far = {b"/srv", b"/srv/deep/data", b"/ntfs", b"/ntfs/mem"}
    assert set(places(mounts)) - near(read_mountinfo(mounts.encode())) == far


def test_what_another_mount_hides_is_left_out() -> None:
    assert places("1 0 0:1 / / rw - rootfs rootfs rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n") == [b"/"]
    below = "3 2 8:2 / /data/old rw - ext4 /dev/sda2 rw\n4 2 8:3 / /data rw - ext4 /dev/sda3 rw\n"
    root = "2 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    assert places(root + below) == [b"/", b"/data"]
    assert places(root + below + "5 4 8:4 / /data/old rw - ext4 /dev/sda4 rw\n") == [b"/", b"/data", b"/data/old"]
    assert places(root + below + "5 3 8:4 / /data/old/deep rw - ext4 /dev/sda4 rw\n") == [b"/", b"/data"]


def test_what_was_mounted_before_the_root_was_moved_is_seen() -> None:
    assert len(places(SYSTEM)) == 5


def test_numbers_that_go_round_in_a_circle_end() -> None:
    assert places("1 2 8:1 / /a rw - ext4 a rw\n2 1 8:2 / /b rw - ext4 b rw\n3 3 8:3 / /c rw - ext4 c rw\n")


def test_a_file_system_at_several_places_is_told_once() -> None:
    text = """\
2 0 8:1 /ostree/x / rw - ext4 /dev/sda1 rw
3 2 8:1 / /sysroot rw - ext4 /dev/sda1 rw
4 2 8:2 /home /b rw - ext4 /dev/sda2 rw
5 2 8:2 / /disk rw - ext4 /dev/sda2 rw
6 2 8:2 / /mnt/disk rw - ext4 /dev/sda2 rw
"""
    assert [mount.name for mount in one_each(read_mountinfo(text.encode()))] == ["/", "/disk"]


def test_octal_numbers_are_characters() -> None:
    (mount,) = read_mountinfo(rb"1 0 8:1 / /a\040b\011c\134d rw - ext4 /dev/x\043y rw" + b"\n")
    assert (mount.place, mount.source) == (b"/a b\tc\\d", "/dev/x#y")
    assert [mount.place for mount in read_mounts(rb"/dev/a /a\040b ext4 rw 0 0")] == [b"/a b"]


def test_a_recorded_list_is_read(tmp_path: Path) -> None:
    mountinfo = FIXTURES / "node_exporter/proc/1/mountinfo"
    if not mountinfo.exists():
        pytest.skip("the recorded trees are not here")
    plant(tmp_path, {"proc/1/mountinfo": mountinfo.read_bytes()})
    shown = {
        (reading.attributes["system.device"], reading.attributes["system.filesystem.mountpoint"])
        for reading in build(OFFER, tmp_path).collect()
    }
    assert shown >= {("/dev/dm-2", "/"), ("/dev/sda3", "/boot")}
    assert not {place for _device, place in shown if place.startswith(("/proc", "/sys", "/dev", "/run/user"))}
