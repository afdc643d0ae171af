"""Parts live for as long as their block does, and their errors leave it as they were raised."""

import asyncio
from typing import NoReturn

import anyio
import pytest

from edge_agent.agent.deferred import Deferred
from edge_agent.kit.scopes import running
from tests.sim.loop import run


class Steady:
    """A part that notes when it starts and ends."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    async def run(self) -> NoReturn:
        self._notes.append(f"{self._name} starts")
        try:
            await anyio.sleep_forever()
            raise AssertionError("for ever is over")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            self._notes.append(f"{self._name} ended")


class Breaking:
    """A part that breaks after a second."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def run(self) -> NoReturn:
        await anyio.sleep(1)
        raise self._error


def test_parts_start_in_order_and_end_in_reverse_one_after_the_other() -> None:
    notes: list[str] = []

    async def scene() -> float:
        async with running(Steady("a", notes), Steady("b", notes)), running(Steady("c", notes)):
            await anyio.sleep(0.5)
            notes.append("block ends")
        return asyncio.get_running_loop().time()

    assert run(scene()) == 15.5
    assert notes == ["a starts", "b starts", "c starts", "block ends", "c ended", "b ended", "a ended"]


def test_tasks_are_named_after_their_parts() -> None:
    async def scene() -> None:
        async with running(Steady("a", [])):
            assert "steady" in {task.get_name() for task in asyncio.all_tasks()}

    run(scene())


def test_a_part_may_name_its_task() -> None:
    class Named(Steady):
        name = "sampler of cpu"

    async def scene() -> None:
        begun = anyio.Event()
        async with running(Named("a", []), Deferred(Steady("b", []), begun)):
            assert {"sampler of cpu", "steady"} <= {task.get_name() for task in asyncio.all_tasks()}

    run(scene())


def test_a_part_that_breaks_cancels_the_block_and_the_others() -> None:
    notes: list[str] = []
    cause = ValueError("the cause")
    error = OSError("broken")
    error.__cause__ = cause

    async def scene() -> None:
        try:
            async with running(Steady("a", notes), Breaking(error), Steady("b", notes)):
                await anyio.sleep_forever()
        finally:
            notes.append("left")

    with pytest.raises(OSError, match="broken") as caught:
        run(scene())
    assert caught.value is error
    assert error.__cause__ is cause
    assert notes[-3:] == ["b ended", "a ended", "left"]


def test_an_error_of_the_block_is_no_group() -> None:
    notes: list[str] = []

    async def scene() -> None:
        async with running(Steady("a", notes), Steady("b", notes)):
            await anyio.sleep(1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(scene())
    assert notes[-2:] == ["b ended", "a ended"]


def test_two_errors_at_once_are_a_group() -> None:
    async def scene() -> None:
        async with running(Breaking(OSError("one")), Breaking(KeyError("two"))):
            await anyio.sleep_forever()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group has no common type on Python 3.10
        run(scene())
    assert sorted(str(error) for error in caught.value.exceptions) == ["'two'", "one"]  # type: ignore[attr-defined]


def test_a_cancellation_from_outside_passes_through() -> None:
    notes: list[str] = []

    async def scene() -> bool:
        with anyio.move_on_after(2) as limit:
            async with running(Steady("a", notes)), running(Steady("b", notes)):
                await anyio.sleep_forever()
        return limit.cancelled_caught

    assert run(scene())
    assert sorted(notes[-2:]) == ["a ended", "b ended"]


def test_a_task_that_is_cancelled_takes_its_parts_along() -> None:
    notes: list[str] = []

    async def live() -> None:
        async with running(Steady("a", notes)):
            await anyio.sleep_forever()

    async def scene() -> None:
        task = asyncio.ensure_future(live())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scene())
    assert notes == ["a starts", "a ended"]


def test_no_parts_are_no_trouble() -> None:
    async def scene() -> int:
        async with running():
            return 7

    assert run(scene()) == 7
