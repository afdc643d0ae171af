"""Threads: order, errors, calls that hang, loops that close, and what a call costs."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edge_agent.kit.offload import Threads
from tests.sim.offload import InlineOffload


def names() -> list[str]:
    """The names of the threads that live."""
    return [thread.name for thread in threading.enumerate()]


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    while not true():  # noqa: ASYNC110 - what is waited for happens in a thread
        await asyncio.sleep(0.001)


def test_a_thread_starts_with_the_first_call_and_ends_when_released() -> None:
    async def scene() -> None:
        threads = Threads()
        worker = threads.worker("reader")
        assert "reader" not in names()
        assert await worker.run(lambda: threading.current_thread().name) == "reader"
        assert await worker.run(divmod, 7, 2) == (3, 1)
        assert await worker.run(int, "ff", base=16) == 255
        threads.release(worker)
        threads.release(worker)
        with pytest.raises(RuntimeError, match="released"):
            await worker.run(int)

    asyncio.run(scene())


def test_a_worker_that_was_never_asked_is_released_without_a_thread() -> None:
    threads = Threads()
    threads.release(threads.worker("idle"))
    assert "idle" not in names()


def test_calls_run_one_at_a_time_in_order() -> None:
    async def scene() -> list[int]:
        threads, ran = Threads(), list[int]()
        worker = threads.worker("disk")
        await asyncio.gather(*(worker.run(ran.append, number) for number in range(100)))
        threads.release(worker)
        return ran

    assert asyncio.run(scene()) == list(range(100))


def stop() -> NoReturn:
    """Raise what no future can carry."""
    raise StopIteration


@pytest.mark.parametrize(
    ("call", "kind"),
    [(Path("/none").read_bytes, FileNotFoundError), (partial(int, "a"), ValueError), (stop, RuntimeError)],
)
def test_what_a_call_raises_is_raised_where_it_is_awaited(call: Callable[[], Any], kind: type[Exception]) -> None:
    async def scene() -> None:
        threads = Threads()
        worker = threads.worker("disk")
        with pytest.raises(kind):
            await worker.run(call)
        assert await worker.run(int) == 0
        threads.release(worker)

    asyncio.run(scene())


def test_a_worker_is_stuck_until_the_call_that_was_given_up_returns() -> None:
    async def scene() -> None:
        threads, gate, ran = Threads(), threading.Event(), list[int]()
        worker = threads.worker("sensor")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.run(gate.wait), 0.01)
        waiting = asyncio.ensure_future(worker.run(ran.append, 1))
        await asyncio.sleep(0)
        assert worker.stuck
        gate.set()
        await until(lambda: not worker.stuck)
        await waiting
        assert ran == [1]
        threads.release(worker)

    asyncio.run(scene())


def test_a_call_whose_caller_left_before_it_began_runs_all_the_same() -> None:
    async def scene() -> None:
        threads, gate, ran = Threads(), threading.Event(), list[int]()
        worker = threads.worker("disk")
        first = asyncio.ensure_future(worker.run(gate.wait))
        second = asyncio.ensure_future(worker.run(ran.append, 2))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        await first
        await until(lambda: not worker.stuck)
        assert ran == [2]
        threads.release(worker)

    asyncio.run(scene())


def test_an_error_that_nobody_waits_for_any_more_is_dropped() -> None:
    async def scene() -> None:
        threads, gate = Threads(), threading.Event()
        worker = threads.worker("sensor")

        def fail() -> NoReturn:
            gate.wait()
            raise OSError("late")

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.run(fail), 0.01)
        gate.set()
        await until(lambda: not worker.stuck)
        threads.release(worker)

    asyncio.run(scene())


def test_an_error_that_comes_in_the_turn_of_the_cancellation_is_dropped() -> None:
    async def scene() -> None:
        threads, returned = Threads(), threading.Event()
        worker = threads.worker("sensor")
        caller = asyncio.ensure_future(worker.run(int, "a"))
        after = asyncio.ensure_future(worker.run(returned.set))
        await asyncio.sleep(0)
        # The loop stands still until the thread has handed the error over; the cancellation lines up behind it, in
        # front of the caller that the error will wake.
        returned.wait()
        asyncio.get_running_loop().call_soon(caller.cancel)
        with pytest.raises(asyncio.CancelledError):
            await caller
        await after
        assert not worker.stuck
        threads.release(worker)

    asyncio.run(scene())


def test_a_loop_that_closed_while_a_call_was_out_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    threads, gate = Threads(), threading.Event()
    worker = threads.worker("sensor")

    async def scene() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.run(gate.wait), 0.01)

    asyncio.run(scene())
    [thread] = [thread for thread in threading.enumerate() if thread.name == "sensor"]
    gate.set()
    threads.release(worker)
    thread.join()
    assert capfd.readouterr() == ("", "")


def test_a_hung_call_does_not_hold_the_exit_of_the_process() -> None:
    program = """
import asyncio, threading
from edge_agent.kit.offload import Threads
async def scene():
    worker = Threads().worker("sensor")
    try:
        await asyncio.wait_for(worker.run(threading.Event().wait), 0.01)
    except asyncio.TimeoutError:
        pass
asyncio.run(scene())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_thread_that_could_not_start_is_asked_for_again() -> None:
    program = """
import asyncio, threading
from edge_agent.kit.offload import Threads
async def scene():
    worker = Threads().worker("sensor")
    threading.stack_size(1 << 44)
    try:
        await worker.run(int)
        raise SystemExit("a thread with such a stack cannot be")
    except RuntimeError:
        pass
    threading.stack_size(0)
    assert await asyncio.wait_for(worker.run(int), 10) == 0
asyncio.run(scene())
"""
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)


def test_a_worker_of_another_offload_is_refused() -> None:
    with pytest.raises(TypeError):
        Threads().release(InlineOffload().worker("a"))
