"""A copy of a recorded machine whose files may be made to go wrong, and put back."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random

from edge_agent.agent.machine import host_of
from edge_agent.agent.plan import build_plan
from edge_agent.config.load import load
from edge_agent.model.offers import Collector
from edge_agent.model.reading import Reading
from tests.machines.machine import FOLDER, Key, Told, files_of, words
from tests.machines.wounds import ERRNOS, LINKED, LONG, SILENT, STRANGERS, WILD, long_digits

_PARTS = ("proc", "sys", "etc", "var")
_LOADED = load(Path("/dev/null"), {"collectors": {"self": {"enabled": False}}})
_FACTS = ("README.md", "golden.jsonl", "golden.opt-in.jsonl")
_SETTLED = 10
"""Beats after which every series was told, also those that are told once in ten."""


@dataclass(frozen=True)
class Harm:
    """What was done to one path: `silent` when no number can be read there any more."""

    path: str
    kind: str
    silent: bool


@dataclass
class Machine:
    """The copy; `told` is what it says when it is whole."""

    name: str
    root: Path
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    told: Mapping[Key, Told] = field(default_factory=dict)
    sources: Mapping[Key, frozenset[str]] = field(default_factory=dict)
    trails: Mapping[Key, frozenset[str]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @classmethod
    def copied(cls, name: str, folder: Path) -> "Machine":
        """A fresh copy below a folder."""
        root = folder / name
        shutil.copytree(FOLDER / name, root, symlinks=True, ignore=lambda _folder, names: set(names) & set(_FACTS))
        machine = cls(name, root, errors=dict(host_of(root).errors))
        for part in _PARTS:
            for where, folders, files in os.walk(root / part):
                for entry in sorted([*folders, *files]):
                    path = os.path.relpath(f"{where}/{entry}", root)
                    if (root / path).is_symlink():
                        machine.links.append(path)
                    elif (root / path).is_file():
                        machine.files.append(path)
        machine.told = {one.key: one for one in words(machine.built(), _SETTLED)}
        machine.sources = {key: machine.real(one.reading) for key, one in machine.told.items()}
        machine.trails = {key: frozenset(machine.trail(one.reading)) for key, one in machine.told.items()}
        return machine

    @cached_property
    def read(self) -> Mapping[str, frozenset[Key]]:
        """The series that are read in each file."""
        found: dict[str, set[Key]] = {}
        for key, files in self.sources.items():
            for file in files:
                found.setdefault(file, set()).add(key)
        return {file: frozenset(keys) for file, keys in found.items()}

    @cached_property
    def folders(self) -> list[str]:
        """Folders of devices: what is gone at once when a device is."""
        return sorted(
            {str(Path(path).parent) for path in self.files if path.startswith("sys/devices/") and path in self.read}
        )

    def built(self, errors: Mapping[str, int] | None = None) -> dict[str, Collector]:
        """Its collectors, newly built; `errors` may change while they run."""
        host = replace(host_of(self.root), errors=self.errors if errors is None else errors)
        return {schedule.name: schedule.collector for schedule in build_plan(_LOADED, host).schedules}

    def real(self, reading: Reading) -> frozenset[str]:
        """The files that a reading is from, below the root, as links lead there on the whole machine."""
        whole = FOLDER / self.name
        return frozenset(os.path.relpath(os.path.realpath(whole / path), whole) for path in files_of(whole, reading))

    def trail(self, reading: Reading) -> Iterator[str]:
        """The links that a reading is reached by, below the root: those in its path, and to the folders above."""
        for path in files_of(self.root, reading):
            at = self.root
            for part in path.split("/"):
                at = Path(os.path.realpath(at)) / part
                if at.is_symlink():
                    yield os.path.relpath(at, self.root)
            for above in {*Path(path).parents, *Path(os.path.realpath(self.root / path)).parents}:
                yield from self.leading.get(os.path.relpath(self.root / above, self.root), ())

    @cached_property
    def leading(self) -> Mapping[str, list[str]]:
        """The links of classes, buses and blocks that lead to each folder."""
        found: dict[str, list[str]] = {}
        for link in self.links:
            if link.startswith(("sys/class/", "sys/bus/", "sys/block/")):
                found.setdefault(os.path.relpath(os.path.realpath(self.root / link), self.root), []).append(link)
        return found

    def harm(self, errors: dict[str, int], chance: Random) -> Iterator[Harm]:
        """Make something go wrong: a file, a link, a device, or a stranger among them; errnos go to `errors`."""
        dice = chance.random()
        if dice < 0.06 and self.folders:
            folder = chance.choice(self.folders)
            for path in [path for path in [*self.files, *self.links] if path.startswith(f"{folder}/")]:
                yield Harm(path, "its device is gone", silent=True)
            remove(self.root / folder)
        elif dice < 0.12 and self._strangers():
            path = chance.choice(self._strangers())
            kind = chance.choice(list(STRANGERS))
            remove(self.root / path)
            STRANGERS[kind](self.root / path)
            yield Harm(path, kind, silent=False)
        elif dice < 0.22 and self.links:
            yield self._wound(chance.choice(self.links), chance.choice(LINKED), chance)
        else:
            path = chance.choice(self.files)
            if chance.random() < 0.3:
                errors[path] = chance.choice(ERRNOS)
                yield Harm(path, os.strerror(errors[path]), silent=True)
            else:
                yield self._wound(path, chance.choice([*SILENT, *WILD, LONG]), chance)

    def heal(self, harms: Iterable[Harm]) -> None:
        """Put everything back as it was."""
        for harm in harms:
            remove(self.root / harm.path)
        for harm in harms:
            if os.path.lexists(FOLDER / self.name / harm.path):
                (self.root / harm.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(FOLDER / self.name / harm.path, self.root / harm.path, follow_symlinks=False)

    def _strangers(self) -> list[str]:
        """Names that a folder of sysfs may get."""
        places = sorted({str(Path(link).parent) for link in self.links if link.startswith("sys/class/")})
        known = {place: next(link for link in self.links if link.startswith(f"{place}/")) for place in places}
        return [f"{place}/{Path(known[place]).name.rstrip('0123456789')}77" for place in places]

    def _wound(self, path: str, kind: str, chance: Random) -> Harm:
        file = self.root / path
        whole = file.read_bytes() if kind == LONG and file.is_file() else b""
        remove(file)
        if not file.parent.is_dir():
            pass  # its device went before
        elif kind == LONG:
            file.write_bytes(long_digits(whole, chance))
        else:
            (SILENT.get(kind) or WILD[kind])(file, chance)
        return Harm(path, kind, silent=kind in SILENT)


def remove(path: Path) -> None:
    """Away with it, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
