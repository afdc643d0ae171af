"""What the README says of collectors and of machines is what there is; its example of a collector works."""

import re
from dataclasses import fields
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from edge_agent.config.shelf import choose_collectors, collector_names
from edge_agent.model.ports import Host
from tests.collectors.tree import plant
from tests.machines.machine import MACHINES

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([^`]+)`(?: \(off\))? [^|]*\|[^|]*\|([^|]*)\|$", re.MULTILINE)


def test_every_collector_is_told_with_its_options() -> None:
    every = {name: {"enabled": True} for name in collector_names()}
    shelf = {choice.name: {field.name for field in fields(choice.offer.options)} for choice in choose_collectors(every)}
    table = README.partition("| collector | tells | options |")[2].partition("\n\n")[0]
    told = {name: set(re.findall(r"`([^`]+)`", options)) for name, options in _ROW.findall(table)}
    assert told == shelf


def test_collectors_that_do_not_run_by_default_are_marked() -> None:
    table = README.partition("| collector | tells | options |")[2].partition("\n\n")[0]
    off = set(re.findall(r"^\| `([^`]+)` \(off\)", table, re.MULTILINE))
    assert off == {*collector_names()} - {choice.name for choice in choose_collectors({})}


def test_every_machine_is_in_the_table_of_boards() -> None:
    table = README.partition("| folder | GPU")[2].partition("\n\n")[0]
    assert set(MACHINES) <= set(re.findall(r"`([^`]+)`", table))


@pytest.fixture
def example(tmp_path: Path) -> ModuleType:
    """The module that the README shows."""
    code = README.partition("## A collector in one file")[2].partition("```python\n")[2].partition("```")[0]
    file = tmp_path / "entropy.py"
    file.write_text(code)
    spec = util.spec_from_file_location("shown_in_readme", file)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_collector_that_is_shown_works(example: ModuleType, tmp_path: Path) -> None:
    collector = example.OFFER.build(example.OFFER.options(), Host(tmp_path, live=False))
    name = "proc/sys/kernel/random/entropy_avail"
    (absent,) = collector.collect()
    assert (absent.value, absent.reason, absent.source) == (None, "missing", f"/{name}")
    for content, value, reason in (("256\n", 256, None), ("", None, "malformed")):
        plant(tmp_path, {name: content})
        (reading,) = collector.collect()
        assert (reading.value, reading.reason) == (value, reason)
