"""Instructions from an admin's request to the hub's last word on them, over the stream, the ledger and the reports."""

import sqlite3
from typing import Any

import orjson
import pytest

from edge_agent.wire.envelope import sign
from tests.sim.loop import run
from tests.sim.world import World, world

PATH = "/api/v1/devices/car-1/instructions"


async def issue(one: World, kind: str, **members: Any) -> str:
    return str((await one.ask("POST", PATH, {"type": kind, **members}))["id"])


async def state(one: World, instruction: str) -> dict[str, Any]:
    rows = (await one.ask("GET", PATH))["instructions"]
    found: dict[str, Any] = next(row for row in rows if row["id"] == instruction)
    return found


async def told(one: World, instruction: str) -> list[str]:
    """The states that the device reported of an instruction, in order."""
    return [str(one["state"]) for one in await one.reports("outcome") if one["instruction"] == instruction]


async def forge(one: World, instruction: str, envelope: bytes) -> None:
    """Let the hub send other bytes in place of this instruction's envelope."""

    def forged(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE instruction SET envelope = ? WHERE id = ?", (envelope, instruction))

    await one.house.hub.store.write(forged)


def test_an_echo_comes_back() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            asked = await issue(one, "echo", args={"text": "hello, car"})
            await one.passes(5)
            found = await state(one, asked)
            assert found["state"] == "done", found
            assert found["result"] == {"text": "hello, car"}
            assert await told(one, asked) == ["received", "running", "done"]

    run(scene())


def test_a_flush_seals_and_pushes_at_once() -> None:
    async def scene() -> None:
        async with world(seal={"every": "600s"}) as one:
            await one.passes(60.3)
            assert (await one.audit())["readings"] == 0
            asked = await issue(one, "flush")
            await one.passes(2)
            found = await state(one, asked)
            assert found["state"] == "done", found
            sampled = one.agent.tally.readings - 2 * 8
            assert found["result"]["readings"] == sampled >= 60 * 8
            assert found["result"]["durable"] is True
            assert (await one.audit())["readings"] == sampled
            await one.stop()
            await one.check_whole()

    run(scene())


def test_an_instruction_waits_for_a_device_that_was_away() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            one.line.cut()
            asked = await issue(one, "echo", args={"text": "later"})
            await one.passes(120)
            assert (await state(one, asked))["state"] == "queued"
            one.line.mend()
            await one.passes(320)
            assert (await state(one, asked))["state"] == "done"

    run(scene())


def test_an_instruction_whose_time_is_over_never_runs() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            one.line.cut()
            asked = await issue(one, "echo", expires_in=60)
            await one.passes(90)
            one.line.mend()
            await one.passes(400)
            assert (await state(one, asked))["state"] == "expired"
            assert await told(one, asked) == []

    run(scene())


def test_a_type_that_no_key_may_ask_for_is_refused() -> None:
    async def scene() -> None:
        async with world(handlers={"flush": {"enabled": False}}) as one:
            await one.passes(5)
            forbidden, unknown = await issue(one, "run", args={"name": "reboot"}), await issue(one, "flush")
            await one.passes(5)
            for asked in (forbidden, unknown):
                found = await state(one, asked)
                assert found["state"] == "refused", found
                assert found["code"], found

    run(scene())


def test_arguments_that_a_handler_does_not_take_are_refused() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            asked = await issue(one, "echo", args={"text": 7, "loud": True})
            await one.passes(5)
            assert (await state(one, asked))["state"] == "refused"

    run(scene())


def test_an_instruction_for_another_device_is_refused() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(5)
            one.line.cut()
            asked = await issue(one, "flush")
            hub = one.house.hub
            now = one.house.clock.wall()
            body = {
                "id": asked, "device": "car-2", "key_id": hub.keyring.key_id, "issued_at": now, "not_before": now,
                "expires_at": now + 3_600_000, "type": "flush", "args": {},
            }  # fmt: skip
            await forge(one, asked, hub.keyring.sign("instruction", orjson.dumps(body)))
            one.line.mend()
            await one.passes(320)
            assert await told(one, asked) == ["refused"]
            assert (await state(one, asked))["state"] == "refused"

    run(scene())


def stranger(envelope: dict[str, Any]) -> bytes:
    """The same body, signed by somebody else under the trusted name."""
    return sign("instruction", envelope["body"].encode(), envelope["key_id"], bytes(range(32)))


def altered(envelope: dict[str, Any]) -> bytes:
    """Another body under the good signature."""
    return orjson.dumps({**envelope, "body": envelope["body"].replace("flush", "shout")})


def unknown_key(envelope: dict[str, Any]) -> bytes:
    return orjson.dumps({**envelope, "key_id": "nobody"})


def rubbish(_envelope: dict[str, Any]) -> bytes:
    return b"{}"


@pytest.mark.parametrize("wound", [stranger, altered, unknown_key, rubbish])
def test_an_envelope_that_does_not_verify_runs_nothing_and_lights_the_lamp(wound: Any) -> None:
    async def scene() -> None:
        async with world(seal={"every": "600s"}) as one:
            await one.passes(5)
            one.line.cut()
            asked = await issue(one, "flush")
            row = await one.house.hub.store.read(
                lambda connection: connection.execute(
                    "SELECT envelope FROM instruction WHERE id = ?", (asked,)
                ).fetchone()
            )
            await forge(one, asked, wound(orjson.loads(row[0])))
            one.line.mend()
            await one.passes(320)
            assert (await state(one, asked))["state"] == "sent"
            assert await told(one, asked) == []
            assert (await one.audit())["readings"] == 0, "nothing was flushed"
            assert len(await one.reports("unverified")) == 1
            assert one.lamp("instructions").state == "warn"

    run(scene())


@pytest.mark.parametrize("after", [0.02, 0.05, 0.08, 0.11, 0.14, 0.2, 0.3, 0.5])
def test_a_kill_at_any_moment_runs_an_instruction_at_most_once(after: float) -> None:
    async def scene() -> None:
        async with world(pace=0.05) as one:
            await one.passes(5)
            asked = await issue(one, "echo", args={"text": "once"})
            await one.passes(after)
            await one.kill()
            one.start()
            await one.passes(30)
            states = await told(one, asked)
            assert states.count("running") <= 1, states
            assert (await state(one, asked))["state"] in {"done", "unknown"}, states

    run(scene())
