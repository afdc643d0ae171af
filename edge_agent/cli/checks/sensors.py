"""The sensors: what the collectors read of this machine, what they cannot, and what opens it.

Every collector of the config is built anew and asked by the sampler, each in its own thread with its time limit, so one
that hangs or breaks is told and holds nothing. What is absent for a good reason (a block without power, a processor
that is off) is not told. Absences are told once a cause, with the first source.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio

from edge_agent.agent.plan import build_plan
from edge_agent.cli.explain import is_starting, tried_for
from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.remedy import BOARD, FILES, POWER, closed, is_closed, program_fix
from edge_agent.kit.hostfile import HostFile
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.scopes import running
from edge_agent.model.lamp import Lamp
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sampler import Sampler, Schedule

_BEATS, _MOST_BEATS, _BEAT = 2, 10, 0.5
"""Beats that each is asked for, and while a program that it asks is still starting; and seconds between them."""
_MOST_SECONDS = 5.0
_PATIENCE = 12.0
_UNKNOWN = "unknown"
_DENIED = ("unreadable: EACCES", "unreadable: EPERM")
_WARNED = {
    "fault": "the chip says that this sensor is broken or not connected: look at its cable",
    "malformed": "the file holds no number: tell the driver's authors, or turn the collector off",
    "unreadable: EIO": "the bus or the sensor does not answer: look at `dmesg`",
    "unreadable: ETIMEDOUT": "the bus or the sensor does not answer: look at `dmesg`",
}
_TEGRA_GPU = re.compile(r"57000000\.gpu|17000000\.(?:gpu|gp10b|gv11b|ga10b)|gpu-gpc-\d+")
"""Clocks of the GPUs of Jetson boards: other makers' are called `gpu` as well, at other addresses."""


@dataclass(slots=True)
class _Heard:
    """What one collector told at its last beat, or why it told nothing."""

    schedule: Schedule
    readings: Sequence[Reading] = ()
    beats: int = 0
    failure: str = ""

    @property
    def over(self) -> bool:
        """Whether it need not be asked again."""
        most = _MOST_BEATS if is_starting(self.schedule.collector, self.readings) else _BEATS
        return bool(self.failure) or self.beats >= most


async def _look(patient: Patient) -> list[Finding]:
    heard = await _asked(patient)
    return [*_broken(heard), *_told(heard), *_board(patient, heard), *_absent(patient, heard)]


async def _asked(patient: Patient) -> list[_Heard]:
    """Every collector with what it told, once all told enough."""
    ports, plan = patient.ports, build_plan(patient.loaded, patient.ports.host)
    schedules = [
        replace(schedule, interval=_BEAT, timeout=min(schedule.timeout, _MOST_SECONDS))
        for schedule in plan.schedules
        if schedule.name != "self"
    ]
    heard = {schedule.name: _Heard(schedule) for schedule in schedules}
    done = anyio.Event()

    def told(one: _Heard) -> None:
        if one.over and all(other.over for other in heard.values()):
            done.set()

    def take(tick: Tick) -> None:
        one = heard[tick.collector]
        one.readings, one.beats, one.failure = tick.readings, one.beats + 1, ""
        told(one)

    def changed(lamp: Lamp) -> None:
        if lamp.state != "ok":
            one = heard[lamp.part.removeprefix("collector.")]
            one.failure = lamp.note
            told(one)

    lamps = LampBoard(ports.clock, changed)
    with anyio.move_on_after(_PATIENCE if heard else 0):
        async with running(Sampler(schedules, ports.clock, ports.offload, lamps, take, lambda _: None)):
            await done.wait()
    return list(heard.values())


def _broken(heard: Iterable[_Heard]) -> Iterator[Finding]:
    for one in heard:
        if one.failure:
            name = one.schedule.name
            fix = f'the others go on; turn it off: [collectors."{name}"] enabled = false, or give it a longer timeout'
            yield Finding("warn", one.failure, f"collector {name}", fix)


def _told(heard: Sequence[_Heard]) -> Iterator[Finding]:
    readings = [reading for one in heard for reading in one.readings]
    have = sum(reading.value is not None for reading in readings)
    sources = sum(any(reading.value is not None for reading in one.readings) for one in heard)
    if have:
        yield Finding("ok", f"{have} readings of {sources} collectors, {len(readings) - have} absent", "the collectors")
    else:
        yield Finding("fail", "no collector reads anything", "the collectors", "is /proc mounted here?")


def _board(patient: Patient, heard: Iterable[_Heard]) -> Iterator[Finding]:
    """What of a Jetson is hidden, as containers do, or is not there."""
    readings = {reading.name: reading for one in heard for reading in one.readings}
    board = readings.get("jetson.board")
    known: Mapping[str, str] = board.attributes if board is not None else {}
    if known.get("jetson.soc", _UNKNOWN) == _UNKNOWN and (known or _has_gpu(patient)):
        yield Finding("warn", "this is a Jetson, and its device tree is hidden", "/proc/device-tree", BOARD)
    elif known.get("jetson.l4t.version") == _UNKNOWN:
        fix = f"in a container {FILES}; an image of another maker (Yocto) may have none: leave it"
        yield Finding("warn", "the board's L4T is not known", "/etc/nv_tegra_release", fix)
    if known and "hw.power" not in readings:
        yield Finding("warn", "no power monitor of the board is seen", "/sys/bus/i2c/drivers", POWER)


def _has_gpu(patient: Patient) -> bool:
    try:
        names = os.listdir(patient.ports.host.root / "sys/class/devfreq")  # noqa: PTH208 - names alone are needed
    except OSError:
        return False
    return any(_TEGRA_GPU.fullmatch(name) for name in names)


def _absent(patient: Patient, heard: Iterable[_Heard]) -> Iterator[Finding]:
    causes: dict[tuple[str, str], tuple[str, int]] = {}
    for one in heard:
        for reading in one.readings:
            cause = _cause(patient, one, reading)
            if cause is not None:
                first, count = causes.get(cause, (reading.source, 0))
                causes[cause] = (first, count + 1)
    for (what, fix), (source, count) in causes.items():
        yield Finding("warn", what if count == 1 else f"{what} ({count} readings)", source, fix)


def _cause(patient: Patient, one: _Heard, reading: Reading) -> tuple[str, str] | None:
    """What is wrong and what to do about it; None when nothing is, or nothing can be done."""
    host, reason = patient.ports.host, reading.reason or ""
    files = list(_files(host, reading.source))
    shut = next((file for file in files if reason in _DENIED and _is_denied(host, file)), None)
    if shut is None and os.geteuid() == 0:
        shut = next((file for file in files if file.startswith("/sys/") and is_closed(host.root, file)), None)
    if shut is not None:
        found = closed(host.root, shut)
        return found.what, found.fix
    if reading.value is not None:
        return None
    if reading.name == "jetson.source.up":
        return f"{reading.source}: {reason}", program_fix(reading.source, reason)
    said = dict(tried_for(one.schedule.collector, reading)).get("nvml")
    if reading.name.startswith("hw.gpu.") and said is not None:
        return f"no file tells it here, and NVML does not either: {said}", program_fix("nvml", said)
    if reason in _WARNED:
        return reason, _WARNED[reason]
    return None


def _files(host: Host, source: str) -> Iterator[str]:
    """The files that a source names (`a / b`); a number that boots change stands in it as `*`."""
    for word in source.split(" "):
        if word.startswith("/") and "*" in word:
            yield from sorted(f"/{found.relative_to(host.root)}" for found in host.root.glob(word[1:]))
        elif word.startswith("/") and word != "/":
            yield word


def _is_denied(host: Host, file: str) -> bool:
    """Whether it is this file that may not be read, of those that make up one reading (`a / b`)."""
    try:
        HostFile(host, file[1:]).read()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


CHECK = Check(65, _look)
