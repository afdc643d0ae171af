"""Bulk out: every reading of a range is a line, told once, whatever moves meanwhile; what is missing is said."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from random import Random
from typing import Any, cast

import orjson
import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from edge_agent.hub.export import Exports, Options
from edge_agent.hub.exportlines import COLUMNS
from edge_agent.hub.logins import ACCESS_SECONDS
from edge_agent.hub.rim import Rim
from edge_agent.hub.router import ANYONE, Route, Router
from edge_agent.hub.settings import Settings
from edge_agent.hub.store.frames import prune
from edge_agent.hub.wall import Wall
from edge_agent.kit.clock import SystemClock
from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Reading, Tick
from tests.hub.deliveries import AXIS, HUB_NOW, OFFSET, Hub, answer, asked, batch, frame, hub, ticks
from tests.hub.house import opened, push
from tests.hub.test_layers import Device, long, short
from tests.hub.test_rim import Nobody
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

EPOCH = 0x77
SURE = Anchor(OFFSET - 10, OFFSET + 10, 0)
WHOLE = {"device": "car-3", "from": str(OFFSET - 1_000_000), "to": str(HUB_NOW)}


def exports(at: Hub, options: Options | None = None) -> Exports:
    """What exports from a hub's store, by the hub's own clock."""
    return Exports(at.store, lambda: at.now, options or Options(), InlineOffload().worker("export"))


async def chunks(at: Hub, options: Options | None = None, /, **query: str) -> AsyncGenerator[bytes, None]:
    """The stream of an export."""
    names = {"start": "from", "stop": "to", "gpu": "attr.gpu"}
    query = {**WHOLE, **{names.get(name, name): value for name, value in query.items()}}
    reply = await exports(at, options).export(asked(query))
    assert reply.events is not None
    async with aclosing(cast("AsyncGenerator[bytes, None]", reply.events)) as events:
        async for chunk in events:
            assert chunk
            yield chunk


async def told(at: Hub, options: Options | None = None, /, **query: str) -> tuple[list[Any], Any]:
    """The points of an export in JSON, and how it ended."""
    text = b"".join([chunk async for chunk in chunks(at, options, **query)])
    *points, end = map(orjson.loads, text.splitlines())
    assert end.pop("end")
    return points, end


def whole(seq: int, *, anchor: Anchor | None = SURE, axis: str = AXIS, epoch: int = EPOCH) -> bytes:
    """The frame of ten seconds."""
    return frame(epoch, seq, batch(ticks(seq * 10_000, 10, start=seq * 10), anchor=anchor, axis=axis))


def beats(points: list[Any], gpu: str = "0") -> list[int]:
    """The beats of a series that were told, in order of their axis times."""
    return [point["at"] // 1000 for point in sorted(points, key=_at) if point["attributes"] == {"gpu": gpu}]


def _at(point: Any) -> int:
    return int(point["at"])


def test_every_reading_is_a_line_oldest_frame_first() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in (2, 0, 1)))
            points, end = await told(at)
            assert end == {"complete": True, "reached": HUB_NOW, "gone": 0, "why": ""}
            first = {"ts": OFFSET, "ts_err": 10, "flag": "anchored", "axis": AXIS, "at": 0, "collector": "gpu"}
            series = {"name": "gpu.power", "attributes": {"gpu": "0"}, "unit": "W", "kind": "gauge", "value": 0.0}
            assert points[0] == {**first, **series}
            assert list(points[0]) == list(COLUMNS[:11])
            assert [point["at"] for point in points] == sorted(point["at"] for point in points)
            assert beats(points) == list(range(30))
            assert beats(points, "1") == [beat for beat in range(30) if beat % 10], "what was not read is no line"

    run(scene())


def test_a_range_is_half_open_and_names_and_attributes_choose() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(3)))
            other = [Tick("cpu", 5000, (Reading("cpu.load", 0.5, "1", digits=1),))]
            await at.results(frame(EPOCH, 3, batch(other, anchor=SURE)))
            bounds = {"start": str(OFFSET + 9000), "stop": str(OFFSET + 20_001)}
            assert beats((await told(at, **bounds))[0]) == list(range(9, 21))
            assert {point["name"] for point in (await told(at))[0]} == {"gpu.power", "cpu.load"}
            only = (await told(at, name="cpu.load"))[0]
            assert [(point["name"], point["value"], point["attributes"]) for point in only] == [("cpu.load", 0.5, {})]
            for name in ({}, {"name": "gpu.power"}):
                chosen = (await told(at, gpu="1", **name))[0]
                assert {point["attributes"]["gpu"] for point in chosen} == {"1"}
                assert len(chosen) == 27
            for nothing in ({"name": "gpu"}, {"gpu": "7"}, {"device": "car-4"}):
                assert (await told(at, **nothing)) == ([], {"complete": True, "reached": HUB_NOW, "gone": 0, "why": ""})

    run(scene())


def test_a_table_says_the_same_as_json() -> None:
    async def scene() -> None:
        async with hub() as at:
            device = Device(range(0, 130, 10))
            await at.results(short(device.thin(range(6))), *device.whole(7, 8))
            odd = [Tick("a,b", 130_000, (Reading('x"y\n', 1e300, "", {"k": "v;\u00e9,\"'"}, digits=None),))]
            await at.results(frame(EPOCH + 1, 0, batch(odd, anchor=SURE)))
            points, _ = await told(at)
            text = b"".join([chunk async for chunk in chunks(at, format="csv")]).decode()
            rows = list(csv.DictReader(io.StringIO(text)))
            assert len(rows) == len(points)
            for row, point in zip(rows, points, strict=True):
                assert tuple(row) == COLUMNS
                assert orjson.loads(row.pop("attributes")) == point.pop("attributes")
                assert row == {name: str(point.get(name, "")) for name in row}
            empty = [chunk async for chunk in chunks(at, format="csv", device="car-9")]
            assert empty == [",".join(COLUMNS).encode() + b"\n"]

    run(scene())


def test_windows_come_with_what_they_held_and_each_reading_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            device = Device(range(0, 130, 8))
            await at.results(short(device.thin([0, 1, 2])), *device.whole(1, 4))
            points, end = await told(at, name="power")
            assert end["complete"]
            windows = [point for point in points if "count" in point]
            said = [tuple(point[name] for name in ("at", "value", "min", "max", "count")) for point in windows]
            assert said == [(5000, 3.5, 0, 9, 8), (15_000, 17.5, 10, 19, 4), (25_000, 21.5, 20, 23, 4)]
            assert [point["ts"] - OFFSET for point in windows] == [5000, 15_000, 25_000]
            assert [point["at"] // 1000 for point in points if "count" not in point] == [*range(8, 16), *range(32, 40)]
            energy, _ = await told(at, name="energy")
            assert all("count" not in point for point in energy)

    run(scene())


@pytest.mark.parametrize("seed", range(10))
def test_an_export_in_slices_says_what_the_history_says(seed: int) -> None:
    draw = Random(seed)
    cuts = [0]
    while cuts[-1] < 6000:
        cuts.append(cuts[-1] + draw.randint(1, 250))
    device = Device(cuts)
    numbers = len(device.bodies)
    marks = sorted({0, numbers, *draw.sample(range(1, numbers), 4)})
    shorts = [device.thin(range(first, after)) for first, after in pairwise(marks)]
    frames = [
        *(short(part) for part in shorts if draw.random() < 0.6),
        long(*shorts[:2]),
        *device.whole(*(number for number in range(numbers) if draw.random() < 0.5)),
    ]
    draw.shuffle(frames)

    async def played() -> None:
        async with hub() as at:
            for one in frames:
                await at.results(one)
            for name in ("power", "energy"):
                points, end = await told(at, Options(most_frames=draw.randint(numbers, 2 * numbers)), name=name)
                assert end["complete"]
                found = await answer(at.history.query, **WHOLE, name=name, width="10000")
                rows = sorted((ts, value) for series in found["series"] for ts, _, _, value, *_ in series["points"])
                assert sorted((point["ts"], point["value"]) for point in points) == rows
                assert await sliced(at, points, draw, name) > 0

    async def sliced(at: Hub, points: list[Any], draw: Random, name: str) -> int:
        edge, turns, parts = OFFSET - 1_000_000, 0, list[Any]()
        while edge < OFFSET + 6_300_000:
            after = edge + draw.randint(1, 2_000_000)
            parts += (await told(at, name=name, start=str(edge), stop=str(after)))[0]
            edge, turns = after, turns + 1
        key = orjson.dumps
        assert sorted(map(key, parts)) == sorted(map(key, points))
        return turns

    run(played())


def test_years_without_anything_are_passed_quickly_and_what_is_dense_is_told_in_parts() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(60)))
            later = Anchor(OFFSET + 10**11, OFFSET + 10**11, 0)
            await at.results(whole(0, axis="boot-9", anchor=later, epoch=EPOCH + 1))
            lines = list[str]()
            await at.store.read(lambda db: db.set_trace_callback(lines.append))
            points, end = await told(at, Options(most_frames=7), start=str(-(2**53)), stop=str(2**53))
            await at.store.read(lambda db: db.set_trace_callback(None))
            assert end == {"complete": True, "reached": 2**53, "gone": 0, "why": ""}
            assert beats(points) == sorted([*range(600), *range(10)])
            assert sum("min(first)" in line for line in lines) < 250

    run(scene())


async def moved(shift: int, options: Options) -> tuple[list[Any], Any]:
    """What is told when the offset of an axis becomes another by so much in the middle of an export."""
    async with hub() as at:
        loose = Anchor(OFFSET - 10_000_000_000, OFFSET + 10_000_000_000, 0)
        await at.results(*(whole(seq, anchor=loose) for seq in range(60)))
        text, stream = b"", chunks(at, options, start=str(OFFSET - 10**9), stop=str(OFFSET + 10**9), gpu="0")
        async with aclosing(stream) as events:
            async for chunk in events:
                if not text:
                    better = Anchor(OFFSET + shift, OFFSET + shift, 0)
                    await at.results(whole(60, anchor=better, epoch=EPOCH + 1))
                text += chunk
        *points, end = map(orjson.loads, text.splitlines())
        return points, end


@pytest.mark.parametrize("shift", [-(10**9), -3_600_000, -15_000, -7, 0, 3, 1000, 95_000, 3_600_000, 10**9])
def test_a_timeline_that_moves_meanwhile_neither_takes_a_reading_nor_doubles_one(shift: int) -> None:
    points, end = run(moved(shift, Options(most_frames=7)))
    assert end["complete"]
    old = [point for point in points if point["at"] < 600_000]
    assert beats(old) == list(range(600))
    assert {point["ts"] - point["at"] for point in old} == {OFFSET}, "the times of one export are those of one moment"


def test_frames_that_lie_over_each_other_beyond_the_bound_end_it_and_say_so() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(
                whole(0), *(frame(EPOCH, seq, batch(ticks(20_000, 10), anchor=SURE)) for seq in range(1, 9))
            )
            points, end = await told(at, Options(most_frames=5), gpu="0")
            assert (end["complete"], end["reached"]) == (False, OFFSET + 20_000)
            assert "frames" in end["why"]
            assert beats(points) == list(range(10))
            text = b"".join([chunk async for chunk in chunks(at, Options(most_frames=5), format="csv")])
            assert text.splitlines()[-1].startswith(f"# not whole: complete=0 reached={OFFSET + 20_000} ".encode())

    run(scene())


def test_an_export_ends_with_the_life_of_an_access_token_and_goes_on_from_where_it_reached() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(60)))
            text, few = b"", Options(most_frames=20)
            async with aclosing(chunks(at, few, gpu="0")) as events:
                async for chunk in events:
                    text += chunk
                    at.now += ACCESS_SECONDS * 1000 // 4
            *points, end = map(orjson.loads, text.splitlines())
            assert (end["complete"], "token" in end["why"]) == (False, True)
            rest, last = await told(at, gpu="0", start=str(end["reached"]))
            assert last["complete"]
            assert beats([point for point in points if point["ts"] < end["reached"]] + rest) == list(range(600))

    run(scene())


def test_a_store_that_fails_in_the_middle_ends_it_and_says_so() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(60)))
            text = b""
            async with aclosing(chunks(at, Options(most_frames=20))) as events:
                async for chunk in events:
                    if not text:
                        await at.store.write(lambda db: db.execute("ALTER TABLE payload RENAME TO elsewhere"))
                    text += chunk
            end = orjson.loads(text.splitlines()[-1])
            assert (end["complete"], "store" in end["why"]) == (False, True)

    run(scene())


def test_frames_that_retention_took_are_counted_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            for seq in range(6):
                await at.results(whole(seq))
                at.now += 1
            await at.store.write(lambda db: prune(db, HUB_NOW + 4, 10))
            for options in (Options(), Options(most_frames=2)):
                points, end = await told(at, options)
                assert beats(points) == list(range(40, 60))
                assert (end["complete"], end["gone"]) == (True, 4)
            text = b"".join([chunk async for chunk in chunks(at, format="csv")])
            assert text.splitlines()[-1] == f"# not whole: complete=1 reached={HUB_NOW} gone=4 why=".encode()

    run(scene())


def test_exports_wait_for_each_other_beyond_a_few_and_one_that_is_left_makes_room() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(60)))
            both = exports(at, Options(at_once=1))
            first, second = [(await both.export(asked(WHOLE))).events for _ in range(2)]
            assert first is not None
            assert second is not None
            assert await anext(first)
            waiting = asyncio.ensure_future(_next(second))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not waiting.done()
            await cast("AsyncGenerator[bytes, None]", first).aclose()
            assert await waiting
            await cast("AsyncGenerator[bytes, None]", second).aclose()

    run(scene())


async def _next(events: Any) -> bytes:
    return cast("bytes", await anext(events))


def test_a_reader_that_leaves_ends_its_export_and_others_go_on() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*(whole(seq) for seq in range(300)))
            both = exports(at, Options(at_once=1))
            routes = (Route("GET", "/export", ANYONE, both.export, ""),)
            router = Router(
                routes, Nobody(), Nobody(), Wall(SystemClock(), None), lambda _device: None, lambda _sight: None
            )
            async with Rim(Settings(port=0), router, SystemClock()) as rim, ClientSession() as client:
                for leaves in (True, True, False):
                    async with client.get(f"{rim.address}/export", params=WHOLE) as answer:
                        assert answer.headers["content-type"] == "application/x-ndjson"
                        first = await answer.content.readline()
                        assert orjson.loads(first)["value"] == 0
                        if not leaves:
                            text = first + await answer.read()
                            assert orjson.loads(text.splitlines()[-1])["complete"]
                            assert len(text.splitlines()) == 300 * 19 + 1

    with capture_logs() as logged:
        asyncio.run(asyncio.wait_for(scene(), 30))
    assert [line for line in logged if line["log_level"] not in {"debug", "info"}] == []


def test_people_may_export_and_devices_may_not() -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await push(house, whole(0))).status == 200
            path = "/api/v1/export?device=car-1&from=0&to=9000000000000000&attr.gpu=0&format=csv"
            assert [(await house.ask("GET", path, key=house.key)).status, (await house.ask("GET", path)).status] == [
                403,
                401,
            ]
            reply = await house.ask("GET", path, token=house.viewer)
            assert (reply.status, reply.content_type) == (200, "text/csv; charset=utf-8")
            assert reply.events is not None
            rows = b"".join([chunk async for chunk in reply.events]).splitlines()
            assert len(rows) == 1 + 10

    run(scene())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"device": ""}, "device"),
        ({"name": ""}, "name"),
        ({"from": "noon"}, "from"),
        ({"to": "1e400"}, "to"),
        ({"from": "5", "to": "5"}, "from"),
        ({"format": "xml"}, "format"),
        ({"width": "5"}, "width"),
    ],
)
def test_an_order_that_is_wrong_names_the_member(wrong: dict[str, str], field: str) -> None:
    async def scene() -> None:
        async with hub() as at:
            with pytest.raises(Malformed) as found:
                await exports(at).export(asked({"device": "car-3", "from": "0", "to": "9", **wrong}))
            assert (found.value.code, found.value.field) == ("bad_query", field)

    run(scene())
