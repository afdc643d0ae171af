"""A member that takes long, or never answers, costs its own readings only, and holds nobody's end."""

import gc
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge_agent.collectors import battery, hwmon, thermal
from edge_agent.collectors.jetson import power
from edge_agent.collectors.sysfs.folder import Folder
from edge_agent.collectors.sysfs.inquiry import Topic
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Gauge, names_in, told
from edge_agent.collectors.sysfs.relay import HUNG, Relay
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.tree import plant, table

LONG = 30.0
"""Seconds that a test would take were it not for what it tests."""
MANY = 100_000
"""Beats, one right after another, in which a thread that may go on does."""


class Doors(dict[str, int]):
    """Errors that no file has: asking for those of a path here waits until the door is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.asked: list[str] = []
        self.waiting = threading.Semaphore(0)
        """One more for each thread that came to a door."""
        self._gets = Counter[str]()
        """How often each was asked for: twice a read, by its name and by where that leads. The first of them waits."""

    def shut(self, *paths: str) -> None:
        """From now on reading these takes long."""
        self.open = threading.Event()
        self.update(dict.fromkeys(paths, 0))

    def come(self, path: str) -> None:
        """Somebody reads this."""
        if path in self:
            door = self.open  # before anybody hears of it, who may put another one there
            self.asked.append(path)
            self.waiting.release()
            door.wait(LONG)

    def get(self, key: str, default: Any = None) -> Any:
        """What the file's error is, in the end: none."""
        if key in self:
            self._gets[key] += 1
            if self._gets[key] % 2:
                self.come(key)
        return default


@contextmanager
def doors() -> Iterator[Doors]:
    """Doors that are open at the end, so that no thread is left."""
    held = Doors()
    try:
        yield held
    finally:
        held.open.set()


class Guarded(NamedTuple):
    """`Part` behind a door."""

    held: Doors
    path: str
    gauge: Gauge

    @property
    def series(self) -> Sequence[Reading]:
        return self.gauge.series

    def read(self) -> Iterable[Reading]:
        self.held.come(self.path)
        return self.gauge.read()


class Members:
    """Members of a folder `d` that are known by their file `id`, with one number each."""

    def __init__(self, root: Path, held: Doors, *, numbered: bool = False, most: int = 32) -> None:
        self.host, self._held = Host(root, live=True), held
        self.roster = Roster(self.host, Kind("d", r"m\d+", self._identify, self._parts, most, numbered=numbered))

    def _identify(self, path: str) -> str:
        self._held.come(f"{path}/id")
        return told(self.host, f"{path}/id")

    def _parts(self, key: str, path: str) -> list[Guarded]:
        names_in(self.host, path)
        gauge = Gauge(HostFile(self.host, f"{path}/n"), Reading("x", None, "1", {"id": key}))
        return [Guarded(self._held, f"{path}/n", gauge)]

    def beat(self) -> dict[str, float | str | None]:
        """What is told at one beat."""
        return table(self.roster.collect())

    def until(self, wanted: dict[str, float | str | None]) -> bool:
        """Whether this is told at one of many beats."""
        return any(self.beat() == wanted for _beat in range(MANY))


def planted(root: Path, count: int = 3) -> dict[str, float | str | None]:
    """Members whose numbers are those of their folders; what is told of them."""
    plant(root, {f"d/m{n}/id": f"a{n}" for n in range(count)} | {f"d/m{n}/n": str(n) for n in range(count)})
    return {f"x a{n}": n for n in range(count)}


@pytest.mark.parametrize("file", ["d/m1/id", "d/m1/n"])
def test_one_that_never_answers_costs_its_own_readings_only_from_the_first_beat_on(tmp_path: Path, file: str) -> None:
    whole = planted(tmp_path)
    with doors() as held:
        held.shut(file)
        members = Members(tmp_path, held)
        others = {key: value for key, value in whole.items() if key != "x a1"}
        for _beat in range(65):
            assert members.beat() == others
        assert held.asked == [file]
        held.clear()
        held.open.set()
        assert members.until(whole)


@pytest.mark.parametrize("beats", [2, 9, 10, 49])
def test_one_that_was_quick_and_never_answers_again_costs_its_own_readings_only(tmp_path: Path, beats: int) -> None:
    whole = planted(tmp_path)
    with doors() as held:
        members = Members(tmp_path, held)
        for _beat in range(beats):
            assert members.beat() == whole
        held.shut("d/m1/n")
        for _beat in range(60):
            assert members.beat() == {**whole, "x a1": "hung"}


def test_one_that_hangs_is_absent_with_its_reason_and_its_late_answer_is_told_once(tmp_path: Path) -> None:
    whole = planted(tmp_path)
    with doors() as held:
        members = Members(tmp_path, held)
        assert members.beat() == whole
        held.shut("d/m1/n")
        for _beat in range(3):
            assert members.beat() == {**whole, "x a1": "hung"}
        assert held.asked == ["d/m1/n"]
        plant(tmp_path, {"d/m1/n": "7"})
        first, door = threading.active_count(), held.open
        held.open = threading.Event()  # the next read waits again
        door.set()
        assert held.waiting.acquire(timeout=LONG)
        assert members.until({**whole, "x a1": 7})
        members.beat()
        assert held.waiting.acquire(timeout=LONG), "it is asked again"
        assert members.beat() == {**whole, "x a1": "hung"}
        assert threading.active_count() <= first
        held.clear()
        held.open.set()
        assert members.until({**whole, "x a1": 7})
        assert {members.beat()["x a1"] for _beat in range(40)} <= {7, "hung"}
        assert members.until({**whole, "x a1": 7})


def test_hung_members_are_bounded_and_so_are_threads(tmp_path: Path) -> None:
    whole = planted(tmp_path, 20)
    with doors() as held:
        members = Members(tmp_path, held)
        assert members.beat() == whole
        before = threading.active_count()
        held.shut(*(f"d/m{n}/n" for n in range(20)))
        for _beat in range(3):
            said = list(members.beat().values())
            assert said.count("hung") == 8
            assert said.count("too many are hung") == 12
        assert threading.active_count() - before <= 8
        held.clear()
        held.open.set()
        assert members.until(whole)


def test_a_late_answer_of_a_member_whose_number_is_anothers_now_is_dropped(tmp_path: Path) -> None:
    plant(tmp_path, {"p/a/m1/id": "a", "p/a/m1/n": "1", "p/b/m2/id": "b", "p/b/m2/n": "2", "p/c/m3/id": "c"})
    plant(tmp_path, {"p/c/m3/n": "3"})
    (tmp_path / "d").mkdir()
    for place, number in (("a", 1), ("b", 2), ("c", 3)):
        (tmp_path / f"d/m{number}").symlink_to(f"../p/{place}/m{number}")
    with doors() as held:
        members = Members(tmp_path, held, numbered=True)
        assert members.beat() == {"x a": 1, "x b": 2, "x c": 3}
        held.shut("p/a/m1/n", "d/m1/n")
        assert members.beat() == {"x a": "hung", "x b": 2, "x c": 3}
        shutil.move(tmp_path / "p/a/m1", tmp_path / "away")
        plant(tmp_path, {"p/a/m1/id": "z", "p/a/m1/n": "26"})  # the same number, on the same device
        said = members.beat()
        assert said["x a"] in {"gone", "hung"}
        held.clear()
        held.open.set()
        for _beat in range(40):
            said = members.beat()
            assert said["x a"] in {"gone", "hung"}
            assert said.get("x z", 26) in {26, "hung"}
        assert members.until({"x a": "gone", "x b": 2, "x c": 3, "x z": 26})


def test_a_late_answer_to_what_was_asked_long_ago_is_not_told_as_of_now(tmp_path: Path) -> None:
    whole = planted(tmp_path)
    with doors() as held:
        members = Members(tmp_path, held)
        assert members.beat() == whole
        plant(tmp_path, {"proc/uptime": "100.00 0.00"})
        held.shut("d/m1/n")
        assert members.beat() == {**whole, "x a1": "hung"}
        plant(tmp_path, {"proc/uptime": "259200.00 0.00"})
        assert held.waiting.acquire(timeout=LONG)
        door = held.open
        held.open = threading.Event()
        door.set()
        for _beat in range(MANY):
            assert members.beat() == {**whole, "x a1": "hung"}
            if held.waiting.acquire(blocking=False):  # the answer is here: it is asked again
                break
        held.clear()
        held.open.set()
        assert members.until(whole)


def test_who_was_not_asked_for_others_that_hung_is_asked_when_they_answered(tmp_path: Path) -> None:
    whole = planted(tmp_path, 10)
    before = set(threading.enumerate())
    with doors() as held:
        members = Members(tmp_path, held)
        held.shut(*(f"d/m{n}/n" for n in range(8)))
        assert members.beat() == {}
        held.open.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(LONG)
        assert members.beat() == whole


def test_what_was_answered_while_others_were_waited_for_was_slow_nevertheless() -> None:
    door, threads = threading.Event(), list[threading.Thread]()

    def first() -> int:
        threads.append(threading.current_thread())
        door.wait(LONG)
        return 1

    def second() -> int:
        door.set()
        threads[0].join(LONG)
        return 2

    assert Relay[str, int]("test", 0.05, 8).ask({"a": first, "b": second}) == ({"a": 1, "b": 2}, {"a": HUNG})


def test_those_that_are_asked_apart_leave_a_thread_to_the_others() -> None:
    door = threading.Event()
    relay = Relay[str, bool]("test", 0.05, 2)
    try:
        said, why = relay.ask({"a": door.wait, "b": door.wait, "c": door.is_set}, ("a", "b"))
        assert said == {"c": False}
        assert why == {"a": HUNG, "b": "too many are hung"}
    finally:
        door.set()


def test_one_that_was_slow_and_went_leaves_quiet_beats_to_the_others(tmp_path: Path) -> None:
    planted(tmp_path)
    host = Host(tmp_path, live=False)

    def parts(key: str, path: str) -> list[Gauge]:
        return [Gauge(HostFile(host, f"{path}/n"), Reading("x", None, "1", {"id": key}))]

    folder = Folder(host, Kind("d", r"m\d+", lambda path: told(host, f"{path}/id"), parts, 8))

    def beat(hung: AbstractSet[Topic], out: AbstractSet[Topic]) -> dict[str, float | str | None]:
        folder.hear({topic: question() for topic, question in folder.look(out).items()})
        tried, _apart = folder.questions(out)
        answers = {topic: question() for topic, question in tried.items() if topic not in hung}
        folder.hear(answers)
        return table(folder.readings(answers, dict.fromkeys(hung, HUNG), out | hung))

    assert beat(set(), set()) == {"x a0": 0, "x a1": 1, "x a2": 2}
    assert beat({"a1"}, set()) == {"x a0": 0, "x a1": "hung", "x a2": 2}
    shutil.rmtree(tmp_path / "d/m1")
    assert [beat(set(), {"a1"}) for _beat in range(60)][-1] == {"x a0": 0, "x a1": "gone", "x a2": 2}
    assert any(folder.quiet() for _beat in range(2))


def test_who_drops_a_roster_ends_its_thread_at_once(tmp_path: Path) -> None:
    planted(tmp_path)
    gc.disable()
    try:
        before = set(threading.enumerate())
        members = Members(tmp_path, Doors())
        members.beat()
        (thread,) = set(threading.enumerate()) - before
        del members
        thread.join(LONG)
        assert not thread.is_alive()
    finally:
        gc.enable()


def test_what_a_member_raises_is_raised_by_the_beat(tmp_path: Path) -> None:
    planted(tmp_path)
    host = Host(tmp_path, live=False)

    def parts(key: str, path: str) -> list[Gauge]:
        raise ZeroDivisionError(f"{key} at {path}")

    roster = Roster(host, Kind("d", r"m\d+", lambda path: path, parts, 8))
    with pytest.raises(ZeroDivisionError, match="d/m0 at d/m0"):
        roster.collect()


HANGING = """
import sys, threading
from pathlib import Path
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.model.ports import Host

def identify(path):
    threading.Event().wait()

roster = Roster(Host(Path(sys.argv[1]), live=False), Kind("d", "m.", identify, identify, 8))
print(roster.collect(), threading.active_count())
"""


def test_a_member_that_never_answers_does_not_hold_the_end_of_the_process(tmp_path: Path) -> None:
    planted(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(tmp_path)], capture_output=True, text=True, check=True, timeout=LONG
    )
    assert done.stdout.split() == ["[]", "4"]


ZONE, CHIP, SUPPLY = "sys/class/thermal/thermal_zone", "sys/class/hwmon/hwmon", "sys/class/power_supply/"
INA = {
    f"{CHIP}{n}/{file}": text
    for n in (0, 1)
    for file, text in {"name": "ina3221", "in1_label": f"RAIL{n}", "in1_input": "5000", "curr1_input": "1000"}.items()
}


@pytest.mark.parametrize(
    ("offer", "files", "slow"),
    [
        (thermal.OFFER, {f"{ZONE}{n}/{file}": text for n in (0, 1, 2) for file, text in
                         {"type": f"zone-{n}", "temp": "1000"}.items()}, f"{ZONE}1/temp"),
        (hwmon.OFFER, {f"{CHIP}{n}/{file}": text for n in (0, 1, 2) for file, text in
                       {"name": f"chip{n}", "in1_input": "1000", "in1_label": "in"}.items()}, f"{CHIP}1/in1_label"),
        (hwmon.OFFER, {f"{CHIP}{n}/{file}": text for n in (0, 1, 2) for file, text in
                       {"name": f"chip{n}", "temp1_input": "1000"}.items()}, f"{CHIP}1/name"),
        (battery.OFFER, {f"{SUPPLY}BAT{n}/{file}": text for n in (0, 1, 2) for file, text in
                         {"type": "Battery", "capacity": "50"}.items()}, f"{SUPPLY}BAT1/capacity"),
        (power.OFFER, INA, f"{CHIP}1/in1_label"),
        (power.OFFER, INA, f"{CHIP}1/curr1_input"),
    ],
)  # fmt: skip
def test_every_collector_of_members_tells_the_others_at_the_first_beat(
    tmp_path: Path, offer: CollectorOffer[Any], files: dict[str, str], slow: str
) -> None:
    plant(tmp_path, files)
    host = Host(tmp_path, live=False)
    whole = table(offer.build(offer.options(), host).collect())
    with doors() as held:
        held.shut(slow)
        collector = offer.build(offer.options(), replace(host, errors=held))
        told = table(collector.collect())
        assert told
        assert told.items() < whole.items()
        held.clear()
        held.open.set()
        assert any(table(collector.collect()) == whole for _beat in range(MANY))
