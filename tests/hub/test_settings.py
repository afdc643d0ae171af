"""The hub's settings: layers, and what is wrong told with its place."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.hub.settings import Settings, is_loopback, load
from edge_agent.model.failure import ConfigError


def written(folder: Path, text: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(text)
    return file


def test_later_layers_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, 'port = 1\nhost = "127.0.0.2"\n[limits]\nbody = "2MiB"\nbody_timeout = "1m"\n')
    monkeypatch.setenv("EDGE_HUB_PORT", "2")
    monkeypatch.setenv("EDGE_HUB_LIMITS__BODY_TIMEOUT", "5s")
    monkeypatch.setenv("EDGE_HUB_CLOCK_ERROR", "250ms")
    found = load(file, {"folder": tmp_path, "limits": {"write_timeout": 3}})
    assert (found.port, found.host, found.folder, found.clock_error_ms) == (2, "127.0.0.2", tmp_path, 250)
    assert (found.limits.body, found.limits.body_timeout, found.limits.write_timeout) == (2 * 2**20, 5.0, 3.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "hub.toml:1: prot: is not a known key (did you mean `port`?)"),
        ("[limits]\nbodi = 1", "hub.toml:2: limits.bodi: is not a known key (did you mean `body`?)"),
        ("port = 70000", "port:"),
        ('skew_tolerance = "soon"', "skew_tolerance:"),
        ("port = ", "hub.toml"),
        ('host = "0.0.0.0"', "plain http on 0.0.0.0"),
        ('tls_key = "a.pem"', "belong together"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text), {})
    assert words in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load(tmp_path / "none.toml", {})


@pytest.mark.parametrize("values", [{"host": "0.0.0.0", "plain_http": True}, {"host": "localhost"}, {"host": "::1"}])
def test_plain_http_stays_here_unless_it_is_wanted(tmp_path: Path, values: dict[str, Any]) -> None:
    assert load(written(tmp_path, ""), values).host == values["host"]


def test_an_address_is_a_url() -> None:
    assert Settings(host="::1").address_at(80) == "http://[::1]:80"
    assert is_loopback("127.9.9.9")
    assert not is_loopback("example.org")
