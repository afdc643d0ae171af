"""Files of a host are read whole, and failures have stable names."""

import errno
import os
from pathlib import Path

import pytest

from edge_agent.kit.hostfile import MOST, HostFile, absence, listed, recorded_errors, resolved
from edge_agent.model.failure import ConfigError
from edge_agent.model.ports import Host


def test_a_file_is_read_whole_below_the_root(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    (tmp_path / "large").write_bytes(content)
    file = HostFile(Host(tmp_path, live=False), "large")
    assert file.read() == content
    assert file.source == "/large"


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"1")
    file = HostFile(Host(tmp_path, live=False), "small")
    folder = HostFile(Host(tmp_path, live=False), "")
    before = len(list(Path("/proc/self/fd").iterdir()))
    file.read()
    with pytest.raises(IsADirectoryError):
        folder.read()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOENT, "missing"),
        (errno.ENOTDIR, "missing"),
        (errno.EAGAIN, "EAGAIN"),
        (errno.EACCES, "unreadable: EACCES"),
        (errno.EIO, "unreadable: EIO"),
        (None, "unreadable: unknown"),
    ],
)
def test_what_went_wrong_is_a_short_stable_word(code: int | None, reason: str) -> None:
    error = OSError() if code is None else OSError(code, "words that may change")
    assert absence(error) == reason


def test_what_never_ends_is_cut_off() -> None:
    with pytest.raises(OSError, match="File too large") as raised:
        HostFile(Host(Path("/"), live=False), "dev/zero").read()
    assert absence(raised.value) == "unreadable: EFBIG"


def test_the_largest_file_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(MOST))
    file = HostFile(Host(tmp_path, live=False), "large")
    assert len(file.read()) == MOST
    with (tmp_path / "large").open("ab") as more:
        more.write(b"1")
    with pytest.raises(OSError, match="File too large"):
        file.read()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    file = HostFile(Host(tmp_path, live=False), "pipe")
    assert file.read() == b""
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(BlockingIOError) as raised:
        file.read()
    assert absence(raised.value) == "EAGAIN"
    os.close(writer)


def test_the_head_is_of_regular_files_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "link").symlink_to(tmp_path / "small")
    (tmp_path / "small").write_bytes(b"abc")
    host = Host(tmp_path, live=True)
    assert [HostFile(host, "link").read_head(most) for most in (2, 3, 4)] == [b"ab", b"abc", b"abc"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("pipe", "zero", ""):
        with pytest.raises(OSError, match="not a regular file"):
            HostFile(host, name).read_head(9)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_head_does_not_believe_the_size() -> None:
    assert len(HostFile(Host(Path("/"), live=False), "proc/self/maps").read_head(10)) == 10


def test_links_of_a_foreign_root_are_followed_within_it(tmp_path: Path) -> None:
    for name, content in {"outside": "wrong", "root/sys/base/model": "right", "root/sys/model": "near"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    root = tmp_path / "root"
    for name, target in {
        "proc": "/sys/base", "up": "../../../../outside", "circle": "circle", "near": "sys/base/../model",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    host = Host(root, live=False)
    assert HostFile(host, "proc/model").read() == b"right"
    assert HostFile(host, "near").read() == b"near"
    for name, number in {"up": errno.ENOENT, "circle": errno.ELOOP, "proc/../../../outside": errno.ENOENT}.items():
        with pytest.raises(OSError, match=r".") as failure:
            HostFile(host, name).read()
        assert failure.value.errno == number, name


def test_a_file_of_a_foreign_root_that_moved_is_found_where_it_is_now(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    link = tmp_path / "link"
    link.symlink_to("one")
    file = HostFile(Host(tmp_path, live=False), "link")
    assert file.read() == b"1"
    (tmp_path / "one").unlink()
    link.unlink()
    with pytest.raises(FileNotFoundError):
        file.read()
    link.symlink_to("two")
    assert file.read() == b"2"
    (tmp_path / "two").unlink()
    (tmp_path / "two").symlink_to(Path(__file__))
    with pytest.raises(FileNotFoundError):
        file.read()


def test_a_recorded_error_is_raised_by_whatever_path_the_file_is_reached(tmp_path: Path) -> None:
    zones = tmp_path / "sys/devices/zone"
    for number in (0, 1):
        (zones / str(number)).mkdir(parents=True)
        (zones / str(number) / "temp").write_text("1")
    (tmp_path / "sys/class").symlink_to("devices")
    (tmp_path / "errors.toml").write_text('"sys/class/zone/*/temp" = "EAGAIN"\n"sys/none" = "EIO"\n')
    host = Host(tmp_path, live=False, errors=recorded_errors(tmp_path))
    for name in ("sys/class/zone/0/temp", "sys/devices/zone/1/temp"):
        with pytest.raises(BlockingIOError):
            HostFile(host, name).read()
    folder = Host(tmp_path, live=False, errors={"sys/devices/zone/0": errno.EACCES})
    with pytest.raises(PermissionError):
        HostFile(folder, "sys/class/zone/0/temp").read()
    assert HostFile(folder, "sys/class/zone/1/temp").read() == b"1"
    with pytest.raises(OSError, match=r".") as failure:
        HostFile(host, "sys/none").read_head(1)
    assert absence(failure.value) == "unreadable: EIO"


@pytest.mark.parametrize("content", ['"sys/x" = "EWHAT"', '"sys/x" = 5', "sys/x", "\xff"])
def test_recorded_errors_that_cannot_be_understood_are_told(tmp_path: Path, content: str) -> None:
    assert recorded_errors(tmp_path) == {}
    (tmp_path / "errors.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"errors\.toml"):
        recorded_errors(tmp_path)


def test_folders_of_a_recorded_tree_are_listed_and_resolved_with_its_own_root(tmp_path: Path) -> None:
    (tmp_path / "sys/devices/platform/x/hwmon/hwmon0").mkdir(parents=True)
    (tmp_path / "sys/devices/platform/x/hwmon/hwmon0/name").write_text("k10temp")
    (tmp_path / "sys/class/hwmon").mkdir(parents=True)
    (tmp_path / "sys/class/hwmon/hwmon0").symlink_to("/sys/devices/platform/x/hwmon/hwmon0")
    (tmp_path / "desk").symlink_to("/proc")
    (tmp_path / "up").symlink_to("../" * 30 + "proc")
    host = Host(tmp_path, live=False)
    assert listed(host, "sys/class/hwmon/hwmon0") == ["name"]
    assert resolved(host, "sys/class/hwmon/hwmon0/name") == "sys/devices/platform/x/hwmon/hwmon0/name"
    for name in ("desk", "up"):
        assert resolved(host, name) == "proc"
        with pytest.raises(FileNotFoundError):
            listed(host, name)


def test_a_folder_that_is_told_to_fail_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/debug/clk").mkdir(parents=True)
    host = Host(tmp_path, live=False, errors={"sys/kernel/debug": errno.EACCES})
    with pytest.raises(PermissionError):
        listed(host, "sys/kernel/debug/clk")
    assert listed(host, "sys/kernel") == ["debug"]


@pytest.mark.parametrize("live", [True, False])
def test_links_in_circles_are_not_resolved(tmp_path: Path, *, live: bool) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links") as raised:
        resolved(Host(tmp_path, live=live), "a/c")
    assert raised.value.errno == errno.ELOOP


def test_a_live_host_is_listed_and_resolved_from_the_root_of_this_machine() -> None:
    host = Host(Path("/"), live=True)
    assert "stat" in listed(host, "proc/self")
    assert resolved(host, "proc/self/stat") == f"proc/{os.getpid()}/stat"
