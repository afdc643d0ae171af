"""The folder that `edge-agent up` made names no hub, and that is not wrong: `up` gives it when it runs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from tests.cli.test_doctor import CHECKS, bad, call, config, looked, patient
from tests.system.program import free_port, started
from tests.system.until import until


def home(folder: Path) -> Path:
    """The config of a folder that looks like one of `up`."""
    for name in ("agent/state", "hub"):
        (folder / name).mkdir(parents=True)
    (folder / "agent/hub_key").touch()
    file = folder / "agent/agent.toml"
    file.write_text(f'[state]\nfolder = "{folder / "agent/state"}"\n[local]\nport = {free_port()}\n')
    return file


def running(file: str | None, **config: Any) -> Mapping[str, Any]:
    """What an agent with this config file says of itself."""
    return {"device": "this-machine", "lamps": [], "config": {"file": file, "differs_on_disk": False, **config}}


def test_up_and_the_doctor_agree_on_its_folder(tmp_path: Path) -> None:
    folder, file = tmp_path / "up", tmp_path / "up/agent/agent.toml"
    places = ("--dir", str(folder), "--port", str(free_port()), "--local-port", str(free_port()))
    with started(tmp_path, "up", "up", *places) as program:
        until(lambda: CliRunner().invoke(app, ["status", "--healthy", "--config", str(file)]).exit_code == 0)
        code, said = call("--config", str(file), "--json")
        found = orjson.loads(said)["findings"]
        assert code == 0, said
        assert [one["what"] for one in found if one["check"] == "config" and one["where"] == "[hub]"] == [
            "names no hub: the running agent was given one when it was started"
        ]
        assert "the agent answers" in [one["what"] for one in found]
        program.stop()
    code, said = call("--config", str(file), "--json")
    found = [one for one in orjson.loads(said)["findings"] if one["check"] in {"config", "agent"}]
    assert code == 0, said
    fixes = [one["fix"] for one in found if one["state"] == "warn"]
    assert len(fixes) == 2
    assert all(f"`edge-agent up --dir {folder}`" in fix for fix in fixes)


@pytest.mark.parametrize("named", ["whole", "as the agent was started with it"])
def test_a_running_agent_is_known_by_its_config_file(tmp_path: Path, named: str) -> None:
    file = home(tmp_path)
    said = str(file if named == "whole" else file.relative_to(tmp_path.parent))
    at = replace(patient(file), running=running(said))
    assert bad([*looked(CHECKS["config"], at), *looked(CHECKS["agent"], at)]) == []


@pytest.mark.parametrize("other", [{"file": "/srv/other/agent.toml"}, {"file": None}, {"differs_on_disk": True}])
def test_an_agent_with_another_config_says_nothing_of_this_one(tmp_path: Path, other: Mapping[str, Any]) -> None:
    file = home(tmp_path)
    at = replace(patient(file), running=running(**{"file": str(file), **other}))
    assert any("up --dir" in one.fix for one in bad(looked(CHECKS["config"], at)))
    (stranger,) = bad(looked(CHECKS["agent"], at))
    assert "this-machine" in stranger.what


def test_a_device_that_the_config_names_must_be_the_agents(tmp_path: Path) -> None:
    file = config(tmp_path)
    (stranger,) = bad(looked(CHECKS["agent"], replace(patient(file), running=running(str(file)))))
    assert "this-machine" in stranger.what


@pytest.mark.parametrize("lacks", ["agent/hub_key", "hub"])
def test_a_folder_that_up_did_not_make_is_wrong_without_a_hub(tmp_path: Path, lacks: str) -> None:
    file = home(tmp_path)
    (tmp_path / lacks).rename(tmp_path / "elsewhere")
    found = bad(looked(CHECKS["config"], patient(file)))
    assert [one.state for one in found] == ["fail", "fail"]
    assert "no hub is named" in found[0].what


def test_what_else_is_wrong_in_such_a_folder_is_still_told(tmp_path: Path) -> None:
    file = home(tmp_path)
    with file.open("a") as more:
        more.write(f'[trust.me]\npublic = "{"A" * 43}="\ntypes = ["fly"]\n')
    found = bad(looked(CHECKS["config"], patient(file)))
    assert [one.state for one in found] == ["warn", "fail"]
    assert "'fly'" in found[1].what
