"""`edge-agent run` beside `edge-agent hub`: kills, absences, and what is wrong with a config."""

import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.system.program import Program, Site, free_port, started
from tests.system.until import until

SECOND = 1000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, free_port(), free_port())


def provision(site: Site) -> None:
    """Let the hub draw the device's key, and stop it again."""
    with site.hub("provision") as hub:
        assert hub.stop() == 0


def widest(instants: list[int]) -> int:
    """The widest gap between two ticks, in ms."""
    return max(after - before for before, after in pairwise(instants))


def all_stored(site: Site, lives: int) -> bool:
    epochs = site.epochs()
    return len(epochs) == lives and all(epoch["stored"] == epoch["next"] > 0 for epoch in epochs)


def check_gapless(site: Site, away: float) -> None:
    """No tick is stored twice, and none is missing but those of the time without an agent and the tick in hand."""
    instants = site.instants("cpu")
    assert len(set(instants)) == len(instants)
    assert widest(instants) <= (away + 2.2) * SECOND


def answered(site: Site, path: str) -> int:
    """The status of the agent's own endpoint."""
    found = site.local(path)
    return 0 if found is None else found[0]


def test_kill_9_costs_no_sealed_batch_and_at_most_the_tick_in_hand(site: Site) -> None:
    site.configure()
    with site.hub() as hub:
        with site.agent("first") as first:
            until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= 2)
            killed_at = time.monotonic()
            first.kill()
        with site.agent("second") as second:
            until(lambda: site.status().get("sampled", {}).get("readings"))
            away = time.monotonic() - killed_at
            until(lambda: len(site.epochs()) == 2 and site.epochs()[-1]["stored"] >= 1)
            assert second.stop() == 0, second.complained
        assert all_stored(site, lives=2), site.epochs()
        assert hub.stop() == 0, hub.complained
    check_gapless(site, away)


def test_without_a_hub_the_agent_buffers_and_says_so_and_a_kill_costs_nothing_that_was_buffered(site: Site) -> None:
    provision(site)
    site.configure()
    with site.agent("first") as first:
        until(lambda: site.status()["buffer"]["telemetry"]["frames"] >= 2)
        assert answered(site, "/healthz") == 200
        assert answered(site, "/readyz") == 503
        lamp = site.lamp("hub")
        assert lamp["state"] == "warn"
        assert f"127.0.0.1:{site.hub_port}" in lamp["note"]
        killed_at = time.monotonic()
        first.kill()
    with site.agent("second") as second:
        until(lambda: site.status().get("sampled", {}).get("readings"))
        away = time.monotonic() - killed_at
        with site.hub() as hub:
            until(lambda: site.lamp("hub").get("state") == "ok")
            until(lambda: answered(site, "/readyz") == 200)
            assert second.stop() == 0, second.complained
            assert all_stored(site, lives=2), site.epochs()
            assert hub.stop() == 0
    check_gapless(site, away)


def test_a_state_folder_that_cannot_be_written_stops_neither_sampling_nor_pushing(site: Site) -> None:
    (site.folder / "file").write_text("no folder can be made below a file")
    site.configure(state=site.folder / "file/state")
    with site.hub(), site.agent() as agent:
        until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= 2)
        lamp = site.lamp("spool")
        assert lamp["state"] == "warn"
        assert "not durable" in lamp["note"]
        assert site.status()["buffer"]["telemetry"]["durable"] is False
        assert agent.stop() == 0, agent.complained
        assert all_stored(site, lives=1), site.epochs()
    assert (site.folder / "file").read_text().startswith("no folder")


def test_a_second_agent_on_one_state_folder_says_so(site: Site) -> None:
    provision(site)
    site.configure()
    with site.agent(), started(site.folder, "other", "run", "--config", str(site.config), "--local-port", "0") as other:
        assert other.ends() == 1
        assert str(site.folder / "state") in other.complained
        assert "Traceback" not in other.complained


def test_a_taken_port_of_the_agent_is_named_with_its_setting(site: Site) -> None:
    provision(site)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        Site(site.folder, site.hub_port, number).configure()
        with started(site.folder, "agent", "run", "--config", str(site.config)) as agent:
            assert agent.ends() == 1
    assert str(number) in agent.complained
    assert "port" in agent.complained
    assert "--local-port" in agent.complained
    assert "Traceback" not in agent.complained


def test_a_taken_port_of_the_hub_is_named_with_its_flag(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with started(site.folder, "hub", "hub", "--folder", str(site.folder / "hub"), "--port", str(number)) as hub:
            assert hub.ends() == 1
    assert str(number) in hub.complained
    assert "--port" in hub.complained
    assert "Traceback" not in hub.complained


@pytest.mark.parametrize(
    ("more", "key", "line"),
    [
        ("[seal2]\nevery = '1s'\n", "seal2", 17),
        ("[collectors.cpu]\nintervall = '1s'\n", "collectors.cpu.intervall", 18),
        ("[push]\nmost_bytes = 'lots'\n", "push.most_bytes", 18),
        ("[live]\nevery = -5\n", "live.every", 18),
    ],
)
def test_a_wrong_config_names_key_file_and_line_and_touches_nothing(more: str, key: str, line: int, site: Site) -> None:
    site.configure(more)
    before = sorted(site.folder.iterdir())
    with started(site.folder, "agent", "run", "--config", str(site.config)) as agent:
        assert agent.ends() == 2
    assert f"{site.config}:{line}" in agent.complained
    assert key in agent.complained
    assert "Traceback" not in agent.complained
    left = {path.name for path in site.folder.iterdir()} - {path.name for path in before}
    assert left == {"agent.out", "agent.err"}


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    with started(tmp_path, "agent", "run", "--config", str(tmp_path / "none.toml")) as agent:
        assert agent.ends() == 2
    assert str(tmp_path / "none.toml") in agent.complained


def test_a_hub_that_gets_sigterm_ends_well_and_keeps_what_it_has(site: Site) -> None:
    site.configure()
    with site.hub() as hub, site.agent() as agent:
        until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= 1)
        assert hub.stop() == 0, hub.complained
        until(lambda: site.lamp("hub").get("state") == "warn")
        assert agent.stop() == 0, agent.complained
    assert site.instants("cpu")


def test_no_key_is_in_any_file_that_a_program_wrote_but_its_own(site: Site) -> None:
    site.configure()
    programs: list[Program] = []
    with site.hub() as hub, site.agent() as agent:
        programs += [hub, agent]
        until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= 1)
        assert agent.stop() == 0
    key = site.key_file.read_text().strip().encode()
    holding = [
        path for path in site.folder.rglob("*") if path.is_file() and path != site.key_file and key in path.read_bytes()
    ]
    assert not holding
