"""The real clock: its name, its steadiness, its waits, and how far off its wall may be."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from edge_agent.kit.clock import Discipline, Suspends, SystemClock

SYNCHRONISED = Discipline(state=0, status=0x2001, offset=0, freq=0, maxerror=0, tick=10_000, adjtime=0)


def test_the_axis_is_named_by_boot_and_time_namespace() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    name = SystemClock().axis
    assert re.fullmatch(r"[0-9a-f]{32}\.[0-9]+", name)
    assert name.startswith(boot)
    assert SystemClock().axis == name


def test_the_axis_never_steps_back_and_two_clocks_agree() -> None:
    one, two = SystemClock(), SystemClock()
    seen = [one.now() for _ in range(20_000)]
    assert seen == sorted(seen)
    before, between, after = one.now(), two.now(), one.now()
    assert before - 1 <= between <= after + 1


def test_a_suspend_counts_for_two_seconds_less_and_never_for_less_than_nothing() -> None:
    s = 1_000_000_000
    none = Suspends.before(slept=300, raw=7 * s)
    assert none == Suspends(slept=300, counted=300, woken_at=None)
    assert none.after(slept=900_000, raw=9 * s) is none, "what two readings of two clocks may differ by"
    short = none.after(slept=s, raw=9 * s)
    assert short == Suspends(slept=s, counted=300, woken_at=9 * s + 300)
    long = short.after(slept=61 * s, raw=10 * s)
    assert long == Suspends(slept=61 * s, counted=58 * s + 300, woken_at=68 * s + 300)
    assert long.after(slept=30 * s, raw=11 * s).counted == long.counted, "an axis never steps back"


def test_what_was_slept_before_counts_whole() -> None:
    s = 1_000_000_000
    assert Suspends.before(slept=3_600 * s, raw=7 * s) == Suspends(3_600 * s, 3_600 * s, woken_at=3_607 * s)


def test_the_kernels_error_tells_how_long_ago_its_daemon_spoke_at_most() -> None:
    ages = {maxerror: SYNCHRONISED._replace(maxerror=maxerror).age for maxerror in (0, 1, 500, 501, 1_024_000)}
    assert ages == {0: 1_000, 1: 2_000, 500: 2_000, 501: 3_000, 1_024_000: 2_049_000}


def test_the_axis_counts_the_time_since_boot() -> None:
    # RAW is not slewed and BOOTTIME is: over a long uptime they part, by 500 ppm at the very most.
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    assert abs(SystemClock().now() - boot) < 1000 + boot // 1000


def test_a_wait_ends_after_its_time_and_not_before() -> None:
    async def scene() -> None:
        clock = SystemClock()
        before = clock.now()
        await clock.sleep_until(before + 20)
        assert clock.now() >= before + 20
        await clock.sleep(0.001)

    asyncio.run(scene())


def test_a_wait_for_the_past_lets_others_run() -> None:
    async def scene() -> list[str]:
        clock, ran = SystemClock(), list[str]()
        asyncio.get_running_loop().call_soon(ran.append, "other")
        await clock.sleep_until(0)
        return ran

    assert asyncio.run(scene()) == ["other"]


def test_the_wall_is_unix_time() -> None:
    assert abs(SystemClock().wall() - time.time() * 1000) < 1000


def test_the_kernel_is_asked_and_answers_or_does_not_know() -> None:
    clock = SystemClock()
    before, error = clock.now(), clock.wall_error()
    assert error is None or (error.most >= 100 and error.told_at < before)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({}, 100),
        ({"maxerror": 16_001}, 117),
        ({"offset": -2_500_000}, 103),
        ({"offset": -2_500, "status": 0x0001}, 103),
        ({"adjtime": -7_000_000}, 7_100),
        ({"maxerror": 500, "offset": 400_000, "adjtime": 100}, 101),
        ({"freq": 500 * 65_536}, 100),
        ({"freq": -400 * 65_536, "tick": 9_999}, 100),
        ({"state": 1}, 1_100),
        ({"state": 3, "maxerror": 5_000}, 1_105),
    ],
)
def test_a_synchronised_wall_is_off_by_what_the_kernel_holds_possible_at_most(said: dict[str, int], error: int) -> None:
    assert SYNCHRONISED._replace(**said).error == error


@pytest.mark.parametrize(
    "said",
    [
        {"state": 5},
        {"status": 0x0040},
        {"status": 0x2041, "maxerror": 0},
        {"tick": 11_000},
        {"tick": 9_900, "freq": 100 * 65_536, "status": 0x0040},
        {"freq": 501 * 65_536},
        {"freq": -500 * 65_536, "tick": 9_999},
    ],
)
def test_a_wall_that_nobody_keeps_or_that_is_slewed_hard_is_not_known(said: dict[str, int]) -> None:
    assert SYNCHRONISED._replace(**said).error is None
