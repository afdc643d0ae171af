"""What is sampled is shown with its time, and with how far that may be off."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.cli.moment import UNSYNCHRONISED, Moment, moment_of
from edge_agent.kit.clock import SystemClock
from tests.sim.clock import SimClock
from tests.sim.loop import run

ONLY_LOAD = "".join(
    f"[collectors.{name}]\nenabled = false\n" for name in ("cpu", "memory", "network", "pressure", "self")
)


def sampled(tmp_path: Path, *flags: str) -> str:
    """What `edge-agent sample --once` prints of the load alone."""
    config = tmp_path / "agent.toml"
    config.write_text(ONLY_LOAD + "[collectors.load]\ninterval = 0.1\n")
    result = CliRunner().invoke(app, ["sample", "--once", "--config", str(config), *flags])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("ts", "error", "written"),
    [
        (1_795_194_192_250, 100, "2026-11-20 17:03:12.250+00:00 ±0.10 s"),
        (1_795_194_192_007, 101, "2026-11-20 17:03:12.007+00:00 ±0.11 s"),
        (1_795_194_192_000, None, "2026-11-20 17:03:12.000+00:00 unsynchronised"),
        (-1, 0, "1969-12-31 23:59:59.999+00:00 ±0.00 s"),
        (10**18, 5, "1000000000000000000 ms ±0.01 s"),
    ],
)
def test_a_moment_is_written_with_its_error(ts: int, error: int | None, written: str) -> None:
    assert Moment(ts, error).written(utc=True) == written


def test_local_time_carries_its_offset() -> None:
    said = Moment(1_795_194_192_250, 100).written(utc=False).partition(" ±")[0]
    assert datetime.fromisoformat(said).timestamp() == 1_795_194_192.25


def test_a_tick_lies_as_far_before_now_on_the_wall_clock_as_on_the_axis() -> None:
    async def scene() -> None:
        for told in (None, 100):
            clock = SimClock(wall_error=told)
            assert moment_of(clock.now() - 250, clock) == (clock.wall() - 250, None if told is None else 102)

    run(scene())


def test_each_line_of_json_has_its_time_its_error_and_where_that_is_from(tmp_path: Path) -> None:
    clock = SystemClock()
    before = clock.wall()
    (line,) = map(orjson.loads, sampled(tmp_path, "--json").splitlines())
    assert before - 5 <= line["ts"] <= clock.wall() + 5
    assert line["time_source"] == (UNSYNCHRONISED if line["ts_err"] is None else "kernel")
    assert abs((line["ts"] - line["at"]) - (clock.wall() - clock.now())) <= 5


def test_the_table_names_the_time_of_each_tick(tmp_path: Path) -> None:
    (row,) = (line for line in sampled(tmp_path, "--utc").splitlines() if line.startswith("load "))
    assert "+00:00 " in row
    assert row.rstrip().endswith((UNSYNCHRONISED, " s"))


@pytest.mark.parametrize(("made", "said"), [("nothing", "no such folder"), ("a file", "not a folder")])
def test_a_root_that_is_no_folder_is_told_at_once(tmp_path: Path, made: str, said: str) -> None:
    root = tmp_path / "root"
    if made == "a file":
        root.write_text("")
    config = tmp_path / "agent.toml"
    config.write_text("")
    result = CliRunner().invoke(app, ["sample", "--for", "0.2", "--config", str(config), "--root", str(root)])
    assert result.exit_code == 2
    assert f"--root {root}" in result.output
    assert said in result.output
    assert "-> " in result.output, "and what to do"
