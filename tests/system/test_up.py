"""`edge-agent up`: the sixty-second start, whole, and what it says when it cannot."""

import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.system.program import free_port, started


def up(folder: Path, name: str, *more: str, ports: tuple[int, int] | None = None) -> tuple[int, str, str]:
    """Run it to its end: the exit code, and what it wrote."""
    port, local_port = ports or (free_port(), free_port())
    places = ("--dir", str(folder / "up"), "--port", str(port), "--local-port", str(local_port))
    with started(folder, name, "up", *places, *more) as program:
        code = program.ends(within=60)
        return code, program.said, program.complained


def summary(said: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(said)
    return found


@pytest.mark.parametrize("more", [(), ("--kill-hub-at", "2")], ids=["undisturbed", "the hub is killed"])
def test_all_that_was_sampled_is_stored(more: tuple[str, ...], tmp_path: Path) -> None:
    code, said, complained = up(tmp_path, "up", "--for", "6", "--json", *more)
    assert code == 0, complained
    found = summary(said)
    assert found["readings_sampled"] == found["readings_stored"] > 0
    assert found["readings_lost"] == 0
    assert found["series"] > 10
    assert found["cpu_seconds"] > 0
    assert found["uss_mib"] <= found["rss_mib"]
    assert not list((tmp_path / "run").iterdir()), "no open batch is left"


def test_a_second_start_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    for name in ("first", "second"):
        code, said, complained = up(tmp_path, name, "--for", "1.5", "--json", ports=ports)
        assert code == 0, complained
        assert summary(said)["readings_lost"] == 0


@pytest.mark.parametrize(("place", "flag"), [(0, "--port"), (1, "--local-port")])
def test_a_taken_port_is_named_with_its_flag(place: int, flag: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        ports = (number, free_port()) if place == 0 else (free_port(), number)
        code, said, complained = up(tmp_path, "up", "--for", "2", "--json", ports=ports)
    assert code == 1
    assert said == ""
    assert str(number) in complained
    assert f" {flag}" in complained
    assert "Traceback" not in complained


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "up").write_text("a file stands here")
    code, _said, complained = up(tmp_path, "up", "--for", "2", "--json")
    assert code == 1
    assert str(tmp_path / "up") in complained
    assert "Traceback" not in complained


@pytest.mark.parametrize("flags", [("--for", "soon"), ("--frob",), ("--port", "x")])
def test_wrong_flags_are_told_and_touch_nothing(flags: tuple[str, ...], tmp_path: Path) -> None:
    code, _said, complained = up(tmp_path, "up", *flags)
    assert code == 2
    assert "usage" in complained
    assert not (tmp_path / "up").exists()
