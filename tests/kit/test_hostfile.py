"""Files of a host are read whole, and failures have stable names."""

import errno
import os
from pathlib import Path

import pytest

from edge_agent.kit.hostfile import HostFile, absence
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
