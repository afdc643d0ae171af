"""What is sampled is shown with its time, and with how far that may be off."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.cli.moment import UNSYNCHRONISED, Moment, moment_of
from edge_agent.config.shelf import choose_collectors
from edge_agent.kit.clock import SystemClock
from tests.sim.clock import SimClock
from tests.sim.loop import run

ONLY_LOAD = "".join(
    f'[collectors."{choice.name}"]\nenabled = false\n' for choice in choose_collectors({}) if choice.name != "load"
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


def test_a_table_that_goes_into_a_pipe_is_printed_once(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(ONLY_LOAD + "[collectors.load]\ninterval = 0.1\n")
    result = CliRunner().invoke(app, ["sample", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert sum(line.startswith("load ") for line in result.output.splitlines()) == 1


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


def late(tmp_path: Path, options: str, *flags: str) -> tuple[str, str]:
    """What `sample --once` prints of the collector `late` and nothing else, and what it complains."""
    config = tmp_path / "agent.toml"
    off = '[collectors."load"]\nenabled = false\n'
    config.write_text(f'{ONLY_LOAD}{off}[collectors."tests.cli.late"]\ninterval = 0.1\n{options}')
    result = CliRunner().invoke(app, ["sample", "--once", "--config", str(config), *flags])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_a_program_that_is_still_starting_is_waited_for_within_reason(tmp_path: Path) -> None:
    (line,) = map(orjson.loads, late(tmp_path, "", "--json", "--explain", "late")[0].splitlines())
    (row,) = line["readings"]
    assert (row["value"], row["tried"]) == (1, [["/a [file]", "missing"]])
    (line,) = map(orjson.loads, late(tmp_path, "beats = 1000\n", "--json", "--explain", "late")[0].splitlines())
    (row,) = line["readings"]
    assert (row["value"], row["reason"], row["tried"][1]) == (None, "missing", ["nvml", "starting"])


def test_what_is_read_once_in_several_beats_is_shown_too(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    off = '[collectors."load"]\nenabled = false\n'
    config.write_text(ONLY_LOAD.replace('[collectors."processes"]\nenabled = false\n', "") + off)
    result = CliRunner().invoke(app, ["sample", "--once", "--json", "--config", str(config)])
    (line,) = map(orjson.loads, result.stdout.splitlines())
    names = [row["name"] for row in line["readings"]]
    assert {"linux.thread.count", "system.process.created", "system.process.count"} <= set(names)
    assert len(names) == len(set(names))


def test_words_of_a_device_are_no_marks_of_the_table(tmp_path: Path) -> None:
    said, _ = late(tmp_path, "", "--explain", "late")
    assert "nvml [1]" in said
    assert "/a [file]: missing" in said


def test_a_collector_that_breaks_is_told_beside_the_table(tmp_path: Path) -> None:
    _, complained = late(tmp_path, "breaks = true\ntimeout = 0.2\n")
    assert "collector.tests.cli.late: ValueError: no such [register]" in complained


MACHINES = Path(__file__).parents[1] / "machines"


def explained(tmp_path: Path, machine: str, name: str, *flags: str) -> str:
    """What `sample --once --explain` prints of a recorded machine."""
    config = tmp_path / "agent.toml"
    config.write_text('[collectors."jetson.tegrastats"]\nenabled = true\n')
    words = ["sample", "--once", "--config", str(config), "--root", str(MACHINES / machine), "--explain", name]
    result = CliRunner().invoke(app, [*words, *flags])
    assert result.exit_code == (1 if name == "hw.gpv" else 0), result.output
    return result.output


def test_what_is_explained_has_its_source_and_what_was_tried_before(tmp_path: Path) -> None:
    lines = explained(tmp_path, "thor-jp7", "hw.gpu", "--json").splitlines()
    (told,) = (line for line in map(orjson.loads, lines) if line["collector"] == "jetson.gpu")
    (load,) = (row for row in told["readings"] if row["name"] == "hw.gpu.utilization")
    assert load["source"] == "nvml"
    assert all(source != "nvml" for source, _said in load["tried"])
    table = explained(tmp_path, "agx-orin-jp6", "hw.gpu.utilization")
    assert "/sys/class/devfreq/17000000.gpu/device/load" in table


def test_a_name_that_nothing_has_is_told_with_the_nearest(tmp_path: Path) -> None:
    assert "no reading here has 'hw.gpv' in its name" in explained(tmp_path, "agx-orin-jp6", "hw.gpv")
