"""A number in one of several files: the first that is there, found again when files come and go."""

import errno
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.choice import Choice
from edge_agent.model.ports import Host
from tests.collectors.tree import plant

FILES = ("sys/a", "sys/b", "sys/c")


def choice(root: Path, **errors: int) -> Choice:
    return Choice(Host(root, live=False, errors={f"sys/{name}": error for name, error in errors.items()}), FILES)


def test_the_first_that_is_there_gives_it(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/b": "2\n", "sys/c": "3\n"})
    file = choice(tmp_path)
    assert (file.read(), file.reason, file.source, file.ever) == (2, None, "/sys/b", True)


def test_none_is_missing_and_a_closed_one_says_more(tmp_path: Path) -> None:
    file = choice(tmp_path)
    assert (file.read(), file.reason, file.source, file.ever) == (None, "missing", "/sys/a", False)
    file = choice(tmp_path, b=errno.EACCES)
    assert (file.read(), file.reason, file.source) == (None, "unreadable: EACCES", "/sys/b")
    assert (file.read(), file.reason, file.source) == (None, "unreadable: EACCES", "/sys/b")


def test_a_closed_one_does_not_hide_an_open_one(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/b": "2\n"})
    assert choice(tmp_path, a=errno.EACCES).read() == 2


def test_the_next_takes_over_at_once_when_one_vanishes(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/a": "1\n", "sys/b": "2\n"})
    file = choice(tmp_path)
    assert file.read() == 1
    (tmp_path / "sys/a").unlink()
    assert (file.read(), file.source) == (2, "/sys/b")


def test_what_appears_is_found_within_thirty_reads(tmp_path: Path) -> None:
    file = choice(tmp_path)
    assert file.read() is None
    plant(tmp_path, {"sys/c": "3\n"})
    assert 3 in [file.read() for _ in range(30)]


def test_what_vanished_is_gone_and_may_come_back(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/b": "2\n"})
    file = choice(tmp_path)
    file.read()
    (tmp_path / "sys/b").unlink()
    assert {(file.read(), file.reason) for _ in range(70)} == {(None, "gone")}
    plant(tmp_path, {"sys/a": "1\n"})
    assert 1 in [file.read() for _ in range(31)]


@pytest.mark.parametrize("text", ["", "x", "1 2", "0x10", "1_000", "9" * 5000])
def test_text_that_is_no_number_is_malformed(tmp_path: Path, text: str) -> None:
    plant(tmp_path, {"sys/a": text})
    file = choice(tmp_path)
    assert (file.read(), file.reason) == (None, "malformed")


def test_a_folder_or_a_circle_in_its_place_is_an_absence(tmp_path: Path) -> None:
    (tmp_path / "sys/a").mkdir(parents=True)
    file = choice(tmp_path)
    assert (file.read(), file.reason) == (None, "unreadable: EISDIR")
    (tmp_path / "sys/a").rmdir()
    (tmp_path / "sys/a").symlink_to("a")
    file = choice(tmp_path)
    assert (file.read(), file.reason) == (None, "unreadable: ELOOP")
