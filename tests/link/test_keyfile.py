"""Keys: read late, never shown."""

import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from edge_agent.link.keyfile import GivenKey, KeyFile
from edge_agent.model.failure import DeviceError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """A key file, put in place as a rotation would."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)
    return path


def test_a_key_is_read_without_its_line_end(tmp_path: Path) -> None:
    secret = secrets.token_hex(20)
    assert KeyFile(write(tmp_path / "key", f"{secret}\n")).read() == secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_key_that_others_may_use_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    secret = secrets.token_hex(20)
    path = write(tmp_path / "key", secret, mode)
    with pytest.raises(DeviceError) as refused:
        KeyFile(path).read()
    assert refused.value.hint == f"chmod 600 {path}"
    assert secret not in str(refused.value)
    path.chmod(0o600)
    assert KeyFile(path).read() == secret


def test_a_credentials_mode_is_left_to_systemd(tmp_path: Path) -> None:
    path = write(tmp_path / "hub_key", "abc", 0o440)
    assert KeyFile(path, credential=True).read() == "abc"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("one\ntwo", "line breaks"),
        ("one two", "spaces"),
        ("schlüssel", "other characters"),
        ("a\x00b", "other characters"),
        ("x" * 4097, "more than 4096 bytes"),
        ("x" * 9999, "more than 4096 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str, what: str) -> None:
    path = write(tmp_path / "key", text)
    with pytest.raises(DeviceError, match=what) as refused:
        KeyFile(path).read()
    if text.strip():
        assert text not in str(refused.value)
    with pytest.raises(DeviceError, match=what):
        GivenKey(text).read()


def test_a_missing_key_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=str(tmp_path / "key")):
        KeyFile(tmp_path / "key").read()


def test_a_rotated_key_is_read_without_a_restart(tmp_path: Path) -> None:
    path = write(tmp_path / "key", "first")
    key = KeyFile(path)
    assert key.read() == "first"
    assert not key.changed()
    write(path, "other")
    assert key.read() == "other"
    assert key.changed(), "a request in between does not swallow the news"
    assert not key.changed()


def test_a_key_that_is_written_in_place_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "key", "first")
    key = KeyFile(path)
    key.read()
    path.write_text("first and longer".replace(" ", "-"))
    assert key.changed()
    assert key.read() == "first-and-longer"


def test_a_key_that_was_made_private_counts_as_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "key", "abc", 0o644)
    key = KeyFile(path)
    with pytest.raises(DeviceError):
        key.read()
    key.changed()
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # the kernel's grain of time is a few milliseconds
        path.chmod(0o600)
    assert key.changed()
    assert key.read() == "abc"


def test_what_is_checked_is_the_file_that_is_read(tmp_path: Path) -> None:
    class Swapped(type(tmp_path)):  # type: ignore[misc]
        """A name that stands for another file by the time it is opened."""

        def open(self, *args: Any, **kwargs: Any) -> Any:
            write(Path(self), "open to all", 0o644)
            return super().open(*args, **kwargs)

    write(tmp_path / "key", "abc")
    with pytest.raises(DeviceError, match="mode 0644"):
        KeyFile(Swapped(tmp_path / "key")).read()


def test_a_file_that_is_gone_for_a_moment_is_no_news(tmp_path: Path) -> None:
    path = write(tmp_path / "key", "abc")
    key = KeyFile(path)
    key.read()
    os.unlink(path)  # noqa: PTH108 - the twin of the calls around it
    assert not key.changed()
    write(path, "new")
    assert key.changed()


def test_no_repr_holds_a_key(tmp_path: Path) -> None:
    secret = secrets.token_hex(20)
    key = KeyFile(write(tmp_path / "key", secret))
    key.read()
    assert secret not in repr(key)
    assert secret not in repr(GivenKey(secret))
    assert not GivenKey(secret).changed()
    assert GivenKey(secret).read() == secret
