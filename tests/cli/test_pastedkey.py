"""A key that stands where the path of its file belongs is shown nowhere; the path of a file is."""

import asyncio
import os
import secrets
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.cli.doctor import examine
from edge_agent.link.keyfile import KeyFile, shown
from edge_agent.model.failure import DeviceError
from tests.cli.test_doctor import bad, call, config, patient
from tests.system.program import free_port

KEYS = {
    "of letters": secrets.token_urlsafe(32),
    "with bars": f"{secrets.token_hex(8)}/{secrets.token_hex(8)}//{secrets.token_hex(4)}/",
    "after a bar": f"/{secrets.token_hex(16)}+/a=",
    "like a folder's": f"tmp/{secrets.token_hex(16)}",
    "too long for a name": secrets.token_hex(2000),
}


def pasted(tmp_path: Path, key: str) -> Path:
    """A config with a key in place of its file."""
    file = config(tmp_path, url=f"http://127.0.0.1:{free_port()}")
    file.write_text(file.read_text().replace(str(tmp_path / "hub_key"), key))
    return file


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_the_doctor_says_that_it_is_no_file_and_does_not_show_it(tmp_path: Path, key: str) -> None:
    file = pasted(tmp_path, key)
    for form in ((), ("--json",)):
        code, said = call("--config", str(file), *form)
        assert code == 1
        assert f"hub.key_file: {len(str(Path(key)))} characters" in said
        for part in (key, str(Path(key)), *(part for part in key.split("/") if len(part) >= 8)):
            assert part not in said


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_what_an_agent_says_of_it_does_not_show_it(key: str) -> None:
    with pytest.raises(DeviceError) as failure:
        KeyFile(Path(key)).read()
    said = f"{failure.value} {failure.value.hint} {KeyFile(Path(key))!r}"
    assert "not shown" in said
    assert not [part for part in Path(key).parts if len(part) >= 8 and part[:20] in said]


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_the_check_of_a_config_does_not_show_it(tmp_path: Path, key: str) -> None:
    for form in ((), ("--json",)):
        said = CliRunner().invoke(app, ["check", "--config", str(pasted(tmp_path, key)), *form]).output
        assert "not shown" in said
        assert not [part for part in Path(key).parts if len(part) >= 8 and part[:20] in said]


def test_a_path_is_told_where_a_folder_above_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "hub_key").touch()
    assert shown(tmp_path / "hub_key") == str(tmp_path / "hub_key")
    assert shown(tmp_path / "missing") == str(tmp_path / "missing")
    assert shown(Path("/missing")) == "8 characters that name no file (not shown: they may be the key itself)"
    later = tmp_path / "not yet" / "there" / "hub_key"
    assert shown(later) == str(later)
    gone = Path("/no-such-folder/hub_key")
    assert "hub_key" not in shown(gone)
    assert f"{len(str(gone))} characters" in shown(gone)


def test_a_key_file_whose_folder_is_not_there_yet_is_told_with_its_folder(tmp_path: Path) -> None:
    later = tmp_path / "edge-agent" / "hub_key"
    file = pasted(tmp_path, str(later))
    (found,) = bad([one for name, one in asyncio.run(examine(patient(file))) if name == "key"])
    assert found.where == str(later)
    assert f"there is no folder {later.parent} either" in found.fix
    said = CliRunner().invoke(app, ["check", "--config", str(file)]).output
    assert str(later) in said
    assert "may be the key" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_file_that_this_user_may_not_look_at_is_told_by_its_path(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert shown(closed / "hub_key") == str(closed / "hub_key")


def test_a_key_file_that_is_gone_is_told_once_by_its_check(tmp_path: Path) -> None:
    file = config(tmp_path)
    (tmp_path / "hub_key").unlink()
    found = asyncio.run(examine(patient(file)))
    (key,) = bad([one for name, one in found if name == "key"])
    assert str(tmp_path / "hub_key") in key.what
    assert key.where == str(tmp_path / "hub_key")
