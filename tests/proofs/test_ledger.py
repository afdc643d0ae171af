"""What was found is found again, and only for what it was found about."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.proofs.ledger import ROOT, Ledger, modules, strays
from tests.proofs.row import Findings, Row
from tests.proofs.rows import NAMES, row_named
from tests.proofs.table import line_of, written


def test_a_part_that_was_kept_is_found_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.found("flash") == {}
    ledger.keep("flash", 2, Findings(5, ["a wrong one"], {"figure": 1.5}))
    assert ledger.found("flash") == {2: Findings(5, ["a wrong one"], {"figure": 1.5})}


def test_a_rows_modules_are_those_that_it_imports_and_those_that_it_starts() -> None:
    named = {path.relative_to(ROOT).as_posix() for path in modules("tests.proofs.flash")}
    assert {"tests/proofs/flash.py", "tests/proofs/row.py", "tests/bench/flash.py", "tests/bench/place.py"} <= named
    assert "tests/proofs/week.py" not in named


def test_a_change_of_a_sensor_does_not_touch_what_a_simulation_found_but_what_the_program_did() -> None:
    sensor = ROOT / "edge_agent/collectors/thermal.py"
    assert sensor not in modules("tests.proofs.schedules")
    assert ROOT / "edge_agent/spool/writer.py" in modules("tests.proofs.schedules")
    assert sensor in modules("tests.proofs.kills")
    assert sensor in modules("tests.proofs.powercut")


def test_a_module_that_was_loaded_by_a_computed_name_is_noticed() -> None:
    import_module("edge_agent.cli.doctor")
    assert "edge_agent.cli.doctor" in strays("schedules")
    assert strays("kills") == []


def test_what_stands_on_a_shelf_and_is_used_counts() -> None:
    named = modules("tests.proofs.schedules")
    assert {ROOT / "edge_agent/dialects/native.py", ROOT / "edge_agent/handlers/flush.py"} <= named


def told(parts: dict[int, Findings], lacks: str = "") -> str:
    row = Row("some", "it holds", "twice", 2, _prove, lambda found: f"{len(found)} parts", lambda _: [], lambda: lacks)
    return line_of(row, parts).state


def _prove(part: int) -> Findings:
    return Findings(part)


def test_a_row_is_met_when_all_parts_ran_and_nothing_was_wrong() -> None:
    assert told({0: Findings(1), 1: Findings(1)}) == "met"
    assert told({0: Findings(1)}) == "not complete"
    assert told({0: Findings(1), 1: Findings(1, ["a wrong one"])}) == "not met"
    assert told({}, lacks="no such machine") == "skipped"


@pytest.mark.parametrize("name", NAMES)
def test_every_row_can_be_told_before_it_ran(name: str) -> None:
    row = row_named(name)
    assert row.name == name
    assert written([line_of(row, {})]).count("\n") == 3
