"""The agent's own cost, where this process is on the machine that is read, and where it is not."""

from importlib import import_module
from pathlib import Path

import pytest

from edge_agent.model.ports import Host
from tests.collectors.tree import build, table

OFFER = import_module("edge_agent.collectors.self").OFFER


def test_the_running_process_is_read() -> None:
    if not Path("/proc/self/io").exists():
        pytest.skip("this kernel does not account for writes")
    shown = table(OFFER.build(OFFER.options(), Host(Path("/"), live=True)).collect())
    numbers = {name: value for name, value in shown.items() if isinstance(value, int | float)}
    assert numbers.keys() == shown.keys()
    assert 0 < numbers["agent.memory.private"] <= numbers["process.memory.usage"]
    assert numbers["process.cpu.time user"] > 0
    assert numbers["process.thread.count"] >= 1
    assert numbers["process.unix.file_descriptor.count"] >= 3
    assert numbers["process.context_switches voluntary"] >= 0
    assert numbers["agent.io.written"] > 0


def test_private_memory_is_asked_for_now_and_then() -> None:
    collector = OFFER.build(OFFER.options(private_every=3), Host(Path("/"), live=True))
    given = ["agent.memory.private" in table(collector.collect()) for _ in range(6)]
    assert given == [True, False, False, True, False, False]


def test_a_recorded_machine_has_no_such_process(tmp_path: Path) -> None:
    shown = table(build(OFFER, tmp_path).collect())
    assert len(shown) == 10
    assert set(shown.values()) == {"not live"}
