"""Config documents from an admin's request to a new generation, and what a document cannot do."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.sim.loop import run
from tests.sim.world import STATE, World, world

PATH = "/api/v1/devices/car-1/config"
SECOND = 1000


async def configure(one: World, **values: Any) -> int:
    return int((await one.ask("PUT", PATH, {"values": values}))["version"])


async def told(one: World) -> dict[str, Any]:
    found: dict[str, Any] = await one.ask("GET", PATH)
    return found


async def instants(one: World, collector: str) -> list[int]:
    return [
        at
        for batch in await one.batches()
        for track in batch.tracks
        if track.collector == collector
        for at in track.instants
    ]


def machine(root: Path) -> Path:
    """A folder that the collector `load` can read."""
    (root / "proc").mkdir()
    (root / "proc/loadavg").write_text("0.10 0.20 0.30 1/100 4242\n")
    return root


@pytest.mark.parametrize("pace", [0.0, 0.2])
@pytest.mark.parametrize("moment", [20.0, 20.3, 20.85, 20.9, 20.95, 20.98, 21.0])
def test_a_document_changes_beats_in_a_new_generation_and_no_tick_is_lost(
    moment: float, pace: float, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with world(root=machine(tmp_path), pace=pace, collectors={"load": {"enabled": True}}) as one:
            await one.passes(moment)
            version = await configure(one, seal={"every": "30s"}, collectors={"load": {"interval": "5s"}})
            turned = one.clock.now()
            await one.passes(120 - moment + 0.7)
            assert one.agent.plan is not None
            assert one.agent.plan.version == version == 1
            await one.stop()
            await one.check_whole()

            beats = sorted({at // SECOND for at in await one.ticks()})
            assert beats == list(range(beats[0], 1120 + 1))
            assert beats[0] <= 1003
            assert not [batch.stat["missed"] for batch in await one.batches() if "missed" in batch.stat]
            loads = await instants(one, "load")
            later = [at for at in loads if at > turned + 6 * SECOND]
            assert {at % (5 * SECOND) for at in later} == {0}
            assert len(later) == len(range(later[0], later[-1] + 1, 5 * SECOND))
            lengths = [len(track.instants) for batch in await one.batches() for track in batch.tracks]
            assert lengths.count(30) >= 2, "waves of half a minute"

    run(scene())


def test_an_applied_document_is_told_to_the_hub() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            await configure(one, seal={"every": "20s"})
            await one.passes(30)
            assert [report["state"] for report in await one.reports("config")][-1:] == ["applied"]
            assert (await told(one))["state"] == "applied"

    run(scene())


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"hub": {"url": "https://elsewhere.example"}}, "hub.url"),
        ({"seal": {"every": "30s"}, "trust": {"mine": {"public": "x"}}}, "trust.mine.public"),
        ({"state": {"folder": "/tmp"}}, "state.folder"),
        ({"collectors": {"tests.sim.wave": {"interval": "5s"}}}, "collectors.tests.sim.wave.interval"),
        ({"collectors": {"load": {"path": "/etc"}}}, "collectors.load.path"),
        ({"seal": {"every": "1ms"}}, "seal.every"),
        ({"seal": {"evry": "30s"}}, "seal.evry"),
        ({"collectors": {"no_such": {"enabled": True}}}, "no_such"),
        ({"log": {"level": "loud"}}, "log.level"),
    ],
)
def test_a_document_with_a_key_that_is_not_its_own_is_refused_whole_and_the_key_is_named(
    values: dict[str, Any], key: str
) -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            plan = one.agent.plan
            await configure(one, **values)
            await one.passes(30)
            found = await told(one)
            assert found["state"] == "refused", found
            assert key in found["detail"]
            assert one.agent.plan is plan, "no page turned"
            assert one.lamp("config").state == "warn"
            assert key in one.lamp("config").note

    run(scene())


def test_a_document_stands_again_after_a_restart_without_the_hub() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            await configure(one, labels={"site": "car-3"})
            await one.passes(30)
            await one.kill()
            one.line.cut()
            one.start()
            await one.passes(5)
            assert one.agent.plan is not None
            assert one.agent.plan.version == 1
            assert one.agent.plan.resource["site"] == "car-3"
            one.line.mend()
            await one.passes(30)
            await one.stop()
            assert (await one.batches())[-1].resource["site"] == "car-3"

    run(scene())


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 70_000, b'{"key_id":"x","body":"{}","sig":""}'])
def test_a_kept_document_that_cannot_be_read_gives_way_to_the_local_settings(content: bytes) -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            await one.kill()
            one.disk.plant(STATE / "document.json", content)
            one.start()
            await one.passes(30.7)
            assert one.agent.plan is not None
            assert one.agent.plan.version == 0
            assert one.lamp("config").state == "warn"
            assert one.agent.tally.readings > 0

    run(scene())


def test_a_document_of_another_device_is_refused() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            one.line.cut()
            await configure(one, seal={"every": "30s"})
            hub = one.house.hub
            body = orjson.dumps({"device": "car-2", "version": 1, "issued_at": 0, "values": {"seal": {"every": "30s"}}})
            envelope = hub.keyring.sign("config", body)
            await hub.store.write(
                lambda connection: connection.execute("UPDATE config_document SET envelope = ?", (envelope,))
            )
            one.line.mend()
            await one.passes(60)
            assert one.agent.plan is not None
            assert one.agent.plan.version == 0
            assert [report["code"] for report in await one.reports("config")] == ["wrong_device"]

    run(scene())
