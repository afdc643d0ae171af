"""A recorded machine as the agent reads it: the collectors that run by default, with their claims, for a few beats.

Every collector is asked by the same plan that the agent builds. `self` is left out: it tells of this very process.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from edge_agent.agent.machine import host_of
from edge_agent.agent.plan import build_plan
from edge_agent.collectors.sysfs.lasting import lasting_name
from edge_agent.config.load import load
from edge_agent.model.offers import Collector
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

FOLDER = Path(__file__).parent
MACHINES = tuple(sorted(path.name for path in FOLDER.iterdir() if (path / "README.md").exists()))
OPT_IN = ("jetson.tegrastats", "jetson.jtop")
"""Collectors that run only where they are asked for, and know what others know."""
BEATS = 5
"""Shares of time are differences between two beats; a source is asked for a file that fails a few beats in a row."""

_BETWEEN = re.compile(r" [*/] ")
"""What stands between the files of one reading; a `*` within a path is a number that boots change."""
_NO_CONFIG = Path("/dev/null")
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Told:
    """A reading and the collector that told it."""

    collector: str
    reading: Reading

    @property
    def key(self) -> Key:
        """What makes it one series: name and attributes."""
        return self.reading.name, tuple(sorted(self.reading.attributes.items()))


def collectors(host: Host, also: Iterable[str] = ()) -> dict[str, Collector]:
    """The collectors of a machine by name, newly built: those that run by default, and `also` these."""
    chosen: Mapping[str, Any] = {"self": {"enabled": False}, **{name: {"enabled": True} for name in also}}
    plan = build_plan(load(_NO_CONFIG, {"collectors": chosen}), host)
    return {schedule.name: schedule.collector for schedule in plan.schedules}


def beat(built: Mapping[str, Collector]) -> list[Told]:
    """What every collector tells at one beat."""
    return [Told(name, reading) for name, collector in built.items() for reading in collector.collect()]


def words(built: Mapping[str, Collector], beats: int) -> list[Told]:
    """What is told at the last of so many beats, and the last word on what is not told at each of them."""
    earlier: dict[Key, Told] = {}
    for _ in range(beats - 1):
        earlier.update((one.key, one) for one in beat(built))
    last = beat(built)
    known = {one.key for one in last}
    return [*last, *(one for key, one in earlier.items() if key not in known)]


def readings(root: Path, also: Iterable[str] = ()) -> list[Told]:
    """The readings of the machine below a root after a few beats."""
    return words(collectors(host_of(root), also), BEATS)


def lines(told: Sequence[Told]) -> Iterator[bytes]:
    """One reading a line, in an order that does not move."""
    for one in sorted(told, key=lambda one: (one.collector, one.key, one.reading.source)):
        attributes = dict(sorted(one.reading.attributes.items()))
        row = {"collector": one.collector, **one.reading._replace(attributes=attributes)._asdict()}
        yield orjson.dumps({name: value for name, value in row.items() if name == "value" or value not in (None, {})})


def files_of(root: Path, reading: Reading) -> list[str]:
    """The files below a root that a reading is from, as its source names them, each by one path without `*`."""
    found: list[str] = []
    for path in _BETWEEN.split(reading.source):
        if "*" in path:
            files = [file for file in root.glob(path[1:]) if not _is_entry(file.parent)]
            found += _of_one(root, sorted(files, key=_natural), reading)
        elif path.startswith("/"):
            found.append(path[1:])
    return found


def _of_one(root: Path, files: list[Path], reading: Reading) -> list[str]:
    """Of the files that a pattern leads to, the one of the zone or cooling device that the reading is of."""
    if len(files) > 1:
        known = reading.attributes.get("linux.cooling.device") or reading.attributes.get("hw.id", "")
        kind, _sign, count = known.partition("#")
        alike = [file for file in files if _type(file.parent) == kind]
        place = int(count or 1)
        files = alike[place - 1 : place]
    return [os.path.relpath(file, root) for file in files]


def _is_entry(folder: Path) -> bool:
    """Whether it is the link of a class to what is told of under its own path."""
    return folder.is_symlink() and folder.name != "device"


def _type(folder: Path) -> str | None:
    file = folder / "type"
    return lasting_name(file.read_text().strip()) if file.exists() else None


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", str(path))]


def goldens(root: Path) -> dict[str, list[bytes]]:
    """The golden files of a machine, by name: what it reads, and what is otherwise where it has what is opt-in."""
    plain = list(lines(readings(root)))
    found = {"golden.jsonl": plain}
    if (root / "commands").is_dir():
        known = set(plain)
        found["golden.opt-in.jsonl"] = [line for line in lines(readings(root, OPT_IN)) if line not in known]
    return found


def doubled(told: Iterable[Told]) -> list[str]:
    """The series that came with more than one value, or twice from one place."""
    seen: dict[Any, str] = {}
    found = []
    for one in told:
        where = f"{one.collector} {one.reading.source}"
        for key in ([one.key] if one.reading.value is not None else []) + [(*one.key, one.reading.source)]:
            if key in seen:
                found.append(f"{one.reading.name} {dict(one.reading.attributes)}: {seen[key]} and {where}")
            seen[key] = where
    return found
