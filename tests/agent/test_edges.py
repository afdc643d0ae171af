"""Where the agent meets what is not its own: its log, the folder on tmpfs, programs beside it, and its own turns."""

import sys
from pathlib import Path

import pytest

from edge_agent.agent.logs import Log
from edge_agent.agent.plan import build_plan
from edge_agent.agent.runtime import runtime_folder
from edge_agent.config.load import load
from edge_agent.model.failure import DeviceError
from edge_agent.model.lamp import Lamp
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.word import Watch
from tests.sim.loop import run
from tests.sim.world import world


class Full:
    """A terminal on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(28, "no space left on device")

    def flush(self) -> None:
        raise OSError(28, "no space left on device")

    def isatty(self) -> bool:
        return False


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    log = Log("info")
    log.begun("car-1", "https://hub.example", 3)
    log.lamp(Lamp("spool", "fail", 0, "not durable"))


def test_a_folder_on_tmpfs_that_others_may_enter_or_own_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.agent.runtime._TMPFS", tmp_path)
    state = tmp_path / "state"
    folder = runtime_folder(state)
    assert folder.parent == tmp_path
    folder.mkdir(mode=0o700)
    assert runtime_folder(state) == folder
    folder.chmod(0o707)
    assert runtime_folder(state) == state / "open"
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert runtime_folder(state) == state / "open"
    folder.unlink()
    folder.write_text("a file")
    assert runtime_folder(state) == state / "open"
    assert runtime_folder(tmp_path / "other") != folder


def test_a_collector_that_cannot_be_built_is_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[collectors."tests.agent.unbuilt"]\n')
    with pytest.raises(DeviceError, match=r"collector tests\.agent\.unbuilt: cannot be built: no such bus"):
        build_plan(load(file, {}), Host(tmp_path, live=False))


def test_a_reading_that_comes_while_the_last_batch_is_sealed_is_turned_away_not_lost() -> None:
    async def scene() -> None:
        async with world(pace=0.4) as one:
            await one.passes(12.3)
            taken: list[bool] = []
            given = one.agent._take_given

            def offer() -> None:
                taken.append(given(Tick("local", one.clock.now(), (Reading("car.speed", 1.0, "m/s"),))))

            offer()
            sealed = one.agent._sealer
            assert sealed is not None
            leave = sealed.flush

            async def flush() -> dict[str, object]:
                offer()
                return await leave()

            sealed.flush = flush  # type: ignore[method-assign]
            await one.stop()
            offer()
            assert taken == [True, False, False]
            await one.check_whole()

    run(scene())


def test_a_collector_that_a_document_turned_off_is_shown_no_more(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.10 0.20 0.30 1/100 4242\n")

    async def scene() -> None:
        async with world(root=tmp_path, collectors={"load": {"enabled": True}}) as one:
            await one.passes(5)
            assert "load" in {tick.collector for tick in one.agent.tally.latest()}
            values = {"collectors": {"load": {"enabled": False}}}
            await one.ask("PUT", "/api/v1/devices/car-1/config", {"values": values})
            await one.passes(5)
            assert "load" not in {tick.collector for tick in one.agent.tally.latest()}

    run(scene())


def test_a_turn_of_the_page_keeps_the_watch() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            agent = one.agent
            assert agent._beater is not None
            agent._beater.watch(Watch(60).seconds)
            await one.ask("PUT", "/api/v1/devices/car-1/config", {"values": {"seal": {"every": "30s"}}})
            await one.passes(5)
            before = len(one.line.trace)
            await one.passes(10)
            live = [line for line in one.line.trace[before:] if "/live" in str(line)]
            assert len(live) >= 9

    run(scene())


def test_a_refused_document_is_reported_once_however_often_the_hub_says_hello() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            await one.ask("PUT", "/api/v1/devices/car-1/config", {"values": {"hub": {"url": "http://x"}}})
            for _ in range(5):
                await one.passes(20)
                one.line.cut()
                await one.passes(60)
                one.line.mend()
            await one.passes(90)
            assert len(await one.reports("config")) == 1

    run(scene())
