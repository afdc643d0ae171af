"""Files of a host are read whole, and failures have stable names."""

import errno
import os
from pathlib import Path

import pytest

from edge_agent.kit.hostfile import MOST, HostFile, absence
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
    host = Host(tmp_path, live=False)
    assert [HostFile(host, "link").read_head(most) for most in (2, 3, 4)] == [b"ab", b"abc", b"abc"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("pipe", "zero", ""):
        with pytest.raises(OSError, match="not a regular file"):
            HostFile(host, name).read_head(9)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_head_does_not_believe_the_size() -> None:
    assert len(HostFile(Host(Path("/"), live=False), "proc/self/maps").read_head(10)) == 10
