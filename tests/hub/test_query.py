"""History: what was stored comes back as it was measured, thinned to the width asked for, at its true time."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.hub.query import Options
from edge_agent.hub.store.frames import prune
from edge_agent.hub.thinning import COLUMNS
from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Reading, Tick
from tests.hub.deliveries import AXIS, HUB_NOW, OFFSET, RESOURCE, answer, asked, batch, explain, frame, hub, ticks
from tests.sim.loop import run

EPOCH = 0x55
SURE = Anchor(OFFSET - 10, OFFSET + 10, 0)
WHOLE = {"device": "car-3", "name": "gpu.power", "start": str(OFFSET), "stop": str(HUB_NOW)}


def points(document: dict[str, Any], gpu: str = "0") -> list[dict[str, Any]]:
    """The points of one series, by column."""
    assert tuple(document["columns"]) == COLUMNS
    (found,) = (one for one in document["series"] if one["attributes"] == {"gpu": gpu})
    return [dict(zip(COLUMNS, point, strict=True)) for point in found["points"]]


def test_readings_come_back_as_they_were_measured() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(
                *(frame(EPOCH, seq, batch(ticks(seq * 10_000, 10, start=seq * 10), anchor=SURE)) for seq in (1, 0))
            )
            found = await answer(at.history.query, **WHOLE)
            assert found["complete"]
            assert found["reached"] == HUB_NOW
            own = points(found)
            assert [(point["ts"], point["value"]) for point in own] == [
                (OFFSET + index * 1000, float(index)) for index in range(20)
            ]
            assert {point["flag"] for point in own} == {"anchored"}
            assert {point["count"] for point in own} == {1}
            assert own[0]["ts_err"] == 10
            other = points(found, "1")
            assert [point["ts"] - OFFSET for point in other] == [
                index * 1000 for index in range(20) if index not in {0, 10}
            ]

    run(scene())


def test_a_range_is_half_open_and_cuts_within_batches() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(
                *(frame(EPOCH, seq, batch(ticks(seq * 10_000, 10, start=seq * 10), anchor=SURE)) for seq in range(4))
            )
            for start, stop in ((0, 1), (8000, 12_000), (9999, 30_001), (35_000, 99_000)):
                asked_for = {**WHOLE, "start": str(OFFSET + start), "stop": str(OFFSET + stop)}
                own = points(await answer(at.history.query, **asked_for))
                assert [point["value"] for point in own] == [n for n in range(40) if start <= n * 1000 < stop]
            nothing = {**WHOLE, "start": str(OFFSET + 39_001), "stop": str(OFFSET + 50_000)}
            assert (await answer(at.history.query, **nothing))["series"] == []

    run(scene())


def test_attributes_choose_among_series_of_one_name() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, batch(ticks(0, 10), anchor=SURE)))
            found = await answer(at.history.query, **WHOLE, gpu="1")
            assert [one["attributes"] for one in found["series"]] == [{"gpu": "1"}]
            assert (await answer(at.history.query, **WHOLE, gpu="7"))["series"] == []
            assert (await answer(at.history.query, **{**WHOLE, "name": "gpu"}))["series"] == []
            assert (await answer(at.history.query, **{**WHOLE, "device": "car-4"}))["series"] == []

    run(scene())


def test_a_gauge_is_thinned_without_hiding_its_peak() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, batch(ticks(0, 100), anchor=SURE)))
            asked_for = {**WHOLE, "stop": str(OFFSET + 100_000), "width": "10"}
            own = points(await answer(at.history.query, **asked_for))
            assert [(p["value"], p["min"], p["max"], p["count"]) for p in own] == [
                (n * 10 + 4.5, n * 10.0, n * 10 + 9.0, 10) for n in range(10)
            ]
            assert [p["ts"] - OFFSET for p in own] == [n * 10_000 + 4500 for n in range(10)]

    run(scene())


def test_a_counter_is_thinned_to_its_last_value() -> None:
    async def scene() -> None:
        async with hub() as at:
            for seq in (3, 1, 0, 2):
                made = ticks(seq * 25_000, 25, kind="counter", start=seq * 25)
                await at.results(frame(EPOCH, seq, batch(made, anchor=SURE)))
            asked_for = {**WHOLE, "stop": str(OFFSET + 100_000), "width": "10"}
            own = points(await answer(at.history.query, **asked_for))
            assert [(p["value"], p["ts"] - OFFSET) for p in own] == [
                (n * 10 + 9.0, n * 10_000 + 9000) for n in range(10)
            ]

    run(scene())


def test_a_series_as_long_as_the_width_is_not_thinned() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, batch(ticks(0, 50), anchor=SURE)))
            for width, length in ((50, 50), (49, 1)):
                own = points(await answer(at.history.query, **WHOLE, width=str(width)))
                assert len(own) == length
                assert sum(point["count"] for point in own) == 50

    run(scene())


def test_a_better_anchor_that_comes_later_moves_what_was_stored_before() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, batch(ticks(0, 5))))
            before = points(await answer(at.history.query, **{**WHOLE, "stop": str(HUB_NOW + 1)}))
            assert [p["ts"] for p in before] == [HUB_NOW - 4000 + n * 1000 for n in range(5)]
            assert {(p["ts_err"], p["flag"]) for p in before} == {(None, "approximate")}
            await at.results(frame(EPOCH, 1, batch(ticks(5000, 5, start=5), anchor=SURE)))
            after = points(await answer(at.history.query, **WHOLE))
            assert [p["ts"] - OFFSET for p in after] == [n * 1000 for n in range(10)]
            assert {p["flag"] for p in after} == {"anchored"}

    run(scene())


def test_a_clock_header_bounds_an_axis_without_anchors() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, batch(ticks(0, 5))), extra={"edge-clock": f"{AXIS}=10000000, other=5"})
            own = points(await answer(at.history.query, **WHOLE))
            assert [p["ts"] - OFFSET for p in own] == [n * 1000 for n in range(5)]
            assert await at.rows("axis") == 1

    run(scene())


def test_boots_lie_on_one_line_of_time() -> None:
    async def scene() -> None:
        async with hub() as at:
            later = Anchor(OFFSET + 60_000, OFFSET + 60_000, 0)
            await at.results(
                frame(EPOCH, 0, batch(ticks(0, 3, start=10), axis="boot-2", anchor=later)),
                frame(EPOCH, 1, batch(ticks(0, 3), axis="boot-1", anchor=SURE)),
            )
            own = points(await answer(at.history.query, **WHOLE))
            assert [(p["ts"] - OFFSET, p["value"]) for p in own] == [
                *((n * 1000, n) for n in range(3)),
                *((60_000 + n * 1000, 10 + n) for n in range(3)),
            ]

    run(scene())


def test_what_came_before_a_month_of_standstill_is_found_as_soon_as_what_came_after() -> None:
    async def scene() -> None:
        month = 30 * 86_400_000
        async with hub(work=Options(most_frames=8)) as at:
            for seq in range(40):
                offset = OFFSET if seq < 20 else OFFSET + month
                sure = Anchor(offset - 10, offset + 10, seq * 10_000)
                await at.results(frame(EPOCH, seq, batch(ticks(seq * 10_000, 10, start=seq * 10), anchor=sure)))
            for begun in (OFFSET + 120_000, OFFSET + month + 320_000):
                found = await answer(at.history.query, **{**WHOLE, "start": str(begun), "stop": str(begun + 20_000)})
                assert found["complete"]
                assert [point["ts"] - begun for point in points(found)] == list(range(0, 20_000, 1000))

    run(scene())


@pytest.mark.parametrize("work", [Options(most_frames=64), Options(most_points=700)])
def test_a_question_that_is_too_large_says_how_far_its_answer_reaches(work: Options) -> None:
    async def scene() -> None:
        async with hub(work=work) as at:
            frames = [frame(EPOCH, seq, batch(ticks(seq * 10_000, 10), anchor=SURE)) for seq in range(100)]
            await at.results(*frames)
            found = await answer(at.history.query, **WHOLE, width="10000")
            assert not found["complete"]
            assert found["reached"] == OFFSET + 640_000
            assert len(points(found)) == 640
            rest = await answer(at.history.query, **{**WHOLE, "start": str(found["reached"]), "width": "10000"})
            assert rest["complete"]
            assert len(points(rest)) == 360

    run(scene())


def test_a_question_ends_when_its_time_is_spent() -> None:
    async def scene() -> None:
        async with hub(work=Options(most_time=1.0)) as at:
            frames = [frame(EPOCH, seq, batch(ticks(seq * 10_000, 10), anchor=SURE)) for seq in range(100)]
            await at.results(*frames)
            at.pace = 600
            found = await answer(at.history.query, **WHOLE)
            assert (found["complete"], found["reached"]) == (False, OFFSET + 640_000)

    run(scene())


def test_what_retention_took_is_left_out() -> None:
    async def scene() -> None:
        async with hub() as at:
            for seq in range(2):
                await at.results(frame(EPOCH, seq, batch(ticks(seq * 10_000, 10), anchor=SURE)))
                at.now += 1
            await at.store.write(lambda db: prune(db, HUB_NOW + 1, 10))
            assert len(points(await answer(at.history.query, **WHOLE))) == 10

    run(scene())


def test_a_range_is_found_by_its_index() -> None:
    async def scene() -> None:
        async with hub() as at:
            plan = await at.store.read(
                lambda db: explain(
                    db,
                    "SELECT first, last, id, 0, 0 FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ?"
                    " AND last >= ? ORDER BY first LIMIT ?",
                    (1, 1, 0, 1, 0, 9),
                )
            )
            assert "COVERING INDEX frame_span (axis=? AND kind=? AND first>? AND first<?)" in plan
            assert "TEMP B-TREE" not in plan

    run(scene())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"device": ""}, "device"),
        ({"name": ""}, "name"),
        ({"from": "noon"}, "from"),
        ({"to": "1e400"}, "to"),
        ({"from": "5", "to": "5"}, "from"),
        ({"width": "0"}, "width"),
        ({"width": "10001"}, "width"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_question_that_is_wrong_names_the_member(wrong: dict[str, str], field: str) -> None:
    async def scene() -> None:
        async with hub() as at:
            query = {"device": "car-3", "name": "gpu.power", "from": "0", "to": "9", **wrong}
            with pytest.raises(Malformed) as found:
                await at.history.query(asked(query))
            assert (found.value.code, found.value.field) == ("bad_query", field)

    run(scene())


def test_the_catalogue_lists_each_series_once(tmp_path: Path) -> None:
    async def scene() -> None:
        for life in range(2):
            async with hub(tmp_path / "hub.db") as at:
                for seq in range(3):
                    await at.results(frame(EPOCH + life, seq, batch(ticks(seq * 10_000, 3))))
                changed = Tick("gpu", 1, (Reading("gpu.power", 1, "mW"),))
                await at.results(frame(EPOCH + life, 3, batch([changed])))
                found = await answer(at.catalogue.series, device="car-3")
                assert (found["first_seen"], found["beyond"], found["resource"]) == (HUB_NOW, 0, RESOURCE)
                assert [(one["name"], one["attributes"], one["unit"]) for one in found["series"]] == [
                    ("gpu.power", {"gpu": "0"}, "W"),
                    ("gpu.power", {"gpu": "1"}, "W"),
                    ("gpu.power", {}, "mW"),
                ]

    run(scene())


def test_a_device_that_never_sent_anything_has_no_catalogue() -> None:
    async def scene() -> None:
        async with hub() as at:
            reply = await at.catalogue.series(asked({"device": "car-9"}))
            assert reply.status == 404

    run(scene())
