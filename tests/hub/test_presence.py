"""Presence: who is there, told by signs of life."""

from pathlib import Path
from typing import Any

import orjson

from tests.hub.house import House, alive, opened, said
from tests.sim.loop import run

LIVE, STREAM = "/api/v1/devices/car-1/live", "/api/v1/devices/car-1/stream"


async def beat(house: House, axis: str = "boot-1", **more: Any) -> None:
    reply = await house.ask("POST", LIVE, {"axis": axis, "now": 1, **more}, key=house.key)
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


def test_an_axis_that_comes_back_is_a_twin_and_a_reboot_is_not() -> None:
    async def scene() -> None:
        async with alive() as house:
            for axis in ("boot-1", "boot-2", "boot-3"):
                await beat(house, axis)
            assert (await device(house))["twin"] is False
            await beat(house, "boot-2")
            await house.clock.sleep(1)
            assert (await device(house))["twin"] is True
            assert (await told(house))[-1] == ("online", "online", True)
            for _ in range(70):
                await house.clock.sleep(10)
                await beat(house, "boot-2")
            assert (await device(house))["twin"] is False

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
