"""Instructions: states go forward only, and the device has the last word."""

import itertools
from typing import Any

import orjson
import pytest

from edge_agent.hub.settings import Settings
from tests.hub.deliveries import report
from tests.hub.house import House, alive, instruct, opened, push, said
from tests.sim.loop import run

PATH = "/api/v1/devices/car-1/instructions"


class Teller:
    """Sends outcomes as a device does."""

    def __init__(self, house: House) -> None:
        self._house, self._numbers = house, itertools.count()

    async def tell(self, instruction: Any, state: Any, **more: Any) -> None:
        record = {"at": 1, "type": "outcome", "instruction": instruction, "state": state, **more}
        reply = await push(self._house, report(9, next(self._numbers), [record]))
        assert said(reply)["results"][0]["status"] == "stored"


async def row(house: House, identity: str) -> Any:
    rows = said(await house.ask("GET", PATH, token=house.admin))["instructions"]
    return next(one for one in rows if one["id"] == identity)


async def lifecycle(house: House) -> list[str]:
    """The states that viewers were told."""
    epoch = house.hub.keyring.epoch
    entries = await house.hub.journal.replay("events", f"{epoch}-0")
    assert entries is not None
    return [orjson.loads(entry.data)["state"] for entry in entries if entry.event == "instruction.lifecycle"]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([], "sent"),
        (["received"], "received"),
        (["received", "running", "done"], "done"),
        (["done", "running", "received"], "done"),
        (["running", "received"], "running"),
        (["failed", "done"], "failed"),
        (["refused"], "refused"),
        (["expired"], "expired"),
        (["unknown", "done"], "unknown"),
        (["queued"], "sent"),
        (["cancelled"], "sent"),
        (["nonsense"], "sent"),
    ],
)
def test_states_go_forward_only(told: list[str], state: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            identity = await instruct(house)
            assert (await row(house, identity))["state"] == "queued"
            async with house.stream("/api/v1/devices/car-1/stream", key=house.key) as reader:
                await reader.until("instruction")
                house.hub.streams.keep_alive()
                await reader.until("keepalive")
            teller = Teller(house)
            for one in told:
                await teller.tell(identity, one)
            assert (await row(house, identity))["state"] == state
            assert (await lifecycle(house))[:2] == ["queued", "sent"]
            assert (await lifecycle(house))[-1] == state

    run(scene())


def test_an_outcome_keeps_its_code_detail_and_result() -> None:
    async def scene() -> None:
        async with opened() as house:
            identity, teller = await instruct(house), Teller(house)
            await teller.tell(identity, "failed", code="exit", detail="x" * 5000, result={"status": 3})
            found = await row(house, identity)
            assert (found["code"], len(found["detail"]), found["result"]) == ("exit", 2000, {"status": 3})

    run(scene())


@pytest.mark.parametrize(
    "wrong",
    [
        {"instruction": None, "state": "done"},
        {"instruction": ["x"], "state": "done"},
        {"instruction": "nobody", "state": "done"},
        {"instruction": "ID", "state": None},
        {"instruction": "ID", "state": {"done": 1}},
    ],
)
def test_a_strange_report_is_stored_and_changes_nothing(wrong: dict[str, Any]) -> None:
    async def scene() -> None:
        async with opened() as house:
            identity = await instruct(house)
            told = identity if wrong["instruction"] == "ID" else wrong["instruction"]
            await Teller(house).tell(told, wrong["state"])
            assert (await row(house, identity))["state"] == "queued"

    run(scene())


def test_a_device_cannot_answer_for_another() -> None:
    async def scene() -> None:
        async with opened() as house:
            identity = await instruct(house)
            house.key = await house.hub.accounts.add_device("car-2")
            await Teller(house).tell(identity, "done")
            assert (await row(house, identity))["state"] == "queued"

    run(scene())


@pytest.mark.parametrize(("told", "end", "hours"), [(None, "expired", 2), ("received", "unknown", 26)])
def test_the_hub_ends_what_is_not_answered_and_a_late_answer_stands(told: str | None, end: str, hours: int) -> None:
    async def scene() -> None:
        async with alive() as house:
            identity, teller = await instruct(house), Teller(house)
            if told:
                await teller.tell(identity, told)
            await house.clock.sleep(hours * 3600)
            house.admin = await house.let_in("ann", "admin")
            assert (await row(house, identity))["state"] == end
            await teller.tell(identity, "running")
            assert (await row(house, identity))["state"] == end
            await teller.tell(identity, "done")
            await teller.tell(identity, "failed")
            assert (await row(house, identity))["state"] == "done"

    run(scene())


def test_a_clock_that_is_years_ahead_and_not_synchronised_ends_no_instruction_of_before() -> None:
    async def scene() -> None:
        async with alive(Settings()) as house:
            house.clock.set_wall(house.clock.wall(), 100)
            before, now = await instruct(house), house.clock.wall()
            house.clock.set_wall(now + 10 * 365 * 86_400_000)
            house.admin = await house.let_in("ann", "admin")
            guessed = await instruct(house)
            await house.clock.sleep(2 * 3600)
            house.admin = await house.let_in("ann", "admin")
            assert (await row(house, guessed))["state"] == "expired"
            assert (await row(house, before))["state"] == "queued"
            house.clock.set_wall(now + 2 * 3_600_000, 100)
            await house.clock.sleep(60)
            house.admin = await house.let_in("ann", "admin")
            assert (await row(house, before))["state"] == "expired"

    run(scene())


def test_only_what_was_not_taken_can_be_cancelled() -> None:
    async def scene() -> None:
        async with opened() as house:
            first, second = await instruct(house), await instruct(house)
            await Teller(house).tell(second, "received")
            assert (await house.ask("DELETE", f"{PATH}/{first}", token=house.admin)).status == 200
            assert (await house.ask("DELETE", f"{PATH}/{first}", token=house.admin)).status == 409
            assert (await house.ask("DELETE", f"{PATH}/{second}", token=house.admin)).status == 409
            assert (await house.ask("DELETE", f"{PATH}/none", token=house.admin)).status == 404
            assert (await row(house, first))["state"] == "cancelled"

    run(scene())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "echo"}, 201),
        ({"type": "echo", "args": {"deep": [{"a": None}]}, "expires_in": 5, "not_before": 1_800_000_100_000}, 201),
        ({}, 400),
        ({"type": "Echo"}, 400),
        ({"type": "echo", "args": []}, 400),
        ({"type": "echo", "args": {"a": "x" * 40_000}}, 400),
        ({"type": "echo", "expires_in": 0}, 400),
        ({"type": "echo", "expires_in": "5"}, 400),
        ({"type": "echo", "expires_in": 31 * 86_400}, 400),
        ({"type": "echo", "expires_in": 60, "not_before": 1_810_000_000_000}, 400),
        ({"type": "echo", "state": "done"}, 400),
        (b"{", 400),
        (b'{"type":"echo","args":{"a":NaN}}', 400),
        (b'{"type":"echo","args":{"a":1' + b"0" * 400 + b"}}", 400),
        (b'{"type":"echo","args":{"a":"\\ud800"}}', 400),
        (b'{"type":"echo","args":{"a":' + b"[" * 500 + b"]" * 500 + b"}}", 400),
        (b"\xff", 400),
    ],
)
def test_what_may_be_asked(body: Any, status: int) -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("POST", PATH, body, token=house.admin)).status == status

    run(scene())


def test_who_may_ask() -> None:
    async def scene() -> None:
        async with opened() as house:
            body = {"type": "echo"}
            assert (await house.ask("POST", PATH, body, token=house.viewer)).status == 403
            assert (await house.ask("POST", PATH, body, key=house.key)).status == 403
            nobody = PATH.replace("car-1", "car-9")
            assert (await house.ask("POST", nobody, body, token=house.admin)).status == 404
            plain = {"content-type": "text/plain"}
            assert (await house.ask("POST", PATH, body, token=house.admin, headers=plain)).status == 415

    run(scene())


def test_what_waits_for_one_device_is_bounded() -> None:
    async def scene() -> None:
        async with opened() as house:
            for _ in range(100):
                await instruct(house)
            assert (await house.ask("POST", PATH, {"type": "echo"}, token=house.admin)).status == 409
            listed = said(await house.ask("GET", PATH, token=house.admin))["instructions"]
            assert len({one["id"] for one in listed}) == 100

    run(scene())
