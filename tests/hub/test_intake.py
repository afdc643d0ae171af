"""Intake: what devices send is stored once, whole, and answered by name."""

import asyncio
import gzip
import hashlib
import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.hub import parcels
from edge_agent.hub.exchange import Reply
from edge_agent.hub.intake import Options
from edge_agent.hub.store import StoreFull
from edge_agent.hub.store.frames import prune
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind, Loss
from edge_agent.model.word import Outcome
from edge_agent.wire.problem import Problem
from tests.hub.deliveries import FRAMES, HUB_NOW, JSON, Hub, batch, frame, hub, report, ticks
from tests.sim.loop import run

ONE, TWO, THREE = (batch(ticks(first, 10)) for first in (0, 10_000, 20_000))
EPOCH = 0x1234
SPOOL = "edge-spool"


def test_a_batch_that_comes_again_is_a_duplicate_for_ever() -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(frame(EPOCH, 0, ONE), frame(EPOCH, 1, TWO)) == ["stored", "stored"]
            assert await at.results(frame(EPOCH, 1, TWO), frame(EPOCH, 2, THREE)) == ["duplicate", "stored"]
            assert await at.results(frame(EPOCH, 0, ONE), frame(EPOCH, 0, ONE)) == ["duplicate", "duplicate"]
            assert await at.rows("frame") == 3
            assert (await at.audit(EPOCH))["readings"] == 3 * 19
            assert len(at.stored) == 3

    run(scene())


def test_one_number_twice_in_a_request_is_stored_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            twice = [frame(EPOCH, 0, ONE), frame(EPOCH, 0, ONE), frame(EPOCH, 0, TWO)]
            assert await at.results(*twice) == ["stored", "duplicate", ("rejected", "identity_conflict")]
            assert await at.rows("frame") == 1

    run(scene())


def test_two_devices_may_use_one_number() -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(frame(EPOCH, 0, ONE)) == ["stored"]
            assert await at.results(frame(EPOCH, 0, TWO), device="car-4") == ["stored"]

    run(scene())


def test_a_number_with_other_bytes_is_a_conflict_and_what_was_first_stays() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, ONE))
            found = await at.send(frame(EPOCH, 0, TWO))
            assert isinstance(found, Problem)
            assert (found.status, found.code, found.extra) == (
                409,
                "identity_conflict",
                {"epoch": "0000000000001234", "seq": 0},
            )
            kept = await at.store.read(lambda db: db.execute("SELECT payload FROM payload").fetchone()[0])
            assert kept == ONE
            among = await at.results(frame(EPOCH, 0, TWO), frame(EPOCH, 1, TWO))
            assert among == [("rejected", "identity_conflict"), "stored"]

    run(scene())


def test_repeat_and_conflict_are_told_apart_when_the_payload_is_gone() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, ONE), frame(EPOCH, 1, TWO))
            assert await at.store.write(lambda db: prune(db, HUB_NOW + 1, 1)) == 1
            assert await at.store.write(lambda db: prune(db, HUB_NOW, 9)) == 0
            again = await at.results(frame(EPOCH, 0, ONE), frame(EPOCH, 0, TWO), frame(EPOCH, 1, TWO))
            assert again == ["duplicate", ("rejected", "identity_conflict"), "duplicate"]

    run(scene())


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_repetition_stores_each_batch_once(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        frames = [frame(EPOCH + seq % 2, seq // 2, batch(ticks(seq * 1000, 2))) for seq in range(24)]
        async with hub() as at:
            settled: list[Any] = []
            while settled.count("stored") < len(frames):
                turns = [chance.sample(frames, 5) for _ in range(4)]
                for found in await asyncio.gather(*(at.results(*turn) for turn in turns)):
                    settled.extend(found)
            assert set(settled) <= {"stored", "duplicate"}
            assert await at.rows("frame") == len(frames)
            assert len(at.stored) == len(frames)
            for epoch in (EPOCH, EPOCH + 1):
                row = await at.audit(epoch)
                assert (row["next"], row["stored"], row["readings"]) == (12, 12, 12 * 3)

    run(scene())


def test_a_bad_payload_is_rejected_alone() -> None:
    wounds = {
        "bad_gzip": b"no gzip at all",
        "bad_json": gzip.compress(b"{"),
        "bad_batch": gzip.compress(b'{"v":1,"axis":"a","tracks":7}'),
        "unsupported_version": gzip.compress(b'{"v":2}'),
        "too_large": gzip.compress(bytes(parcels.MOST_UNPACKED + 1)),
    }

    async def scene() -> None:
        async with hub() as at:
            good, bad = frame(EPOCH, 99, ONE), [frame(EPOCH, seq, wound) for seq, wound in enumerate(wounds.values())]
            assert await at.results(*bad, good) == [*(("rejected", code) for code in wounds), "stored"]
            assert await at.results(bad[0]) == [("rejected", "bad_gzip")]
            assert await at.results(frame(EPOCH, 7, ONE, kind=77)) == [("rejected", "unsupported_version")]
            assert await at.results(frame(EPOCH, 7, ONE, kind=FrameKind.SEGMENT)) == [
                ("rejected", "unsupported_version")
            ]
            assert await at.results(frame(EPOCH, 2**63 - 1, ONE)) == [("rejected", "bad_batch")]
            assert await at.results(frame(EPOCH, 7, ONE, sealed_at=-(2**63))) == [("rejected", "bad_batch")]
            assert (await at.audit(EPOCH))["stored"] == 1

    run(scene())


def test_broken_framing_condemns_the_request_and_stores_nothing() -> None:
    good = frame(EPOCH, 0, ONE)
    wounds = {
        "frame_truncated": good + good[:-1],
        "frame_magic": good + b"x" * 60,
        "frame_payload_crc": good + good[:-1] + b"x",
    }

    async def scene() -> None:
        async with hub() as at:
            for code, body in {**wounds, "frame_truncated ": b""}.items():
                with pytest.raises(Malformed) as found:
                    await at.send(body)
                assert found.value.code == code.strip()
            assert await at.rows("frame") == 0

    run(scene())


def test_payloads_that_unpack_to_much_cost_a_bounded_share_of_a_request() -> None:
    bomb = gzip.compress(bytes(parcels.MOST_UNPACKED))
    bombs = [frame(EPOCH, seq, bomb) for seq in range(9)]

    async def scene() -> None:
        async with hub() as at:
            assert await at.results(*bombs) == [("rejected", "bad_json")] * 5
            assert await at.results(*bombs[5:]) == [("rejected", "bad_json")] * 4

    run(scene())


def test_more_frames_than_an_answer_can_name_are_settled_in_turns() -> None:
    most = parcels.MOST_FRAMES
    frames = [frame(EPOCH, seq, batch([])) for seq in range(most + 1)]

    async def scene() -> None:
        async with hub() as at:
            reply = await at.send(b"".join(frames))
            assert isinstance(reply, Reply)
            assert len(orjson.loads(reply.body)["results"]) == most
            assert len(reply.body) < 64 * 1024
            assert await at.results(*frames[most:]) == ["stored"]

    run(scene())


def test_a_batch_by_hand_is_known_by_its_decoded_bytes() -> None:
    body = orjson.dumps({"v": 1, "axis": "a", "tracks": []}, option=orjson.OPT_INDENT_2)
    epoch = int.from_bytes(hashlib.sha256(body).digest()[:8], "big") & (2**63 - 1)

    async def scene() -> None:
        async with hub() as at:
            ways: list[tuple[bytes, dict[str, str], str]] = [
                (body, {}, "stored"),
                (gzip.compress(body, 1), {"content-encoding": "gzip"}, "duplicate"),
                (gzip.compress(body, 9), {"content-encoding": "GZIP"}, "duplicate"),
                (body + b"\n", {}, "stored"),
            ]
            for sent, extra, status in ways:
                reply = await at.send(sent, JSON, extra=extra)
                assert isinstance(reply, Reply)
                found = orjson.loads(reply.body)
                assert found["hub_time"] == HUB_NOW
                assert [one["status"] for one in found["results"]] == [status]
            assert (await at.audit(epoch))["stored"] == 1

    run(scene())


def test_a_batch_by_hand_may_name_its_number() -> None:
    async def scene() -> None:
        async with hub() as at:
            for axis, status in (("a", 200), ("a", 200), ("b", 409)):
                body = orjson.dumps({"v": 1, "axis": axis, "tracks": [], "epoch": "1234", "seq": 5})
                found = await at.send(body, JSON)
                assert found.status == status
            assert (await at.audit(EPOCH))["stored"] == 1
            for wrong in ({"epoch": "xyz", "seq": 1}, {"epoch": "f" * 16, "seq": 1}, {"epoch": "1"}, {"seq": 1}):
                with pytest.raises(Malformed, match=r"epoch|seq"):
                    await at.send(orjson.dumps({"v": 1, "axis": "a", "tracks": [], **wrong}), JSON)

    run(scene())


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "text/plain"}, {**FRAMES, "content-encoding": "gzip"}, {**JSON, "content-encoding": "br"}],
)
def test_a_type_that_is_not_taken_is_refused(headers: dict[str, str]) -> None:
    async def scene() -> None:
        async with hub() as at:
            with pytest.raises(Malformed) as found:
                await at.send(ONE, headers)
            assert found.value.code == "unsupported_media_type"

    run(scene())


def test_a_clock_that_is_off_is_told_by_how_much() -> None:
    async def scene() -> None:
        async with hub() as at:
            for skew in (300_001, -300_001):
                found = await at.send(frame(EPOCH, 0, ONE), extra={"edge-sent-at": str(HUB_NOW + skew)})
                assert isinstance(found, Problem)
                assert (found.status, found.code) == (400, "clock_skew")
                assert found.extra == {"hub_time": HUB_NOW, "skew_ms": skew, "tolerance_ms": 300_000}
            assert await at.rows("frame") == 0
            assert await at.results(frame(EPOCH, 0, ONE), extra={"edge-sent-at": str(HUB_NOW - 300_000)}) == ["stored"]
            assert await at.results(frame(EPOCH, 1, TWO)) == ["stored"]

    run(scene())


@pytest.mark.parametrize(
    ("header", "text"), [("edge-sent-at", "noon"), ("edge-clock", "a=b"), ("edge-spool", "telemetry:1:2")]
)
def test_a_header_that_cannot_be_read_stores_nothing(header: str, text: str) -> None:
    async def scene() -> None:
        async with hub() as at:
            with pytest.raises(Malformed) as found:
                await at.send(frame(EPOCH, 0, ONE), extra={header: text})
            assert (found.value.code, found.value.field) == ("bad_header", header)
            assert await at.rows("frame") == 0

    run(scene())


def test_a_batch_like_the_one_before_writes_its_frame_and_its_mark() -> None:
    async def scene() -> None:
        async with hub(options=Options(touch_every=60.0)) as at:
            await at.results(frame(EPOCH, 0, ONE))
            written: list[str] = []

            def watch(statement: str) -> None:
                verb, *rest = statement.split()
                written.extend([rest[rest.index("INTO") + 1]] if verb == "INSERT" else [])
                written.extend([rest[0]] if verb == "UPDATE" else [])

            await at.store.write(lambda db: db.set_trace_callback(watch))
            at.now += 11_000
            await at.results(frame(EPOCH, 1, TWO))
            await at.store.write(lambda db: db.set_trace_callback(None))
            assert written == ["epoch", "frame", "payload"]

    run(scene())


def test_the_catalogue_is_capped_and_says_so() -> None:
    async def scene() -> None:
        async with hub(options=Options(most_series=1)) as at:
            for seq in range(3):
                assert await at.results(frame(EPOCH, seq, batch(ticks(seq * 9000, 3)))) == ["stored"]
            assert await at.rows("series") == 1
            assert await at.store.read(lambda db: db.execute("SELECT series, beyond FROM sender").fetchone()) == (1, 1)

    run(scene())


def test_backfill_does_not_bring_old_labels_back() -> None:
    def resource(seq: int, site: str) -> bytes:
        return frame(EPOCH, seq, batch(ticks(seq * 60_000, 2), resource={"site": site}))

    async def scene() -> None:
        async with hub() as at:
            for seq, site in ((9, "new"), (1, "old"), (2, "old")):
                await at.results(resource(seq, site))
            told = await at.store.read(lambda db: db.execute("SELECT resource FROM sender").fetchone()[0])
            assert orjson.loads(told) == {"site": "new"}

    run(scene())


def test_reports_and_events_reach_their_callbacks_once() -> None:
    outcome = Outcome("i-1", "done", result={"sealed": 3}).report()

    async def scene() -> None:
        async with hub() as at:
            loss = Loss("telemetry", EPOCH, ((0, 4), (6, 7)), "quota").report()
            for status in ("stored", "duplicate"):
                assert await at.results(
                    report(7, 0, [outcome, loss]), report(8, 0, [{"type": "lap", "n": 2}], FrameKind.EVENTS)
                ) == [status, status]
            assert at.reports == [("car-3", {**outcome, "at": 1000})]
            assert at.events == [("car-3", {"type": "lap", "n": 2, "at": 1000})]
            assert (await at.audit(EPOCH))["lost"] == {"quota": 5}
            assert [parcel.frame.kind for parcel in at.stored] == [FrameKind.REPORTS, FrameKind.EVENTS]

    run(scene())


@pytest.mark.parametrize(
    "wound",
    [
        {"lane": "mail"},
        {"epoch": 7},
        {"epoch": "f" * 16},
        {"reason": "boredom"},
        {"ranges": [[4, 4]]},
        {"ranges": [[0, 2**63]]},
        {"ranges": [[True, 4]]},
        {"ranges": "all"},
    ],
)
def test_a_loss_that_says_nonsense_is_rejected(wound: dict[str, Any]) -> None:
    async def scene() -> None:
        async with hub() as at:
            loss = {**Loss("telemetry", EPOCH, ((0, 4),), "quota").report(), **wound}
            assert await at.results(report(7, 0, [loss])) == [("rejected", "bad_batch")]
            assert await at.rows("epoch") == 0

    run(scene())


def test_a_full_hub_stores_nothing_by_halves_and_takes_it_later(tmp_path: Path) -> None:
    chance = random.Random(1)
    large = [batch(ticks(seq * 1000, 1), resource={"noise": chance.randbytes(500).hex()}) for seq in range(400)]
    requests = [[frame(EPOCH, seq, large[seq]) for seq in range(first, first + 5)] for first in range(0, 400, 5)]

    async def fits(at: Hub, request: list[bytes]) -> bool:
        try:
            return await at.results(*request) == ["stored"] * 5
        except StoreFull:
            return False

    async def scene() -> None:
        async with hub(tmp_path / "hub.db", most_bytes=128 * 1024) as at:
            acked = 0
            while await fits(at, requests[acked // 5]):
                acked += 5
            assert 0 < acked < 400
            assert (await at.rows("frame"), len(at.stored)) == (acked, acked)
            found = await at.audit(EPOCH)
            assert (found["stored"], found["next"], found["readings"]) == (acked, acked, acked)
        async with hub(tmp_path / "hub.db") as at:
            settled = [status for request in requests for status in await at.results(*request)]
            assert settled == ["duplicate"] * acked + ["stored"] * (400 - acked)

    run(scene())
