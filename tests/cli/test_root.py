"""The root that a command is given is one machine, by whatever name it is called."""

import os
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from tests.cli.test_doctor import config

NANO = Path(__file__).parents[1] / "machines/nano-jp4"


def found(file: Path, root: str) -> list[dict[str, str]]:
    """What doctor finds below this root."""
    result = CliRunner().invoke(app, ["doctor", "--json", "--config", str(file), "--root", root])
    told: list[dict[str, str]] = orjson.loads(result.output)["findings"]
    return told


@pytest.mark.parametrize("name", ["//", "/proc/..", "{link}"])
def test_this_machine_is_looked_at_whole_by_any_name_of_its_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/")
    told = found(config(tmp_path), name.format(link=tmp_path / "link"))
    assert {one["check"] for one in told} >= {"hub", "agent", "state"}


def test_another_machine_is_the_same_by_any_name_of_its_root(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(NANO)
    file = config(tmp_path)
    told = found(file, str(NANO))
    assert {one["check"] for one in told} == {"sensors"}
    for name in (f"/{NANO}/", f"{NANO}/proc/..", os.path.relpath(NANO), str(tmp_path / "link")):
        assert found(file, name) == told


def test_a_root_that_is_none_is_told_as_what_it_is_and_not_as_a_fault_of_the_config(tmp_path: Path) -> None:
    (told,) = found(config(tmp_path), f"{tmp_path}/agent.toml/")
    assert told["what"] == f"--root {tmp_path}/agent.toml: this is not a folder"
    assert told["where"] == f"{tmp_path}/agent.toml"
    (told,) = found(config(tmp_path), f"{tmp_path}/nothing")
    assert told["where"] == f"{tmp_path}/nothing"
