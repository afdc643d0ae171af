"""Presence: who is there, told by signs of life."""

from pathlib import Path
from typing import Any

import orjson

from edge_agent.model.frame import Holding
from edge_agent.wire.headers import format_clocks, format_inventory
from tests.hub.deliveries import batch, frame, ticks
from tests.hub.house import House, alive, opened, said
from tests.sim.loop import run

LIVE, STREAM = "/api/v1/devices/car-1/live", "/api/v1/devices/car-1/stream"


async def beat(house: House, axis: str = "boot-1", at: int | None = None, **more: Any) -> None:
    """A heartbeat; `at` is the axis time at which it was sent, now unless a test says so."""
    now = house.clock.now() - len(axis) * 1000 if at is None else at
    reply = await house.ask("POST", LIVE, {"axis": axis, "now": now, **more}, key=house.key)
    assert reply.status == 204


async def device(house: House) -> Any:
    house.viewer = await house.let_in("vic", "viewer")
    return said(await house.ask("GET", "/api/v1/devices/car-1", token=house.viewer))


async def told(house: House) -> list[tuple[str, str, bool]]:
    entries = await house.hub.journal.replay("events", f"{house.hub.keyring.epoch}-0")
    found = [orjson.loads(entry.data) for entry in entries or () if entry.event == "agent.status"]
    return [(one["was"], one["state"], one["twin"]) for one in found]


def test_a_silent_device_turns_stale_then_offline() -> None:
    async def scene() -> None:
        async with alive() as house:
            assert (await device(house))["state"] == "offline"
            await beat(house)
            await house.clock.sleep(1)
            assert await told(house) == [("offline", "online", False)]
            await house.clock.sleep(100)
            assert (await device(house))["state"] == "stale"
            await house.clock.sleep(250)
            found = await device(house)
            assert found["state"] == "offline"
            assert house.clock.wall() - found["last_seen"] == 351_000
            assert [state for _, state, _ in await told(house)] == ["online", "stale", "offline"]

    run(scene())


def test_a_standing_stream_alone_is_stale_not_offline() -> None:
    async def scene() -> None:
        async with alive() as house:
            async with house.stream(STREAM, key=house.key) as reader:
                await reader.until("hello")
                found = await device(house)
                assert (found["state"], found["stream"]) == ("online", True)
                await house.clock.sleep(400)
                assert (await device(house))["state"] == "stale"
            await house.clock.sleep(10)
            found = await device(house)
            assert (found["state"], found["stream"]) == ("offline", False)

    run(scene())


def test_lamps_are_those_that_were_said_last() -> None:
    async def scene() -> None:
        async with opened() as house:
            await beat(house, lamps=[["spool", "warn", 5, "disk is full"], ["pusher", "ok", 1, ""]])
            await beat(house, lamps=[["spool", "ok", 9, ""]])
            assert (await device(house))["lamps"] == [{"part": "spool", "state": "ok", "since": 9, "note": ""}]

    run(scene())


async def spend(house: House, seconds: float, *axes: str) -> None:
    """So many seconds, in which lives on these axes send heartbeats in turn, twenty seconds apart."""
    for turn in range(round(seconds / 20)):
        await house.clock.sleep(20)
        await beat(house, axes[turn % len(axes)])


def test_two_machines_that_beat_under_one_id_are_twins_until_one_is_silent() -> None:
    async def scene() -> None:
        async with alive() as house:
            await spend(house, 100, "boot-1")
            await spend(house, 120, "boot-1", "boot-2")
            assert (await device(house))["twin"] is True
            assert (await told(house))[-1] == ("online", "online", True)
            await spend(house, 580, "boot-1", "boot-2")
            assert (await device(house))["twin"] is True
            await spend(house, 660, "boot-1")
            assert (await device(house))["twin"] is False
            assert (await told(house))[-1] == ("online", "online", False)

    run(scene())


def test_machines_that_take_turns_by_the_day_are_twins() -> None:
    async def scene() -> None:
        async with opened() as house:
            for axis in ("card-a", "card-b"):
                await beat(house, axis)
                await house.clock.sleep(86_400)
            assert (await device(house))["twin"] is False
            await beat(house, "card-a")
            assert (await device(house))["twin"] is True

    run(scene())


def test_reboots_are_no_twins_however_many_and_however_quick() -> None:
    async def scene() -> None:
        async with opened() as house:
            for boot in range(40):
                for _ in range(boot % 3 + 1):
                    await beat(house, f"boot-{boot}")
                    await house.clock.sleep(4)
                assert (await device(house))["twin"] is False

    run(scene())


def test_what_was_under_way_while_its_machine_began_anew_is_no_twin() -> None:
    async def scene() -> None:
        async with opened() as house:
            await spend(house, 100, "boot-1")
            left = house.clock.now() - 6000
            await house.clock.sleep(2)
            for late in range(4):
                await beat(house, "boot-2")
                await house.clock.sleep(15)
                await beat(house, "boot-1", at=left + late)
            assert (await device(house))["twin"] is False

    run(scene())


async def push(house: House, epoch: int, first: int) -> None:
    """A push of one process on the one axis that all share; what it holds of an earlier life is named first."""
    holdings = (
        Holding("telemetry", 7, 5, ((1, 2),)),
        Holding("telemetry", epoch, first + 1, ()),
        Holding("reports", 9, 1, ()),
    )
    headers = {
        "content-type": "application/vnd.edge.frames",
        "edge-clock": format_clocks({"boot": house.clock.now() - 1000}),
        "edge-spool": format_inventory(holdings),
    }
    body = frame(epoch, first, batch(ticks(first * 1000, 1), axis="boot"))
    reply = await house.ask("POST", "/api/v1/telemetry", body, key=house.key, headers=headers)
    assert reply.status == 200


def test_two_processes_on_one_machine_are_twins_and_a_restart_is_not() -> None:
    async def scene() -> None:
        async with opened() as house:
            for number in range(6):
                await house.clock.sleep(10)
                await push(house, 0x10 + number // 2, number)
            assert (await device(house))["twin"] is False
            for number in range(6):
                await house.clock.sleep(10)
                await push(house, 0x20 + number % 2, number)
            assert (await device(house))["twin"] is True

    run(scene())


def test_a_twins_stream_says_so_with_each_sign_of_life() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(STREAM, key=house.key) as reader:
            assert "twin" not in orjson.loads((await reader.until("keepalive")).data)
            await spend(house, 160, "boot-1", "boot-2")
            said = [orjson.loads((await reader.until("keepalive")).data) for _ in range(10)]
            assert said[-1]["twin"] is True

    run(scene())


def test_when_a_device_was_seen_survives_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        database = tmp_path / "hub.sqlite"
        async with opened(database=database) as house:
            await beat(house)
            await house.hub.presence.tell()
            seen = house.clock.wall()
        async with opened(database=database, seed=8) as house:
            found = await device(house)
            assert (found["state"], found["last_seen"]) == ("offline", seen)
            await house.hub.presence.tell()
            assert len(await told(house)) == 1

    run(scene())
