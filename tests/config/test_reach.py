"""How a hub is reached: what is missing or wrong is told with its place, and the key comes from where it may."""

import secrets
from pathlib import Path

import pytest

from edge_agent.config.load import KEY_VARIABLE, load
from edge_agent.config.reach import reach_of
from edge_agent.link.keyfile import GivenKey, KeyFile
from edge_agent.model.failure import ConfigError

HUB = '[hub]\nurl = "https://hub.example"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "hub.url: no hub is named"),
        (HUB, "hub.key_file: no key file is named"),
        ('[device]\nid = ""\n' + HUB, "device.id: no id is named"),
        (
            '[hub]\nkey_file = "k"\nurl = "http://hub.example"\n',
            "agent.toml:3: hub.url: the hub's address is plain",
        ),
        (HUB + 'key_file = "k"\n[trust.a]\npublic = "%s="\ntypes = ["ecko"]\n' % ("A" * 43), "did you mean `echo`?"),
    ],
)
def test_what_is_missing_or_wrong_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        reach_of(load(written(tmp_path, text), {}))
    assert words in str(raised.value)


def test_the_key_comes_from_a_file_or_from_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(written(tmp_path, HUB + f'key_file = "{tmp_path}/key"\n'), {})
    assert isinstance(reach_of(loaded).key, KeyFile)
    secret = secrets.token_urlsafe(32)
    monkeypatch.setenv(KEY_VARIABLE, secret)
    again = load(written(tmp_path, HUB), {})
    key = reach_of(again).key
    assert isinstance(key, GivenKey)
    assert key.read() == secret
    assert secret not in repr(reach_of(again))
    assert again.warnings == ()
