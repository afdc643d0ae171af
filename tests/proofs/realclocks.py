"""Wrong clocks under the real agent beside the real hub: each reading is still told at its true time, and none is lost.

    born ahead, born behind   a start with a time of day that is ten years off, the hub away at first (faketime)
    steps                     the time of day steps while it runs: years, days, seconds, both ways, with and without hub
    namespaces                lives that each have their own CLOCK_BOOTTIME, up to ten years apart; one never met a hub
    long stops                the process stands still (SIGSTOP) for tens of seconds
    many stops                and for moments, at any instant
    set by days               a virtual machine that was born in 2016: `date -s` by days, slewing by 10 %, and a kernel
                              that says that it is synchronised and then no longer is; what `edge-agent sample` tells
                              of its times is looked at in both
    paused                    a virtual machine stands still as a whole, and its axis with it: true time goes on unseen

`real_time` says what is looked at in each, and by whose clock. Besides, the agent's own word for true time is compared
with it, and a service manager's end of the watchdog listens: a silence longer than the unit allows is a violation.

A scene that this machine cannot play is skipped, with its reason. Not tried: a real suspend; a hub with a wrong clock.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.proofs import vmclock
from tests.proofs.real import EVERY, Device, camp, scratch
from tests.proofs.real_stage import Stage
from tests.proofs.real_time import Manager, Scene, Witness, judge
from tests.proofs.real_wrongs import (
    YEAR,
    FalseClock,
    lacking_faketime,
    lacking_time_namespaces,
    stop_for,
    time_namespace,
)
from tests.proofs.row import Findings, Row, greatest, total, tried
from tests.system.program import free_port

_LAG = 1_000
"""Ms that a collector may take to answer, on a machine that has other work."""
_DAY = 86_400
_STEPS = (10 * YEAR, 3, -3, -10 * YEAR, 0, _DAY, -400 * _DAY, 61, -3_600, 30 * _DAY)
"""Seconds by which the time of day is off, one after the other."""
_AWAY = frozenset({3, 4, 8})
"""The steps that happen while there is no hub."""
_LONG_STOPS = (25.0, 40.0, 12.0)
_MANY_STOPS = 24


def _born(stage: Stage, off: int) -> None:
    """A start with a wrong time of day, before the hub is there; and a second one, as wrong the other way."""
    false = FalseClock(stage.site.folder / "off")
    for life, seconds in enumerate((off, -off)):
        false.be_off_by(seconds)
        stage.let_hub_go()
        with stage.life(*false.before) as agent:
            stage.expect("it samples without a hub", agent, stage.device.beaten(40))
            stage.let_hub_come()
            stage.expect("all arrives", agent, _arrives(stage.device))
            clock = stage.ask_for_the_time(f"in life {life}")
            _check_false(stage, clock, seconds)
            stage.expect("it goes on", agent, stage.device.beaten(20))


def _steps(stage: Stage, steps: Sequence[int] = _STEPS) -> None:
    false = FalseClock(stage.site.folder / "off")
    false.be_off_by(0)
    with stage.life(*false.before) as agent:
        stage.expect("all arrives", agent, _arrives(stage.device))
        for number, seconds in enumerate(steps):
            if number in _AWAY:
                stage.let_hub_go()
            elif stage.hub is None:
                stage.let_hub_come()
            false.be_off_by(seconds)
            stage.expect(f"it samples on after the step to {seconds:+d} s", agent, stage.device.beaten(25))
            if stage.hub is not None:
                stage.expect(f"all arrives after the step to {seconds:+d} s", agent, _arrives(stage.device))
            clock = stage.ask_for_the_time(f"after the step to {seconds:+d} s")
            _check_false(stage, clock, seconds)


def _namespaces(stage: Stage) -> None:
    """Three axes, each a boot: the second never met the hub, and lies between the others."""
    with time_namespace(86_400, 3_600) as first, stage.life(*first) as agent:
        stage.expect("it samples", agent, stage.device.beaten(30))
        stage.expect("all arrives", agent, _arrives(stage.device))
    stage.let_hub_go()
    with time_namespace(10 * YEAR, 5) as second, stage.life(*second) as agent:
        stage.expect("it samples without a hub", agent, stage.device.beaten(40))
    stage.let_hub_come()
    with time_namespace(30 * _DAY, 7 * _DAY) as third, stage.life(*third) as agent:
        stage.expect("it samples", agent, stage.device.beaten(30))
        stage.expect("all arrives", agent, _arrives(stage.device))
        stage.ask_for_the_time("on the third axis")


def _long_stops(stage: Stage) -> None:
    _stop_again_and_again(stage, _LONG_STOPS)


def _many_stops(stage: Stage) -> None:
    chance = random.Random(5)
    _stop_again_and_again(stage, [chance.uniform(0.2, 6.0) for _ in range(_MANY_STOPS)])


def _stop_again_and_again(stage: Stage, stops: Sequence[float]) -> None:
    chance = random.Random(len(stops))
    with stage.life() as agent:
        stage.expect("all arrives", agent, _arrives(stage.device))
        for seconds in stops:
            time.sleep(chance.uniform(0, 10 * EVERY))
            stop_for(agent.pid, seconds)
            stage.expect(f"it samples on after {seconds:.1f} s", agent, stage.device.beaten(5))
        stage.expect("all arrives", agent, _arrives(stage.device))
        stage.ask_for_the_time("after the stops")


def _arrives(device: Device) -> Callable[[], bool]:
    """A condition: what was given until then is at the hub."""
    enough = device.beaten(5)
    return lambda: enough() and device.is_all_but_quiet()


def _check_false(stage: Stage, clock: dict[str, Any], seconds: int) -> None:
    """The agent must see that its time of day is wrong: else nothing was tried."""
    if clock and abs((clock["wall_off_ms"] or 0) - 1000 * seconds) > 1000:
        stage.account.wrong.append(f"the time of day is off by {seconds} s, and the agent says {clock}")


def _here(play: Callable[[Stage], None], stage: Stage, *, unseen: bool = False) -> Scene:
    """Play it on this machine; `unseen`: one life never meets the hub."""
    device = stage.device
    device.local_port = free_port()
    device.configure()
    stage.let_hub_come()
    with Witness(lambda: device.given, stage.manager.listen) as witness:
        play(stage)
    return Scene(device.given, witness.seen, device.ends, round(EVERY * 1000), _LAG, unseen=unseen)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part: its name, what it takes that may be lacking, how often a clock goes wrong in it, and what is played."""

    name: str
    lacks: Callable[[], str]
    times: int
    play: Callable[[Stage], Scene]


_PARTS = (
    _Part("born ahead", lacking_faketime, 2, partial(_here, partial(_born, off=10 * YEAR))),
    _Part("born behind", lacking_faketime, 2, partial(_here, partial(_born, off=-10 * YEAR))),
    _Part("steps", lacking_faketime, len(_STEPS), partial(_here, _steps)),
    _Part("namespaces", lacking_time_namespaces, 3, partial(_here, _namespaces, unseen=True)),
    _Part("long stops", lambda: "", len(_LONG_STOPS), partial(_here, _long_stops)),
    _Part("many stops", lambda: "", _MANY_STOPS, partial(_here, _many_stops)),
    _Part("set by days", vmclock.lacks, vmclock.SETTINGS, vmclock.set_by_days),
    _Part("paused", vmclock.lacks, len(vmclock.PAUSES), vmclock.pause),
)


def prove(part: int) -> Findings:
    """One part, or nothing where it cannot be played here."""
    return Findings(0) if _PARTS[part].lacks() else _proved(_PARTS[part])


def prove_some_steps(steps: Sequence[int]) -> Findings:
    """The time of day is off by so many seconds, one after the other; the watchdog is not waited for."""
    play = partial(_here, partial(_steps, steps=steps))
    return _proved(_Part("some steps", lacking_faketime, len(steps), play), in_haste=True)


def _proved(played: _Part, *, in_haste: bool = False) -> Findings:
    with scratch() as folder, ExitStack() as stack:
        stage = Stage(camp(folder, 1), Manager(folder), in_haste=in_haste)
        stack.callback(stage.manager.close)
        stack.callback(stage.let_hub_go)
        scene = played.play(stage)
        found = judge(stage.site, stage.hub or stage.let_hub_come(), scene)
    wrong = [*stage.account.wrong, *found.wrong]
    return Findings(played.times, [f"{played.name}: {one}" for one in wrong], found.figures | stage.account.figures)


def _tell(parts: Sequence[Findings]) -> str:
    skipped = [f"{one.name} ({why})" for one in _PARTS if (why := one.lacks())]
    return (
        f"{tried(parts)} wrongs, {total(parts, 'beats'):,.0f} ticks: 0 wrong times, 0 gaps, 0 doubled, 0 restarts; "
        f"{total(parts, 'missed'):,.0f} ticks declared missed; errors told up to {greatest(parts, 'error'):,.0f} ms "
        f"where the axis went on, up to {greatest(parts, 'paused') / 1000:,.0f} s where a machine stood still; "
        f"more than a second for {total(parts, 'wide'):,.0f} ticks in all"
        + (f"; skipped: {', '.join(skipped)}" if skipped else "")
    )


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    """What could have been played here and was not."""
    return [
        f"not played: {one.name}" for one, found in zip(_PARTS, parts, strict=True) if not (found.tried or one.lacks())
    ]


ROW = Row(
    name="realclocks",
    promise="whatever a device's clock does, its readings are told at their true time",
    least="faketime, time namespaces, stops, a machine that is set and paused: 0 wrong times, 0 gaps, 0 restarts",
    parts=len(_PARTS),
    prove=prove,
    tell=_tell,
    unmet=_unmet,
    side_by_side=1,
)
