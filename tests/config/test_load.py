"""Settings come from four sources, each value knows which, and what is wrong is told with its place."""

from pathlib import Path

import pytest

from edge_agent.config.load import load
from edge_agent.model.failure import ConfigError


def written(folder: Path, text: str) -> Path:
    """A config file with this text."""
    file = folder / "agent.toml"
    file.write_text(text)
    return file


def test_later_sources_win_and_each_value_knows_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_SEAL__EVERY", "20s")
    file = written(tmp_path, '[device]\nid = "car-3"\n[seal]\nevery = "30s"\n[labels]\nsite = "north"\n')
    loaded = load(file, {"labels": {"site": "south"}})
    assert loaded.settings.device.id == "car-3"
    assert loaded.settings.seal.every == 20.0
    assert loaded.settings.labels == {"site": "south"}
    assert loaded.sources.origin(("device", "id")) == f"{file}:2"
    assert loaded.sources.origin(("seal", "every")) == "EDGE_AGENT_SEAL__EVERY"
    assert loaded.sources.origin(("labels", "site")) == "flag"
    assert loaded.sources.origin(("spool", "dead_bytes")) == "default"


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("[seal]\n\nevry = 3\n", 3, "seal.evry", "did you mean `every`?"),
        ("[sael]\nevery = 3\n", 1, "sael", "did you mean `seal`?"),
        ('[hub]\nurl = "http://localhost"\nkeyfile = "x"\n', 3, "hub.keyfile", "did you mean `key_file`?"),
        ('[seal]\nevery = "soon"\n', 2, "seal.every", "10s"),
        ("[collectors.cpu]\nintervall = 1\n", 2, "collectors.cpu.intervall", "did you mean `interval`?"),
        ("[collectors.cpuu]\ninterval = 1\n", 1, "collectors.cpuu", "did you mean `cpu`?"),
        ('[collectors.cpu]\n# beat\ninterval = "fast"\n', 3, "collectors.cpu.interval", "10s"),
        ('[hub]\ndialect = "nativ"\n', 2, "hub.dialect", "did you mean `native`?"),
        ("[spool.telemetry]\nmax_bytes = -1\n", 2, "spool.telemetry.max_bytes", "at least"),
        ("[handlers.ecko]\n", 1, "handlers.ecko", "did you mean `echo`?"),
        ('[trust.hub]\npublic = "short"\n', 2, "trust.hub.public", "32 bytes in base64"),
    ],
)
def test_what_is_wrong_is_told_with_key_line_and_the_nearest_key(
    tmp_path: Path, text: str, line: int, key: str, hint: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(file, {})
    told = f"{raised.value} {raised.value.hint}"
    assert f"{file}:{line}" in told
    assert key in told
    assert hint in told


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "[seal]\nevry = 1\n[spool]\ndead_byte = 1\n")
    with pytest.raises(ConfigError) as raised:
        load(file, {})
    assert "seal.evry" in str(raised.value)
    assert "spool.dead_byte" in str(raised.value)


@pytest.mark.parametrize("text", ["[seal\n", "every = = 1\n", "\x00"])
def test_a_file_that_is_not_toml_names_itself(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError, match="is not TOML"):
        load(file, {})


def test_a_file_that_is_not_text_names_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(b"[seal]\n\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 7"):
        load(file, {})


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "none.toml", {})


def test_systemd_folders_and_credentials_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub_key").write_text("not shown")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/given")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/given")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    # The file of the config is root's: the service cannot read the key that it names.
    settings = load(written(tmp_path, '[hub]\nkey_file = "/etc/edge-agent/hub_key"\n'), {}).settings
    assert settings.state.folder == Path("/var/lib/given")
    assert settings.state.runtime == Path("/run/given")
    assert settings.hub.key_file == tmp_path / "hub_key"


def test_a_strange_variable_of_ours_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_SERVICE_HOST", "10.0.0.1")
    loaded = load(written(tmp_path, ""), {})
    assert any("EDGE_AGENT_SERVICE_HOST" in warning for warning in loaded.warnings)


def test_default_collectors_run_unless_turned_off(tmp_path: Path) -> None:
    names = {choice.name for choice in load(written(tmp_path, ""), {}).collectors}
    assert {"cpu", "memory", "load", "pressure", "network", "self"} <= names
    fewer = load(written(tmp_path, "[collectors.cpu]\nenabled = false\n"), {})
    assert "cpu" not in {choice.name for choice in fewer.collectors}
