"""What is on a shelf: modules, packages of modules, and what comes from outside."""

import sys
from pathlib import Path

import pytest

import edge_agent.collectors
from edge_agent.config.document import apply
from edge_agent.config.load import load
from edge_agent.config.shelf import OptionError, choose_collectors, is_outside
from edge_agent.model.failure import ConfigError

OFFERED = """
from dataclasses import dataclass
from edge_agent.model.offers import CollectorOffer

@dataclass(frozen=True)
class Options:
    pass

OFFER = CollectorOffer(Options, lambda options, host: None, default={default})
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package on the collectors' shelf, and one of the same name outside."""
    name = "boardpackage"
    for place in (tmp_path / "shelf" / name, tmp_path / "outside" / name):
        place.mkdir(parents=True)
        (place / "__init__.py").write_text("")
    inside, outside = tmp_path / "shelf" / name, tmp_path / "outside" / name
    (inside / "power.py").write_text(OFFERED.format(default=True))
    (inside / "fan.py").write_text(OFFERED.format(default=False))
    (inside / "shared.py").write_text("")
    (outside / "power.py").write_text("raise AssertionError")
    (outside / "can.py").write_text(OFFERED.format(default=False))
    monkeypatch.setattr(edge_agent.collectors, "__path__", [*edge_agent.collectors.__path__, str(tmp_path / "shelf")])
    monkeypatch.syspath_prepend(str(tmp_path / "outside"))
    yielded = [known for known in sys.modules if name in known]
    assert not yielded
    return name


def chosen(*sections: str) -> list[str]:
    return [
        choice.name for choice in choose_collectors({name: {} for name in sections}) if "boardpackage" in choice.name
    ]


def test_the_modules_of_a_package_are_collectors_each_and_shared_pieces_are_none(package: str) -> None:
    try:
        assert chosen() == ["boardpackage.power"]
        assert chosen("boardpackage.fan", "boardpackage.can") == [
            f"{package}.{name}" for name in ("can", "fan", "power")
        ]
        with pytest.raises(OptionError, match="declares no OFFER"):
            chosen("boardpackage.shared")
        with pytest.raises(OptionError, match=r"named 'boardpackage\.powr'") as failure:
            chosen("boardpackage.powr")
        assert "boardpackage.power" in failure.value.hint
    finally:
        for known in [known for known in sys.modules if package in known]:
            del sys.modules[known]


def test_a_package_that_is_named_in_place_of_its_parts_is_told_with_one_of_them() -> None:
    with pytest.raises(OptionError, match="declares no OFFER") as failure:
        choose_collectors({"jetson": {"power": {"enabled": False}}})
    assert '[collectors."jetson.' in failure.value.hint


@pytest.mark.parametrize("name", [".x", "..", "a..b", "cpu.x", ""])
def test_a_name_that_is_none_is_told_by_its_key(name: str) -> None:
    with pytest.raises(OptionError, match="no collector named"):
        choose_collectors({name: {}})


def test_a_document_reaches_the_collectors_of_a_package_and_none_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("")
    loaded = load(file, {})
    assert is_outside("collectors", "tests.proofs.beats")
    assert not is_outside("collectors", "jetson.power")
    off = apply(loaded, {"collectors": {"jetson.power": {"enabled": False}}}, 1)
    assert "jetson.power" not in [choice.name for choice in off.collectors]
    with pytest.raises(ConfigError, match="from outside"):
        apply(loaded, {"collectors": {"tests.proofs.beats": {"enabled": True}}}, 1)
