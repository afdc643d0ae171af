"""What is refused, what runs, and that nothing runs twice over any crash."""

import errno
from typing import Any

import anyio
import pytest

from edge_agent.downlink.dispatcher import Options
from edge_agent.downlink.ledger import Ledger
from edge_agent.kit.scopes import running
from edge_agent.model.word import Signed
from edge_agent.wire.envelope import sign
from tests.downlink.issuer import DAY, FOLDER, NOW, OTHER, Device, Text, issue, signed
from tests.sim.disk import MemoryDisk, PowerCut
from tests.sim.loop import run
from tests.sim.offload import InlineOffload


def born(disk: MemoryDisk, birth: int = NOW - DAY) -> MemoryDisk:
    """A disk with the ledger of a device that has lived since then."""

    async def main() -> None:
        ledger = Ledger(FOLDER, disk, InlineOffload())
        await ledger.open()
        await ledger.begin(birth, birth)
        await ledger.close()

    run(main())
    return disk


def told(*words: Signed, disk: MemoryDisk | None = None, seconds: float = 1, **life: Any) -> Device:
    """A device after it was told these."""
    disk = disk or born(MemoryDisk())

    async def main() -> Device:
        device = Device(disk, **life)
        async with running(device.dispatcher):
            await anyio.sleep(0.1)
            for word in words:
                await device.dispatcher.hear(word)
            await anyio.sleep(seconds)
        return device

    return run(main())


def test_a_stop_while_the_ledger_is_being_read_lets_its_thread_go() -> None:
    async def main() -> None:
        device = Device(MemoryDisk())
        device.offload.hang("ledger")
        async with running(device.dispatcher):
            await anyio.sleep(1)
        assert not device.offload.workers
        device.offload.free("ledger")
        await anyio.sleep(1)

    run(main())


def test_an_instruction_is_received_runs_and_is_answered_with_its_result() -> None:
    device = told(issue(args={"text": "hi"}))
    assert [report["state"] for report in device.reports] == ["received", "running", "done"]
    assert device.reports[-1]["result"] == {"said": "hi"}
    assert device.started == [Text("hi")]


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        (issue(key_id="root"), "refused", "key_mismatch"),
        (issue(device="car-4"), "refused", "wrong_device"),
        (issue(type="erase"), "refused", "type_not_allowed"),
        (issue(signer="viewer", key_id="viewer", private=OTHER), "refused", "type_not_allowed"),
        (issue(type="reboot"), "refused", "type_not_enabled"),
        (issue(args={"text": "x", "more": 1}), "refused", "bad_args"),
        (issue(args={"text": 5}), "refused", "bad_args"),
        (issue(type="count", args={"n": "5"}), "refused", "bad_args"),
        (issue(type="count", args={"n": True}), "refused", "bad_args"),
        (issue(type="count", args={"n": 1.5}), "refused", "bad_args"),
        (issue(type="count"), "refused", "bad_args"),
        (issue(expires_at=NOW + 31 * DAY), "refused", "bad_window"),
        (issue(expires_at=NOW - 1), "refused", "bad_window"),
        (issue(issued_at=NOW - 2 * DAY), "refused", "issued_before_birth"),
        (issue(not_before=NOW + 60_000), "refused", "not_yet"),
        (issue(issued_at=NOW + 60_000), "refused", "not_yet"),
        (issue(issued_at=NOW - 5000, expires_at=NOW - 1), "expired", "expired"),
    ],
)
def test_each_fault_is_one_report_with_its_code(word: Signed, state: str, code: str) -> None:
    device = told(word, word)
    assert device.ends() == [("i-1", state, code)]
    assert not device.started


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (issue(private=OTHER), "bad_signature"),
        (issue(signer="root"), "unknown_key"),
        (Signed("instruction", b"{}"), "bad_envelope"),
        (Signed("instruction", b"\xff"), "bad_envelope"),
        (Signed("instruction", sign("config", b"{}", "ops", OTHER)), "bad_signature"),
        (issue(args={"text": "x" * 70_000}), "bad_envelope"),
        (issue(id=""), "bad_instruction"),
        (issue(id="x" * 129), "bad_instruction"),
        (issue(id="a\nb"), "bad_instruction"),
        (issue(type=None), "bad_instruction"),
        (issue(expires_at="tomorrow"), "bad_instruction"),
        (issue(expires_at=1.5), "bad_instruction"),
        (issue(args=[1]), "bad_instruction"),
        (signed(b"not json"), "bad_instruction"),
        (signed(b'{"id":"a","id":"b"}'), "bad_instruction"),
        (signed(b"[" * 10_000), "bad_instruction"),
    ],
)
def test_what_cannot_be_verified_is_counted_and_told_once_an_hour(word: Signed, code: str) -> None:
    device = told(*[word] * 5)
    assert device.reports == [{"type": "unverified", "count": 1, "code": code}]
    assert device.board.lights[-1][1:] == ("warn", f"5 envelopes could not be verified, the last: {code}")
    assert not device.started


def test_a_number_beyond_64_bits_is_a_refusal() -> None:
    huge = b'{"id":"i","device":"car-3","key_id":"ops","issued_at":%d,"not_before":%d,"expires_at":%d,"type":"count",'
    huge = huge % (NOW, NOW, NOW + DAY) + b'"args":{"n":' + b"9" * 30 + b"}}"
    assert told(signed(huge)).ends() == [("i", "refused", "bad_args")]


def test_nothing_is_judged_by_time_before_the_first_anchor() -> None:
    async def main() -> None:
        device = Device(born_disk)
        device.time.offset = None
        async with running(device.dispatcher):
            await device.dispatcher.hear(issue("fresh"))
            await device.dispatcher.hear(issue("old", issued_at=NOW - 5000, expires_at=NOW - 1))
            await anyio.sleep(100)
            assert not device.reports
            device.time.offset = NOW - 1_100_000
            await anyio.sleep(6)
        assert device.ends() == [("old", "expired", "expired"), ("fresh", "done", None)]

    born_disk = born(MemoryDisk())
    run(main())


def test_the_guess_of_a_hub_that_is_not_sure_of_its_time_is_enough_to_judge_by_within_a_second() -> None:
    async def main() -> None:
        device = Device(born_disk)
        device.time.guessed = True
        async with running(device.dispatcher):
            await device.dispatcher.hear(issue("fresh"))
            await device.dispatcher.hear(issue("surely", issued_at=NOW - 5000, expires_at=NOW + 1100))
            await device.dispatcher.hear(issue("perhaps", issued_at=NOW - 5000, expires_at=NOW + 900))
            await anyio.sleep(6)
        assert device.ends() == [("perhaps", "expired", "expired"), ("fresh", "done", None), ("surely", "done", None)]

    born_disk = born(MemoryDisk())
    run(main())


def test_while_offline_nothing_is_looked_for_unless_something_waits() -> None:
    def looks(disk: MemoryDisk, *words: Signed) -> int:
        async def main() -> int:
            device = Device(disk)
            device.time.offset = None
            async with running(device.dispatcher):
                for word in words:
                    await device.dispatcher.hear(word)
                await anyio.sleep(3600)
                before = device.time.asked
                device.time.offset = NOW - 4_600_000
                await device.dispatcher.hear(issue("last", issued_at=NOW))
                await anyio.sleep(6)
            assert ("last", "done", None) in device.ends()
            return before

        return run(main())

    assert looks(born(MemoryDisk())) == 1
    assert looks(born(MemoryDisk()), issue("waits")) == pytest.approx(720, abs=5)
    assert looks(MemoryDisk()) == pytest.approx(3600, abs=5)


def test_what_is_issued_after_a_first_start_runs_though_true_time_is_learnt_later() -> None:
    async def main() -> None:
        device = Device(MemoryDisk())
        device.time.offset = None
        async with running(device.dispatcher):
            await anyio.sleep(2)
            await device.dispatcher.hear(issue("before", issued_at=NOW - 1))
            await device.dispatcher.hear(issue("after", issued_at=NOW + 1000))
            await anyio.sleep(60)
            device.time.offset = NOW - 1_000_000
            await anyio.sleep(6)
        assert device.ends() == [("before", "refused", "issued_before_birth"), ("after", "done", None)]

    run(main())


def test_a_hub_that_is_years_ahead_for_a_while_locks_nobody_out_for_years() -> None:
    async def life(disk: MemoryDisk, ahead: int, word: Signed) -> list[tuple[Any, Any, Any]]:
        device = Device(disk)
        device.time.offset = NOW - 1_000_000 + ahead
        async with running(device.dispatcher):
            await device.dispatcher.hear(word)
            await anyio.sleep(1)
        return device.ends()

    disk = born(MemoryDisk())
    later = NOW + 3000 * DAY
    first = issue("mad", issued_at=later - DAY, not_before=later - DAY, expires_at=later + DAY)
    assert run(life(disk, 3000 * DAY, first)) == [("mad", "done", None)]
    second = issue("sane", expires_at=NOW + 3 * DAY)
    assert run(life(disk, 0, second)) == [("sane", "done", None)]
    assert run(life(disk, 0, first)) == [("mad", "done", None)], "told again, and not run again"


def test_what_may_have_expired_has_expired_and_what_may_be_due_is_due() -> None:
    def uncertain(word: Signed) -> list[tuple[Any, Any, Any]]:
        async def main() -> Device:
            device = Device(disk)
            device.time.error = 5000
            async with running(device.dispatcher):
                await device.dispatcher.hear(word)
                await anyio.sleep(1)
            return device

        disk = born(MemoryDisk())
        return run(main()).ends()

    assert uncertain(issue(expires_at=NOW + 4000)) == [("i-1", "expired", "expired")]
    assert uncertain(issue(not_before=NOW + 4000)) == [("i-1", "done", None)]
    assert uncertain(issue(not_before=NOW + 6000)) == [("i-1", "refused", "not_yet")]


def test_true_time_never_runs_back_over_a_restart() -> None:
    disk = born(MemoryDisk())
    word = issue("late", expires_at=NOW + 1000)
    later = told(issue("a", expires_at=NOW + 20 * DAY), disk=disk)
    assert later.ends() == [("a", "done", None)]

    async def main(offset: int) -> Device:
        device = Device(disk)
        device.time.offset = offset
        async with running(device.dispatcher):
            await anyio.sleep(0.1)
            await device.dispatcher.hear(issue(f"at-{offset}", expires_at=NOW + 20 * DAY))
            await device.dispatcher.hear(word)
            await anyio.sleep(1)
        return device

    assert ("late", "expired", "expired") in run(main(NOW - 1_000_000 + DAY)).ends()
    assert ("late", "expired", "expired") in run(main(NOW - 1_000_000)).ends()


@pytest.mark.parametrize(
    ("word", "code", "detail"),
    [
        (issue(type="break"), "handler_error", "ZeroDivisionError"),
        (issue(type="break", args={"text": "surrogate"}), "handler_error", "ValueError: caf? xxx"),
        (issue(type="break", args={"text": "device"}), "device_error", "no such sensor plug it in"),
        (issue(type="hang"), "timeout", "60 s"),
        (issue(type="say"), "bad_result", "object"),
    ],
)
def test_a_handler_that_fails_costs_its_own_instruction_only(word: Signed, code: str, detail: str) -> None:
    device = told(word, issue("next"), seconds=70)
    assert device.ends() == [("i-1", "failed", code), ("next", "done", None)]
    assert any(detail in str(report.get("detail")) for report in device.reports)


def test_a_result_too_large_is_left_out() -> None:
    device = told(issue(type="many"))
    assert device.ends() == [("i-1", "done", "result_too_large")]
    assert device.reports[-1]["result"] is None


def test_an_id_in_hand_is_not_answered_again_and_one_that_ended_gets_the_same_answer() -> None:
    async def main() -> None:
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(0.1)
            for _ in range(3):
                await device.dispatcher.hear(issue(type="hang"))
            await device.dispatcher.hear(issue(type="hang", args={"text": "other"}))
            await anyio.sleep(0.1)
            assert device.ends() == [("i-1", "refused", "id_taken")]
            device.released.set()
            await anyio.sleep(0.1)
            for _ in range(3):
                await device.dispatcher.hear(issue(type="hang"))
            assert device.ends()[1:] == [("i-1", "done", None)] * 2
        assert len(device.started) == 1

    disk = born(MemoryDisk())
    run(main())


def test_too_many_in_hand_are_refused_at_once() -> None:
    words = [issue(f"i-{n}", type="hang") for n in range(4)]
    device = told(*words, options=Options(limit=3600, most=3))
    assert device.ends() == [("i-3", "refused", "busy")]
    assert len(device.started) == 1


@pytest.mark.parametrize("call", ["append", "sync", "create", "sync_folder"])
def test_nothing_runs_that_could_not_be_recorded(call: str) -> None:
    disk = born(MemoryDisk())
    disk.fail(call, errno.EROFS, times=None, where=str(FOLDER))
    disk.fail("replace", errno.EROFS, times=None)
    device = told(issue("a"), issue("b"), disk=disk)
    assert device.ends() == [("a", "refused", "ledger_unwritable"), ("b", "refused", "ledger_unwritable")]
    assert not device.started
    assert device.board.states()[-1] == "fail"
    disk.heal()
    device = told(issue("c"), disk=disk)
    assert ("c", "done", None) in device.ends()
    assert device.board.states()[-1] == "ok"


def test_a_ledger_that_cannot_be_begun_is_tried_again_with_the_next_instruction() -> None:
    disk = MemoryDisk()
    disk.fail("replace", errno.ENOSPC, times=2)
    device = told(issue("a", issued_at=NOW + 200), issue("b", issued_at=NOW + 200), disk=disk, seconds=2)
    assert [code for _id, _state, code in device.ends()] == ["not_yet", "not_yet"]
    assert device.board.states()[-1] == "fail"


def test_a_crash_while_it_ran_is_answered_with_unknown_and_never_runs_twice() -> None:
    disk = born(MemoryDisk())
    first = told(issue(type="hang"), disk=disk)
    assert first.ends() == []
    disk.crash()
    second = told(issue(type="hang"), disk=disk)
    assert second.ends() == [("i-1", "unknown", "interrupted")] * 2
    assert not second.started
    third = told(disk=disk)
    assert third.ends() == []


def test_an_end_that_was_not_told_for_sure_is_told_by_the_next_life() -> None:
    disk = born(MemoryDisk())

    async def main() -> None:
        device = Device(disk)
        device.durable = False
        async with running(device.dispatcher):
            await device.dispatcher.hear(issue())
            await anyio.sleep(1)

    run(main())
    assert told(disk=disk).ends() == [("i-1", "done", None)]
    assert told(disk=disk).ends() == []


def test_a_first_start_refuses_what_was_issued_before_it() -> None:
    device = told(issue("old", issued_at=NOW - 1000), issue("new", issued_at=NOW + 1), disk=MemoryDisk())
    assert device.ends() == [("old", "refused", "issued_before_birth"), ("new", "done", None)]


def test_at_any_cut_of_power_each_instruction_runs_at_most_once_and_ends_in_one_way() -> None:
    words = [issue("a"), issue("b", type="break"), issue("c")]
    for call in range(1, 60):
        disk = born(MemoryDisk())
        disk.cut_at(call)
        lives: list[Device] = []

        async def life(disk: MemoryDisk = disk, lives: list[Device] = lives) -> None:
            device = Device(disk)
            lives.append(device)
            async with running(device.dispatcher):
                await anyio.sleep(0.1)
                for word in words:
                    await device.dispatcher.hear(word)
                await anyio.sleep(1)

        try:
            run(life())
        except PowerCut:
            disk.crash()
            run(life())
        assert sum(len(device.started) for device in lives) <= len(words)
        ends = {end for device in lives for end in device.ends()}
        assert sorted(name for name, _state, _code in ends) == ["a", "b", "c"], (call, ends)
        assert {state for _name, state, _code in ends} <= {"done", "failed", "unknown"}
