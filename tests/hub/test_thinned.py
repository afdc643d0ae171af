"""Thinned frames at the hub: each number counts once, and each reading is told once."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.hub.exchange import Reply
from edge_agent.hub.parcels import MOST_FRAMES
from edge_agent.hub.store.dedupe import MOST_RANGES
from edge_agent.hub.store.frames import prune
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind, Holding
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import unzip
from edge_agent.wire.coarse import Coarsener, StandIn, stand_in_epoch
from edge_agent.wire.headers import format_inventory
from tests.hub.deliveries import AXIS, HUB_NOW, JSON, OFFSET, Hub, answer, batch, explain, frame, hub
from tests.sim.loop import run

EPOCH = 0x77
TEN, SIXTY = 10_000, 60_000
SURE = Anchor(OFFSET - 10, OFFSET + 10, 0)
WHOLE = {"device": "car-3", "start": str(OFFSET), "stop": str(HUB_NOW)}


def full(seq: int) -> bytes:
    """Ten seconds of a gauge and a counter, which both rise by one a second."""
    at = seq * TEN
    made = [
        Tick("gpu", at + beat * 1000, (Reading("power", at // 1000 + beat, "W"), _energy(at // 1000 + beat)))
        for beat in range(10)
    ]
    return batch(made, anchor=SURE)


def _energy(value: float) -> Reading:
    return Reading("energy", value, "J", kind="counter")


def stand_in(numbers: Iterable[int], window: int = TEN) -> StandIn:
    """What stands for these batches."""
    coarsener = Coarsener(EPOCH, window)
    for seq in numbers:
        coarsener.add([(seq, seq + 1)], unzip(full(seq), 2**24))
    (made,) = coarsener.pack()
    return made


def thinned(numbers: Iterable[int], window: int = TEN) -> bytes:
    """The frame of what stands for these batches."""
    made = stand_in(numbers, window)
    return frame(stand_in_epoch(EPOCH, window), made.ranges[0][0], made.payload, FrameKind.THINNED)


def whole(*numbers: int) -> list[bytes]:
    """Full frames."""
    return [frame(EPOCH, seq, full(seq)) for seq in numbers]


async def points(at: Hub, name: str, **more: str) -> list[Any]:
    """The points of one series, as [seconds, value, min, max, count]."""
    found = await answer(at.history.query, **{**WHOLE, **more}, name=name)
    (series,) = found["series"]
    return [[(ts - OFFSET) / 1000, *rest] for ts, _, _, *rest in series["points"]]


def test_a_thinned_frame_is_named_by_its_own_identity_and_counted_by_what_it_stands_for() -> None:
    async def scene() -> None:
        async with hub() as at:
            reply = await at.send(thinned(range(3)))
            assert isinstance(reply, Reply)
            (result,) = orjson.loads(reply.body)["results"]
            assert result == {"epoch": f"{stand_in_epoch(EPOCH, TEN):016x}", "seq": 0, "status": "stored"}
            found = await answer(at.auditor.audit, device="car-3")
            assert [row["epoch"] for row in found["epochs"]] == [f"{EPOCH:016x}"]
            (row,) = found["epochs"]
            assert (row["next"], row["thinned"], row["stored"], row["missing"]) == (3, 3, 0, 0)
            assert (row["readings"], row["thinned_readings"]) == (0, 30 + 4)
            assert [parcel.readings for parcel in at.stored] == [34]

    run(scene())


def test_what_brings_no_new_number_is_a_duplicate_whatever_its_bytes() -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(thinned(range(6))) == ["stored"]
            again = [thinned(range(6)), thinned(range(6), SIXTY), thinned([0, 1]), thinned([5])]
            assert await at.results(*again) == ["duplicate"] * 4
            assert await at.results(thinned([5, 6])) == ["stored"], "6 is new"
            assert await at.results(thinned([5, 6])) == ["duplicate"]
            assert await at.rows("frame") == await at.rows("payload") == 2
            assert (await at.audit(EPOCH))["thinned"] == 7

    run(scene())


def test_one_stand_in_twice_in_a_request_and_in_a_group_is_stored_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with hub(tmp_path / "hub.db") as at:
            assert await at.results(thinned(range(3)), thinned(range(3)), *whole(3)) == [
                "stored",
                "duplicate",
                "stored",
            ]
        async with hub(tmp_path / "hub.db") as at:
            assert await at.results(thinned(range(3))) == ["duplicate"]
            assert await at.results(thinned(range(5))) == ["stored"]
            found = await at.audit(EPOCH)
            assert (found["thinned"], found["stored"]) == (4, 1)

    run(scene())


def test_a_full_frame_is_stored_though_its_number_was_thinned() -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(thinned(range(4)), *whole(1)) == ["stored", "stored"]
            found = await at.audit(EPOCH)
            assert (found["stored"], found["thinned"], found["readings"]) == (1, 3, 20)
            assert await at.results(*whole(0, 1, 2, 3)) == ["stored", "duplicate", "stored", "stored"]
            assert await at.results(thinned(range(4))) == ["duplicate"]
            assert (await at.audit(EPOCH))["thinned"] == 0

    run(scene())


def test_the_sum_closes_over_thinned_lost_held_and_unaccounted() -> None:
    async def scene() -> None:
        async with hub() as at:
            spool = {"edge-spool": format_inventory([Holding("telemetry", EPOCH, 12, ((2, 5), (9, 10)))])}
            await at.results(thinned([0, 1, 2]), *whole(11), extra=spool)
            found = await at.audit(EPOCH)
            assert (found["stored"], found["thinned"], found["held"], found["lost"]) == (1, 3, 3, {"unaccounted": 5})
            assert found["missing"] == 0
            gone = {"edge-spool": format_inventory([Holding("telemetry", 0x78, 1, ((0, 1),))])}
            await at.results(thinned([0, 1, 2]), extra=gone)
            assert (await at.audit(EPOCH))["lost"] == {"unaccounted": 8}

    run(scene())


@pytest.mark.parametrize("wrong", range(6))
def test_a_frame_that_contradicts_its_payload_is_refused_alone(wrong: int) -> None:
    made, ten = stand_in(range(2)), stand_in_epoch(EPOCH, TEN)
    frames: Sequence[bytes] = [
        frame(ten, 0, made.payload),
        frame(ten, 0, full(0), FrameKind.THINNED),
        frame(ten, 1, made.payload, FrameKind.THINNED),
        frame(EPOCH, 0, made.payload, FrameKind.THINNED),
        frame(stand_in_epoch(EPOCH, SIXTY), 0, made.payload, FrameKind.THINNED),
        frame(ten, 0, made.payload, FrameKind.EVENTS),
    ]

    async def scene() -> None:
        async with hub() as at:
            assert await at.results(frames[wrong], *whole(0)) == [("rejected", "bad_batch"), "stored"]
            assert [row["epoch"] for row in (await answer(at.auditor.audit, device="car-3"))["epochs"]] == [
                f"{EPOCH:016x}"
            ]

    run(scene())


def test_a_thinned_batch_as_plain_json_is_refused() -> None:
    async def scene() -> None:
        async with hub() as at:
            with pytest.raises(Exception, match="comes in a thinned frame"):
                await at.send(unzip(stand_in(range(2)).payload, 2**24), JSON)

    run(scene())


def test_windows_come_back_with_what_they_held() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(thinned(range(3)), *whole(3))
            power = await points(at, "power")
            assert power[:3] == [[5 + 10 * n, 10 * n + 4.5, 10 * n, 10 * n + 9, 10] for n in range(3)]
            assert power[3:] == [[n, n, n, n, 1] for n in range(30, 40)]
            energy = await points(at, "energy")
            assert [(at, value) for at, value, *_ in energy] == [(n, n) for n in (0, 9, 19, 29, *range(30, 40))]

    run(scene())


def test_windows_are_thinned_further_by_their_counts() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(thinned(range(3)), *whole(3))
            asked = {"stop": str(OFFSET + 40_000), "width": "2"}
            assert await points(at, "power", **asked) == [[10, 9.5, 0, 19, 20], [32, 29.5, 20, 39, 20]]
            assert [point[:2] for point in await points(at, "energy", **asked)] == [[19, 19], [39, 39]]

    run(scene())


def test_a_range_finds_the_windows_that_stand_in_it() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(thinned(range(12), SIXTY))
            for start, stop, count in ((30_000, 30_001, 1), (30_001, 90_000, 0), (29_999, 90_001, 2), (0, 1, 0)):
                asked = {**WHOLE, "start": str(OFFSET + start), "stop": str(OFFSET + stop), "name": "power"}
                found = await answer(at.history.query, **asked)
                assert sum(len(series["points"]) for series in found["series"]) == count, (start, stop)

    run(scene())


def test_where_the_full_frames_came_as_well_each_reading_is_told_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(thinned(range(12)), *whole(3, 4, 5, 6, 9))
            power = await points(at, "power")
            windows = [int(at) // 10 for at, *_, count in power if count == 10]
            assert windows == [0, 1, 2, 7, 8, 10, 11]
            assert [at for at, *_, count in power if count == 1] == [*range(30, 70), *range(90, 100)]
            energy = [at for at, *_ in await points(at, "energy")]
            assert energy == sorted({0, 9, 19, 29, *range(30, 70), 79, 89, *range(90, 100), 109, 119})

    run(scene())


def test_full_frames_of_another_axis_hide_nothing() -> None:
    async def scene() -> None:
        async with hub() as at:
            other = orjson.loads(unzip(full(0), 2**24)) | {"axis": "boot-2", "anchor": None, "epoch": "5", "seq": 0}
            await at.send(orjson.dumps(other), JSON, extra={"edge-clock": f"{AXIS}=10000000"})
            await at.results(thinned(range(3)))
            assert sum(count for *_, count in await points(at, "power", start="0", stop=str(2**50))) == 40

    run(scene())


def test_the_catalogue_does_not_turn_between_a_collectors_lists() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(thinned(range(3)), *whole(3))
            looked = list[str]()
            await at.store.read(lambda db: db.set_trace_callback(looked.append))
            await at.results(thinned([4, 5]), *whole(6), thinned([7, 8]), *whole(9))
            await at.store.read(lambda db: db.set_trace_callback(None))
            assert not [one for one in looked if " series " in one]
            found = await answer(at.catalogue.series, device="car-3")
            assert [one["name"] for one in found["series"]] == ["energy", "power"]

    run(scene())


def test_full_frames_beside_thinned_ones_are_found_by_their_index() -> None:
    async def scene() -> None:
        async with hub() as at:
            plan = await at.store.read(
                lambda db: explain(
                    db,
                    "SELECT first, last, id, epoch, seq FROM frame WHERE axis = ? AND kind = ? AND first >= ?"
                    " AND first < ? AND last >= ? ORDER BY first LIMIT ?",
                    (1, 1, 0, 1, 0, 9),
                )
            )
            assert "INDEX frame_span (axis=? AND kind=? AND first>? AND first<?)" in plan
            assert "TEMP B-TREE" not in plan

    run(scene())


def test_a_device_that_leaves_holes_without_end_is_still_stored_once() -> None:
    payload, many = batch([]), MOST_RANGES + 20

    async def sent(at: Hub, numbers: Sequence[int]) -> set[str]:
        told = set[str]()
        for start in range(0, len(numbers), MOST_FRAMES):
            turn = numbers[start : start + MOST_FRAMES]
            told.update(await at.results(*(frame(EPOCH, seq, payload) for seq in turn)))
        return told

    async def scene() -> None:
        async with hub() as at:
            even = range(0, 2 * many, 2)
            assert await sent(at, even) == {"stored"}
            found = await at.audit(EPOCH)
            assert (found["stored"], found["missing"], found["lost"]) == (many, many - 1 - 20, {"unaccounted": 20})
            assert await sent(at, even) == {"duplicate"}
            assert await sent(at, range(1, 80, 2)) == {"stored"}
            assert await sent(at, range(80)) == {"duplicate"}
            found = await at.audit(EPOCH)
            assert (found["stored"], found["missing"], found["lost"]) == (many + 40, many - 1 - 40, {})
            assert await at.rows("frame") == many + 40

    run(scene())


def test_what_retention_took_of_a_full_frame_is_told_by_the_thinned_one() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(*whole(0, 1))
            at.now += 1000
            await at.results(thinned(range(3)))
            assert len(await points(at, "power")) == 20 + 1
            await at.store.write(lambda db: prune(db, HUB_NOW + 1, 2))
            told = await points(at, "power")
            assert [(second, count) for second, *_, count in told] == [(5.0, 10), (15.0, 10), (25.0, 10)]

    run(scene())
