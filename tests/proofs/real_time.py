"""When each beat was really given, seen from outside, and whether what the hub says of it is true.

No clock of the device is asked. A `Witness` asks again and again how many beats were given (`beats`), and the wall
clock of this machine before and after each answer says between which true times each one was. That clock is the true
time here: the hub has it too, and states an error of a few milliseconds. Once all is quiet, `judge` compares:

    no wrong time   a beat's true time lies in `ts ± ts_err`, by what the hub answers to `/api/v1/query`
    order kept      along an axis `ts` never falls; and where the axis went on, every interval is what the axis measured
    no gap          each beat of the grid, between the first and the last of a life, is there or was declared as missed
    none doubled    and none lost: the reckoning of `real`

A tick carries the instant at which its collector was asked, and a busy machine answers a little later: `lag` is how
much at most, and half of all beats must be told right without it. Times are Unix ms. Not seen: an error of the hub's
times that is smaller than what the witness can tell.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import groupby, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from tests.proofs import beats
from tests.proofs.real import Camp, missed, reckoned
from tests.system.program import Program, ask, stored_batches

HUB_ERROR = 0.005
"""Seconds that the hub states: it shares a clock with the witness."""
_LOOK = 0.005
"""Seconds between two questions of a witness."""
_EVER = 2**53
_MOST = 10_000
"""Points of one answer before it is thinned."""
_SHOWN = 5
_WIDE = 1_000
"""Ms of error from which on a time is of little use."""


class Witness:
    """Asks for the count of beats all the time, in a thread of its own, until the block is left.

    `count` may raise OSError once whoever counts is gone: nothing more is seen then. `besides` is done each time too.
    """

    def __init__(self, count: Callable[[], int], besides: Callable[[], object] = lambda: None) -> None:
        self._count, self._besides = count, besides
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: list[tuple[int, int]] = []
        """Between which true times each beat was given, by its number."""

    def __enter__(self) -> "Witness":  # noqa: PYI034 - typing has no Self on 3.10
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        earliest = wall()
        while not self._over.is_set():
            asked = wall()
            try:
                given = self._count()
            except OSError:
                return
            latest = wall()
            self.seen += [(earliest, latest)] * (given - len(self.seen))
            earliest = asked
            self._besides()
            time.sleep(_LOOK)


def wall() -> int:
    """True time in Unix ms, as this machine and the hub have it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """What the hub says of one beat: when it was, how far off that may be (None: unknown), and what it rests on."""

    ts: int
    error: int | None
    flag: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a beat stands on the axis of its device, in axis ms."""

    number: int
    axis: str
    at: int


@dataclass(slots=True)
class Account:
    """What a scene came to: what was wrong with it, and its figures."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be judged: how many beats were given, their witness, the count at the end of each life, the beat's ms.

    `steady`: no axis stood still. `unseen`: a life had no hub at all, its times are approximate.
    """

    given: int
    seen: Sequence[tuple[int, int]]
    ends: Sequence[int]
    period: int
    lag: int
    steady: bool = True
    unseen: bool = False


def judge(site: Camp, hub: Program, scene: Scene) -> Account:
    """Compare, once no agent runs and while this life of the hub does. See the module."""
    device, account = site.devices[0], Account()
    batches = stored_batches(site.hub_folder, device.name)
    placed = sorted(_placed(batches), key=lambda one: one.number)
    declared = missed(batches)
    numbers = [one.number for one in placed]
    # Most that are missed here are beats at which the process stood still: none of them was given.
    reckoning = reckoned(device.name, device.audit(), numbers, scene.given, scene.ends, declared["hung"])
    account.wrong += reckoning.violations
    if reckoning.lost:
        account.wrong.append(f"{reckoning.lost} batches were declared lost")
    said = _asked_of(hub, site.hub_port, device.name)
    account.wrong += _first_few("not in the hub's answer", sorted(set(numbers) - set(said)))
    account.wrong += gaps(placed, scene, sum(declared.values()))
    account.wrong += disorder(placed, said, steady=scene.steady)
    account.wrong += untrue(said, scene)
    told = [one.error for one in said.values() if one.error is not None and one.flag == "anchored"]
    account.figures |= {
        "beats": float(scene.given),
        "missed": float(sum(declared.values())),
        "error" if scene.steady else "paused": float(max(told, default=0)),
        "wide": float(sum(error > _WIDE for error in told)),
        "off": float(max((_distance(one.ts, scene.seen[n]) for n, one in _anchored(said, scene)), default=0)),
        "prompt": _prompt_share(said, scene),
        "unbounded": float(sum(one.error is None for one in said.values())),
    }
    return account


def _placed(batches: Sequence[Any]) -> Iterator[Placed]:
    for batch in batches:
        for track in batch.tracks:
            if track.collector == beats.NAME:
                for at, value in zip(track.instants, track.columns[0], strict=True):
                    if value is not None:
                        yield Placed(int(value), batch.axis, at)


def _asked_of(hub: Program, port: int, device: str) -> dict[int, Said]:
    """What the hub tells a viewer of each beat, by number."""
    link = orjson.loads(hub.said.splitlines()[0])["login"]
    session = _posted(port, "/api/v1/auth/login", {"token": link.rpartition("token=")[2]})
    wanted = f"device={device}&name={beats.NAME}&from={-_EVER}&to={_EVER}&width={_MOST}"
    answer = ask(port, f"/api/v1/query?{wanted}", {"authorization": f"Bearer {session['access_token']}"})
    assert answer is not None, "the hub does not answer"
    status, curves = answer
    assert status == 200, curves
    assert curves["complete"], "the hub did not come to an end"
    return {
        int(value): Said(ts, error, flag)
        for series in curves["series"]
        for ts, error, flag, value, *_others in series["points"]
    }


def _posted(port: int, path: str, body: Any) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, orjson.dumps(body), {"content-type": "application/json"})
        return orjson.loads(connection.getresponse().read())
    finally:
        connection.close()


def gaps(placed: Sequence[Placed], scene: Scene, declared: int) -> list[str]:
    """Beats of the grid that are neither there nor declared, over all lives."""
    lives = groupby(placed, key=lambda one: (sum(one.number >= end for end in scene.ends), one.axis))
    empty, places = 0, list[str]()
    for _life, of_life in lives:
        slots = [one.at // scene.period for one in of_life]
        empty += slots[-1] - slots[0] + 1 - len(set(slots))
        places += [
            f"{later - earlier - 1} after {earlier}" for earlier, later in pairwise(slots) if later - earlier > 1
        ]
    if empty <= declared:
        return []
    return [f"{empty} beats of the grid are empty, {declared} were declared: {', '.join(places[:_SHOWN])}"]


def disorder(placed: Sequence[Placed], said: dict[int, Said], *, steady: bool) -> list[str]:
    """Where the hub's times fall along an axis, or intervals are not those of the axis (where that went on)."""
    wrong = []
    for axis, of_axis in groupby(sorted(placed, key=lambda one: (one.axis, one.at)), key=lambda one: one.axis):
        stands = [(one.at, said[one.number].ts) for one in of_axis if one.number in said]
        back = [f"{one} then {other}" for one, other in pairwise(stands) if other[1] < one[1]]
        wrong += _first_few(f"on axis {axis[-12:]} the hub's times fall (axis ms, ts)", back)
        uneven = [f"{one} then {other}" for one, other in pairwise(stands) if other[1] - one[1] != other[0] - one[0]]
        wrong += _first_few(f"on axis {axis[-12:]} intervals changed (axis ms, ts)", uneven if steady else [])
    return wrong


def untrue(said: dict[int, Said], scene: Scene) -> list[str]:
    """Beats whose true time does not lie within what the hub says, in words."""
    wrong, rough = [], []
    for number, one in sorted(said.items()):
        if number >= len(scene.seen):
            wrong.append(f"beat {number} was seen by nobody")
            continue
        earliest, latest = scene.seen[number]
        if one.flag != "anchored":
            rough.append(number)
        if one.error is not None and not (one.ts - one.error <= latest and earliest - scene.lag <= one.ts + one.error):
            wrong.append(f"beat {number} at {one.ts} ± {one.error} ({one.flag}), was in [{earliest}, {latest}]")
    if _prompt_share(said, scene) < 1 / 2:
        wrong.append("more than half of the beats are told too early")
    return _first_few("wrong times", wrong) + _first_few("approximate", [] if scene.unseen else rough)


def _prompt_share(said: dict[int, Said], scene: Scene) -> float:
    """The share of beats whose true time is not later than what the hub says, with no lag allowed for."""
    prompt = [scene.seen[n][0] <= one.ts + (one.error or 0) for n, one in _anchored(said, scene)]
    return sum(prompt) / len(prompt) if prompt else 1.0


def _anchored(said: dict[int, Said], scene: Scene) -> Iterator[tuple[int, Said]]:
    return ((n, one) for n, one in said.items() if one.flag == "anchored" and n < len(scene.seen))


def _distance(ts: int, span: tuple[int, int]) -> int:
    """How far a time lies outside what was seen."""
    return max(0, span[0] - ts, ts - span[1])


def _first_few(what: str, found: Sequence[object]) -> list[str]:
    return [f"{len(found)} {what}: {'; '.join(map(str, found[:_SHOWN]))}"] if found else []


class Manager:
    """A service manager's end of the notify protocol; `address` is what a service is told of it.

    `listen` takes what stands there, and must be called often.
    """

    def __init__(self, folder: Path) -> None:
        self.address = folder / "notify"
        self._way = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._way.bind(str(self.address))
        self._way.settimeout(0)
        self.signs: list[float] = []
        """When there was a sign of life, in seconds of the monotonic clock, by which a manager goes."""

    def listen(self) -> None:
        """Take what was said since."""
        try:
            while True:
                if b"WATCHDOG=1" in self._way.recv(4096):
                    self.signs.append(time.monotonic())
        except BlockingIOError:
            pass

    def longest_silence(self, began: float, ended: float) -> float:
        """The longest time without a sign of life from the first one on, in seconds, of a life between these."""
        within = [sign for sign in self.signs if began <= sign <= ended]
        return max((later - earlier for earlier, later in pairwise([*within, ended])), default=ended - began)

    def close(self) -> None:
        """Give the address back."""
        self._way.close()
