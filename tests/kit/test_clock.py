"""The real clock: its name, its steadiness, its waits."""

import asyncio
import re
import time
from pathlib import Path

from edge_agent.kit.clock import SystemClock


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
