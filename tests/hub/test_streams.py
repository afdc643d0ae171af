"""The streams: down to devices, up to viewers."""

import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.hub.accounts import Accounts
from edge_agent.hub.live import Watchers
from edge_agent.hub.store import Store
from edge_agent.kit.scopes import running
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind
from edge_agent.wire.envelope import open_envelope
from tests.hub.deliveries import AXIS, OFFSET, batch, frame, report, ticks
from tests.hub.house import House, alive, configure, instruct, opened, push
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

STREAM = "/api/v1/devices/car-1/stream"
LIVE = "/api/v1/devices/car-1/live"
TELEMETRY = "/api/v1/telemetry/stream"
EVENTS = "/api/v1/events/stream"
TICK = ["gpu", 5000, [["gpu.power", {"gpu": "0"}, "W", 12.5, None], ["gpu.load", {}, "1", None, "absent"]]]


def heartbeat(*made: Any, axis: str = AXIS) -> dict[str, Any]:
    return {"axis": axis, "now": 5000, "anchor": [OFFSET - 5, OFFSET + 5, 5000], "ticks": list(made), "lamps": []}


def test_a_stream_says_hello_and_keeps_alive() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(STREAM, key=house.key) as reader:
            hello = await reader.next()
            assert (hello.event, hello.id) == ("hello", "")
            told = orjson.loads(hello.data)
            assert (told["device"], told["hub_epoch"]) == ("car-1", house.hub.keyring.epoch)
            began = house.clock.now()
            for _ in range(4):
                sign = await reader.until("keepalive")
                assert orjson.loads(sign.data)["hub_time"] == house.clock.wall()
            assert house.clock.now() - began <= 60_000

    run(scene())


def test_an_instruction_reaches_a_standing_stream_signed() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(STREAM, key=house.key) as reader:
            await reader.until("hello")
            identity = await instruct(house)
            event = await reader.until("instruction")
            ring = house.hub.keyring
            key_id, body = open_envelope("instruction", event.data.encode(), {ring.key_id: ring.public})
            opened_body = orjson.loads(body)
            assert key_id == opened_body["key_id"]
            assert (opened_body["id"], opened_body["device"], opened_body["type"]) == (identity, "car-1", "echo")
            assert event.id.startswith(ring.epoch + "-")

    run(scene())


def test_what_is_not_answered_is_sent_again_at_each_connection() -> None:
    async def scene() -> None:
        async with opened() as house:
            first, second = await instruct(house), await instruct(house)
            last_id = ""
            for _ in range(2):
                async with house.stream(STREAM, key=house.key, headers={"last-event-id": last_id}) as reader:
                    sent = [await reader.until("instruction") for _ in range(2)]
                    assert [first in sent[0].data, second in sent[1].data] == [True, True]
                    # The second time they are older than the last id, and the id does not go back.
                    assert sent[1].id == (sent[1].id if not last_id else "")
                    last_id = last_id or sent[1].id
            await push(house, report(1, 0, [{"at": 1, "type": "outcome", "instruction": first, "state": "running"}]))
            async with house.stream(STREAM, key=house.key, headers={"last-event-id": last_id}) as reader:
                assert second in (await reader.until("instruction")).data

    run(scene())


def test_a_cancelled_instruction_is_not_sent() -> None:
    async def scene() -> None:
        async with opened() as house:
            gone, kept = await instruct(house), await instruct(house)
            path = f"/api/v1/devices/car-1/instructions/{gone}"
            assert (await house.ask("DELETE", path, token=house.admin)).status == 200
            async with house.stream(STREAM, key=house.key) as reader:
                assert kept in (await reader.until("instruction")).data

    run(scene())


def test_a_config_that_was_missed_is_told_after_its_id_and_only_the_newest() -> None:
    async def scene() -> None:
        async with opened() as house:
            async with house.stream(STREAM, key=house.key) as reader:
                await reader.until("hello")
                await configure(house, a=1)
                last = await reader.until("config")
            await configure(house, a=2)
            await configure(house, a=3)
            async with house.stream(STREAM, key=house.key, headers={"last-event-id": last.id}) as reader:
                assert orjson.loads((await reader.until("config")).data) == {"version": 3}

    run(scene())


@pytest.mark.parametrize("last_id", ["x", "0000000000000000-1", "{epoch}-99999", "{epoch}-"])
def test_an_id_that_cannot_be_served_is_answered_with_reset(last_id: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            identity = await instruct(house)
            headers = {"last-event-id": last_id.format(epoch=house.hub.keyring.epoch)}
            async with house.stream(STREAM, key=house.key, headers=headers) as reader:
                assert [(await reader.next()).event for _ in range(2)] == ["hello", "reset"]
                event = await reader.next()
                assert identity in event.data
                assert event.id

    run(scene())


def test_the_newest_stream_stands_and_the_older_is_told_twin() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(STREAM, key=house.key) as older:
            await older.until("hello")
            async with house.stream(STREAM, key=house.key) as newer:
                await newer.until("hello")
                assert orjson.loads((await older.until("bye")).data) == {"after": 600, "why": "twin"}
                with pytest.raises(StopAsyncIteration):
                    await older.next()
                assert house.hub.streams.standing() == ["car-1"]
                await instruct(house)
                await newer.until("instruction")
            assert house.hub.streams.standing() == []

    run(scene())


def test_the_first_use_of_a_newer_key_cuts_the_stream_of_the_older_one() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(STREAM, key=house.key) as older:
            await older.until("hello")
            newer = await house.hub.accounts.add_device("car-1")
            for _ in range(4):
                assert (await older.next()).event == "keepalive"
            async with house.stream(EVENTS, token=house.viewer):
                assert (await house.ask("POST", LIVE, heartbeat(), key=newer)).status == 204
            assert orjson.loads((await older.until("bye")).data) == {"after": 0, "why": "key"}
            assert (await house.ask("GET", STREAM, key=house.key)).status == 401
            async with house.stream(STREAM, key=newer) as reader:
                await reader.until("keepalive")
                await reader.until("keepalive")

    run(scene())


def test_a_key_that_another_process_ends_at_once_is_good_for_nothing_within_a_keepalive(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(database=tmp_path / "hub.sqlite") as house, house.stream(STREAM, key=house.key) as stream:
            await stream.until("hello")
            async with running(house.hub):
                store = Store(tmp_path / "hub.sqlite", [], InlineOffload())
                await store.open()
                await Accounts(store, house.clock, random.Random(77)).add_device("car-1", alone=True)
                await store.close()
                began = house.clock.now()
                assert orjson.loads((await stream.until("bye")).data)["why"] == "key"
                assert house.clock.now() - began <= 15_000
                assert (await house.ask("POST", LIVE, heartbeat(), key=house.key)).status == 401

    run(scene())


def test_a_device_that_does_not_drain_is_cut_and_misses_nothing() -> None:
    async def scene() -> None:
        async with opened() as house:
            async with house.stream(STREAM, key=house.key) as reader:
                first = await reader.until("hello")
                for version in range(1, 301):
                    assert await configure(house, version=version) == version
                    first = first if version > 1 else await reader.until("config")
                bye = await reader.until("bye")
                assert orjson.loads(bye.data)["why"] == "slow"
            async with house.stream(STREAM, key=house.key, headers={"last-event-id": bye.id}) as reader:
                assert orjson.loads((await reader.until("config")).data) == {"version": 300}

    run(scene())


def test_a_hub_that_stops_says_goodbye_to_all() -> None:
    async def scene() -> None:
        async with opened() as house, AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(house.stream(STREAM, key=house.key)),
                await stack.enter_async_context(house.stream(TELEMETRY, token=house.viewer)),
                await stack.enter_async_context(house.stream(EVENTS, token=house.viewer)),
            ]
            for stream in streams:
                await stream.until("hello")
            house.hub.part()
            for stream in streams:
                assert orjson.loads((await stream.until("bye")).data)["why"] == "stopping"
                with pytest.raises(StopAsyncIteration):
                    await stream.next()

    run(scene())


def test_live_ticks_reach_viewers_with_true_time_and_reasons() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(TELEMETRY, token=house.viewer) as reader:
            await reader.until("hello")
            assert (await house.ask("POST", LIVE, heartbeat(TICK), key=house.key)).status == 204
            told = orjson.loads((await reader.until("telemetry")).data)
            assert told == {
                "device": "car-1", "collector": "gpu", "axis": AXIS, "at": 5000, "ts": 5000 + OFFSET, "ts_err": 5,
                "flag": "anchored", "readings": TICK[2],
            }  # fmt: skip

    run(scene())


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["gpu.power", "gpu.load"]),
        ("?device=car-1&name=gpu", ["gpu.power", "gpu.load"]),
        ("?name=gpu.load,cpu", ["gpu.load"]),
        ("?name=gp", None),
        ("?device=car-2", None),
    ],
)
def test_viewers_get_what_they_asked_for(query: str, names: list[str] | None) -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(TELEMETRY + query, token=house.viewer) as reader:
            await reader.until("hello")
            await house.ask("POST", LIVE, heartbeat(TICK), key=house.key)
            house.hub.viewers.keep_alive()
            event = await reader.next()
            if names is None:
                assert event.event == "heartbeat"
            else:
                assert [reading[0] for reading in orjson.loads(event.data)["readings"]] == names

    run(scene())


def test_a_fresh_batch_is_shown_and_an_old_one_is_not() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(TELEMETRY, token=house.viewer) as reader:
            await reader.until("hello")
            now = house.clock.wall() - OFFSET
            anchor = Anchor(OFFSET, OFFSET, now)
            await push(house, frame(1, 0, batch(ticks(now - 3_600_000, 2), anchor=anchor)))
            await push(house, frame(1, 1, batch(ticks(now - 2000, 2))))
            await push(house, frame(1, 2, batch(ticks(now - 2000, 2), anchor=anchor)))
            told = [orjson.loads((await reader.until("telemetry")).data) for _ in range(2)]
            assert [one["ts"] for one in told] == [house.clock.wall() - 2000, house.clock.wall() - 1000]
            assert [len(one["readings"]) for one in told] == [1, 2]

    run(scene())


def test_looking_is_a_lease_that_is_renewed_and_ends() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(STREAM, key=house.key) as device:
            await device.until("keepalive")
            async with house.stream(TELEMETRY, token=house.viewer) as viewer:
                await viewer.until("hello")
                began = house.clock.now()
                for _ in range(3):
                    assert orjson.loads((await device.until("watch")).data) == {"seconds": 60}
                assert house.clock.now() - began == 45_000
                row = (await house.ask("GET", "/api/v1/devices/car-1", token=house.viewer)).body
                assert orjson.loads(row)["watched"] is True
            names = {(await device.next()).event for _ in range(8)}
            assert names == {"keepalive"}

    run(scene())


def test_a_device_that_connects_while_somebody_looks_is_told() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(TELEMETRY + "?device=car-1", token=house.viewer) as viewer:
            await viewer.until("hello")
            async with house.stream(STREAM, key=house.key) as device:
                assert [(await device.next()).event for _ in range(2)] == ["hello", "watch"]

    run(scene())


def test_who_names_no_device_looks_at_a_bounded_number() -> None:
    watchers = Watchers()
    many = [f"d{n:04}" for n in range(1000)]
    assert watchers.watched(many) == frozenset()
    with watchers.looking(frozenset({"d0999", "elsewhere"})):
        assert watchers.watched(many) == {"d0999"}
        with watchers.looking(frozenset()):
            assert watchers.watched(many) == {*many[:32], "d0999"}
    assert watchers.watched(many) == frozenset()


def test_events_are_replayed_after_an_id_and_filtered() -> None:
    async def scene() -> None:
        async with opened() as house:
            async with house.stream(EVENTS, token=house.viewer) as reader:
                came = (await reader.until("hello")).id
            await configure(house, a=1)
            record = {"at": 5, "type": "acquisition.progress", "percent": 40, "device": "spoof"}
            await push(house, report(1, 0, [record, {"at": 6, "type": "agent.status"}], FrameKind.EVENTS))
            headers = {"last-event-id": came}
            async with house.stream(EVENTS, token=house.viewer, headers=headers) as reader:
                names = [(await reader.next()).event for _ in range(4)]
                assert names == ["hello", "config.state", "acquisition.progress", "device.agent.status"]
            async with house.stream(
                f"{EVENTS}?type=acquisition.progress&device=car-1", token=house.viewer, headers=headers
            ) as reader:
                await reader.until("hello")
                event = await reader.next()
                assert orjson.loads(event.data) == {**record, "device": "car-1"}
            async with house.stream(EVENTS, token=house.viewer, headers={"last-event-id": "old-1"}) as reader:
                assert [(await reader.next()).event for _ in range(2)] == ["hello", "reset"]

    run(scene())


def test_a_viewers_stream_lives_as_long_as_a_token() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(EVENTS, token=house.viewer) as reader:
            began = house.clock.now()
            assert orjson.loads((await reader.until("bye")).data) == {"after": 0, "why": "renew"}
            assert 900_000 <= house.clock.now() - began <= 915_000

    run(scene())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "axis"),
        ({"axis": "", "now": 1}, "axis"),
        ({"axis": "a", "now": 1.5}, "now"),
        ({"axis": "a", "now": 2**60}, "now"),
        ({"axis": "a", "now": 1, "anchor": [1, 2]}, "anchor[2]"),
        ({"axis": "a", "now": 1, "ticks": [["c", 1, [["n", {}, "W", "12", None]]]]}, "ticks[0][2][0][3]"),
        ({"axis": "a", "now": 1, "ticks": [["c", 1]]}, "ticks[0][2]"),
        ({"axis": "a", "now": 1, "lamps": [["p", "green", 1, ""]]}, "lamps[0][1]"),
        ({"axis": "a", "now": 1, "lamps": [["p", "ok", 1, ""]] * 65}, "lamps"),
    ],
)
def test_a_heartbeat_that_is_wrong_is_refused_by_field(body: dict[str, Any], field: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            reply = await house.ask("POST", LIVE, body, key=house.key)
            found = orjson.loads(reply.body)
            assert (reply.status, found["code"], found["field"]) == (400, "bad_field", field)

    run(scene())


def test_a_device_cannot_follow_another() -> None:
    async def scene(house: House) -> None:
        other = await house.hub.accounts.add_device("car-2")
        assert (await house.ask("GET", STREAM, key=other)).status == 403
        assert (await house.ask("POST", LIVE, heartbeat(), key=other)).status == 403
        assert (await house.ask("GET", TELEMETRY, key=house.key)).status == 403

    async def main() -> None:
        async with opened() as house:
            await scene(house)

    run(main())


def test_a_device_cannot_speak_as_the_hub_by_a_name_with_a_line_break() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream("/api/v1/events/stream", token=house.viewer) as stream:
            await stream.next()
            names = ("instruction\n.lifecycle", "b\nye", "re\0set")
            records = [{"at": 1, "type": name} for name in names]
            await push(house, report(7, 1, records, kind=FrameKind.EVENTS))
            heard = [await stream.next() for _ in names]
            assert [event.event for event in heard] == ["device.instruction.lifecycle", "device.bye", "device.reset"]

    run(scene())
