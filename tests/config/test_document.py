"""A hub's document sets values inside local bounds, and is refused whole otherwise."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.document import apply
from edge_agent.config.load import Loaded, load
from edge_agent.model.failure import ConfigError


def local(folder: Path, text: str = "") -> Loaded:
    """A local config with this text."""
    file = folder / "agent.toml"
    file.write_text(text)
    return load(file, {})


def test_a_document_is_laid_over_the_local_settings(tmp_path: Path) -> None:
    loaded = local(tmp_path, '[seal]\nevery = "10s"\n[labels]\nsite = "north"\nteam = "a"\n')
    values = {
        "seal": {"every": "30s"},
        "labels": {"site": "south"},
        "collectors": {"cpu": {"interval": "5s"}, "load": {"enabled": False}},
        "log": {"level": "debug"},
    }
    applied = apply(loaded, values, 7)
    assert applied.settings.seal.every == 30.0
    assert applied.settings.labels == {"site": "south", "team": "a"}
    assert applied.settings.log.level == "debug"
    intervals = {choice.name: choice.interval for choice in applied.collectors}
    assert intervals["cpu"] == 5.0
    assert "load" not in intervals
    assert applied.sources.origin(("seal", "every")) == "hub document 7"
    assert loaded.settings.seal.every == 10.0


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"hub": {"url": "http://evil.example"}}, "hub.url"),
        ({"trust": {"x": {"public": "a"}}}, "trust.x.public"),
        ({"state": {"folder": "/tmp/x"}}, "state.folder"),
        ({"collectors": {"cpu": {"per_core": False}}}, "collectors.cpu.per_core"),
        ({"collectors": {"racing.can": {"enabled": True}}}, "collectors.racing.can"),
        ({"collectors": {"nothing": {"enabled": True}}}, "collectors.nothing"),
        ({"collectors": {"cpu": {"interval": "10ms"}}}, "collectors.cpu.interval"),
        ({"seal": {"every": "10d"}}, "seal.every"),
        ({"seal": {"every": "soon"}}, "seal.every"),
        ({"seal": 3}, "seal"),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"labels": {"site": 3}}, "labels.site"),
    ],
)
def test_a_document_with_anything_forbidden_is_refused_whole_and_named(
    tmp_path: Path, values: dict[str, Any], named: str
) -> None:
    loaded = local(tmp_path)
    with pytest.raises(ConfigError) as raised:
        apply(loaded, {"log": {"level": "debug"}, **values}, 1)
    assert named in str(raised.value)


def test_local_bounds_say_which_collectors_a_document_may_turn_on(tmp_path: Path) -> None:
    loaded = local(tmp_path, '[bounds]\ncollectors = ["cpu"]\n')
    assert apply(loaded, {"collectors": {"cpu": {"interval": "2s"}}}, 1).settings.collectors["cpu"]["interval"] == "2s"
    with pytest.raises(ConfigError, match="bounds"):
        apply(loaded, {"collectors": {"network": {"enabled": True}}}, 2)
