"""Files of a host are read whole, and failures have stable names."""

import errno
import os
import subprocess
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


def _kept() -> list[str]:
    """What this process has open of /proc and /sys."""
    folder = "/proc/self/fd"
    links = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if os.path.lexists(f"{folder}/{name}")]  # noqa: PTH115, PTH208 - the numbers may go while they are listed
    return [
        link for link in links if link.startswith(("/proc/", "/sys/")) and not link.startswith(f"/proc/{os.getpid()}/")
    ]


def test_a_file_that_the_kernel_makes_anew_stays_open_from_the_second_read_until_it_is_dropped() -> None:
    before = _kept()
    file = HostFile(Host(Path("/"), live=True), "proc/uptime")
    file.reread()
    assert _kept() == before
    file.reread()
    assert _kept() == [*before, "/proc/uptime"]
    del file
    assert _kept() == before


def test_what_stays_open_is_read_as_it_is_now() -> None:
    file = HostFile(Host(Path("/"), live=True), "proc/self/comm")
    own = Path("/proc/self/comm")
    name = own.read_text()
    said = []
    try:
        for text in ("one", "two and more", "3"):
            own.write_text(text)
            said.append(file.reread())
    finally:
        own.write_text(name)
    assert said == [b"one\n", b"two and more\n", b"3\n"]


def test_a_file_of_the_kernel_that_is_longer_than_a_page_is_read_to_its_end_again_and_again() -> None:
    file = HostFile(Host(Path("/"), live=True), "proc/self/smaps")
    for _read in range(3):
        content = file.reread()
        assert len(content) > 70_000
        assert content.rstrip().rpartition(b"\n")[2].startswith(b"VmFlags:")


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("away", ["unlinked", "moved", "its folder is moved"])
def test_a_regular_file_in_the_place_of_another_is_read_at_once(tmp_path: Path, away: str, *, live: bool) -> None:
    place = tmp_path / "sys/zone/temp"
    place.parent.mkdir(parents=True)
    place.write_text("1")
    file = HostFile(Host(tmp_path, live=live), "sys/zone/temp")
    assert [file.reread() for _read in range(3)] == [b"1"] * 3
    if away == "unlinked":
        place.unlink()
    elif away == "moved":
        place.rename(place.with_name("other"))
    else:
        place.parent.rename(tmp_path / "sys/other")
    with pytest.raises(FileNotFoundError):
        file.reread()
    place.parent.mkdir(exist_ok=True)
    place.write_text("2")
    assert file.reread() == b"2"


def test_what_stays_open_and_fails_is_opened_anew() -> None:
    """A process that ends takes its files along, as a device does."""
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    file = HostFile(Host(Path("/"), live=True), f"proc/{child.pid}/comm")
    assert [file.reread() for _read in range(3)] == [b"cat\n"] * 3
    child.communicate()
    before = _kept()
    with pytest.raises(OSError, match=r".") as failure:
        file.reread()
    assert absence(failure.value) == "missing"
    assert len(_kept()) < len(before)


def test_a_told_error_holds_for_what_is_read_again_and_again(tmp_path: Path) -> None:
    errors: dict[str, int] = {}
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys/temp").write_text("1")
    file = HostFile(Host(tmp_path, live=False, errors=errors), "sys/temp")
    assert [file.reread(), file.reread()] == [b"1", b"1"]
    for path in ("sys/temp", "sys"):
        errors[path] = errno.EIO
        with pytest.raises(OSError, match="Input/output"):
            file.reread()
        errors.clear()
        assert file.reread() == b"1"


def test_descriptors_of_high_numbers_are_not_kept() -> None:
    first = os.open("/dev/null", os.O_RDONLY)
    high = [os.dup(first) for _ in range(256 - first)]
    try:
        before = _kept()
        file = HostFile(Host(Path("/"), live=True), "proc/uptime")
        for _read in range(3):
            assert file.reread()
        assert _kept() == before
    finally:
        for descriptor in (first, *high):
            os.close(descriptor)
