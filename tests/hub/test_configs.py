"""Config documents: signed, versioned, followed."""

from typing import Any

import orjson
import pytest

from edge_agent.wire.envelope import open_envelope
from tests.hub.deliveries import report
from tests.hub.house import House, configure, opened, push, said
from tests.sim.loop import run

PATH = "/api/v1/devices/car-1/config"


async def state(house: House) -> tuple[int, str, str | None]:
    found = said(await house.ask("GET", PATH, token=house.admin))
    return found["version"], found["state"], found["detail"]


def test_a_device_without_a_document_gets_none() -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("GET", PATH, key=house.key)).status == 204
            assert (await house.ask("GET", PATH, token=house.admin)).status == 204

    run(scene())


def test_the_newest_document_is_fetched_signed() -> None:
    async def scene() -> None:
        async with opened() as house:
            assert await configure(house, rate=1) == 1
            assert await configure(house, rate=2) == 2
            envelope = (await house.ask("GET", PATH, key=house.key)).body
            ring = house.hub.keyring
            _, body = open_envelope("config", envelope, {ring.key_id: ring.public})
            assert orjson.loads(body) == {
                "device": "car-1", "version": 2, "issued_at": house.clock.wall(), "values": {"rate": 2},
            }  # fmt: skip
            assert (await house.ask("GET", PATH, key=house.key)).body == envelope

    run(scene())


def test_a_document_is_followed_until_the_device_confirms_it() -> None:
    async def scene() -> None:
        async with opened() as house:
            await configure(house, rate=1)
            assert await state(house) == (1, "offered", None)
            await house.ask("GET", PATH, key=house.key)
            assert await state(house) == (1, "fetched", None)
            record = {"at": 1, "type": "config", "version": 1, "state": "failed", "detail": "no such collector"}
            await push(house, report(1, 0, [record]))
            assert await state(house) == (1, "failed", "no such collector")
            await house.ask("GET", PATH, key=house.key)
            assert await state(house) == (1, "failed", "no such collector")
            strange = [
                {"at": 1, "type": "config"},
                {"at": 1, "type": "config", "version": 10**18, "state": "confirmed"},
                {"at": 1, "type": "config", "version": 7, "state": "confirmed"},
                {"at": 1, "type": "config", "version": 1, "state": "offered"},
                {"at": 1, "type": "config", "version": 1, "state": ["confirmed"]},
            ]
            await push(house, report(1, 1, strange))
            assert await state(house) == (1, "failed", "no such collector")

    run(scene())


def test_old_versions_are_let_go() -> None:
    async def scene() -> None:
        async with opened() as house:
            for version in range(1, 16):
                assert await configure(house, version=version) == version
            kept = await house.hub.store.read(
                lambda connection: connection.execute("SELECT version FROM config_document").fetchall()
            )
            assert [version for (version,) in kept] == list(range(6, 16))

    run(scene())


@pytest.mark.parametrize("body", [{}, {"values": []}, {"values": {}, "x": 1}, {"values": {"a": "x" * 40_000}}, b"["])
def test_a_document_that_is_no_object_is_refused(body: object) -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("PUT", PATH, body, token=house.admin)).status == 400
            assert (await house.ask("PUT", PATH, {"values": {}}, token=house.viewer)).status == 403
            assert (await house.ask("PUT", PATH, {"values": {}}, key=house.key)).status == 403
            other = PATH.replace("car-1", "car-9")
            assert (await house.ask("PUT", other, {"values": {}}, token=house.admin)).status == 404

    run(scene())


def test_a_late_report_or_fetch_never_takes_a_state_back() -> None:
    async def scene() -> None:
        async with opened() as house:
            await configure(house, rate=1)
            for seq, said_state in ((1, "confirmed"), (0, "trying")):
                record = {"at": 1, "type": "config", "version": 1, "state": said_state}
                await push(house, report(1, seq, [record]))
            await house.ask("GET", PATH, key=house.key)
            assert await state(house) == (1, "confirmed", None)

    run(scene())


def test_nonsense_about_a_config_is_stored_and_moves_nothing() -> None:
    async def scene() -> None:
        async with opened() as house:
            await configure(house, rate=1)
            oddities: list[dict[str, Any]] = [{"state": []}, {"state": {}}, {"version": True, "state": "failed"}]
            for seq, odd in enumerate(oddities):
                record = {"at": 1, "type": "config", "version": 1, **odd}
                reply = await push(house, report(1, seq, [record]))
                assert reply.status == 200
            assert await state(house) == (1, "offered", None)

    run(scene())
