"""Power cuts of a virtual machine: no batch that was durable is lost, none is doubled.

A part is a line of two lives on one disk. The machine runs a real spool, or a whole agent, on ext4; it is cut off at an
instant that nobody inside can know (`kill -9` of the machine), and its disk forgets what the guest had not flushed, but
for any blocks of it. The next life begins on what is left. From the same log of the disk many more cuts are made up, at
other instants, with none, some and all of what was not flushed yet. Each is mounted here, and looked at (`vmimage`).

Under the file system there may be dm-flakey: one that drops every write from some instant on is a power cut by itself,
and one that fails every write for a while is a disk that comes back: what was called durable between is durable.

Not tried: disks that lie about flushes, blocks of 4 KiB torn within, other file systems, real hardware.
"""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.model.frame import Identity
from tests.proofs.row import Findings, Row, fewer_than, lacking, total, tried
from tests.proofs.vmbuild import Guest, build, lacking_for_a_guest
from tests.proofs.vmdisk import Cut, Disk, cuts, last_cut
from tests.proofs.vmhost import PROGRAM, Machine
from tests.proofs.vmimage import Eye, lacking_for_an_image, new_image, promised

_MEMORY = "/dev/shm"
_PLAYS = ("writes", "runs", "writes", "dark", "writes", "fails", "writes", "falters")
"""Of part 0, 1, ..., and again from the start."""
_PARTS = 12
_LIVES = 2
_LEAST_CUTS = 20
_MADE_UP = 45
_FLAKEY = frozenset({"dark", "fails", "falters"})
_SEALS = {"writes": (0, 400), "runs": (0, 24), "dark": (0, 0), "fails": (100, 300), "falters": (4, 12)}
"""How many batches a life seals after it is awaited; counted, not timed, for a machine that has other work too."""
_EARLY = 0.4
"""How often a later life ends before it sealed anything."""
_LAST_SECONDS = 2.0
_PATIENCE = 300.0
"""Seconds for a guest to come up, and to seal what it may, beside other work."""


@dataclass(slots=True)
class Line:
    """What a line of lives came to so far."""

    real: int = 0
    """Cuts of the machine at which something was promised."""
    made_up: int = 0
    owed: int = 0
    """Batches that were promised at the cuts of the machine, over all of them."""
    violations: tuple[str, ...] = ()

    def note(self, what: str, wrong: Sequence[str]) -> None:
        """Add what was wrong with one cut."""
        self.violations += tuple(f"{what}: {words}" for words in wrong)


def lead(folder: Path, guest: Guest, play: str, seed: int, lives: int, made_up: int) -> Line:
    """A line of lives of one play, cut off and looked at; `made_up` cuts a life are made up besides."""
    chance = random.Random(seed)
    line = Line()
    eye = Eye(folder, f"{play}-{seed}", witnesses=play in {"writes", "dark", "fails"})
    content, before = new_image(folder), dict[Identity, str]()
    for life in range(lives):
        disk = Disk(content)
        _live(guest, disk, play, life, chance, line)
        cut = last_cut(disk, chance)
        here = f"{play}, seed {seed}, life {life}"
        owed = promised(cut.marks, before)
        found, wrong = eye.look(cut.content, owed)
        line.note(f"{here}, {_words(cut)}", wrong)
        line.real += bool(owed)
        line.owed += len(owed)
        for other in cuts(disk, chance, made_up):
            _found, wrong = eye.look(other.content, promised(other.marks, before))
            line.note(f"{here}, made up, {_words(other)}", wrong)
            line.made_up += 1
        content, before = cut.content, found
    return line


def _live(guest: Guest, disk: Disk, play: str, life: int, chance: random.Random, line: Line) -> None:
    """One life, up to its end without notice."""
    # A first life is to have sealed something; a later one may end while it still looks at what it found.
    awaited = "dark" if play == "dark" else "mounted" if life else "sealed"
    more = 0 if life and chance.random() < _EARLY else chance.randint(*_SEALS[play])
    with Machine(guest, disk, play, chance.getrandbits(32)) as machine:
        came = machine.hear_of(awaited, _PATIENCE)
        for _ in range(more):
            came = came and machine.hear_of("sealed", _PATIENCE)
        machine.live(chance.uniform(0, _LAST_SECONDS))
    if not came or any(said.startswith("broken") for said in machine.told):
        line.note(f"{play}, life {life}", [f"it stopped short: {' / '.join(machine.told[-8:])}"])


def _words(cut: Cut) -> str:
    return f"cut after {len(cut.marks)} lines with {cut.kept} of {cut.unsure} blocks that were not flushed"


def _prove(part: int) -> Findings:
    with tempfile.TemporaryDirectory(prefix="edge-powercut-", dir=_MEMORY) as folder:
        line = lead(Path(folder), build(Path(folder)), _PLAYS[part % len(_PLAYS)], part, _LIVES, _MADE_UP)
    figures: dict[str, float] = {"made_up": line.made_up, "owed": line.owed}
    if _PLAYS[part % len(_PLAYS)] in _FLAKEY:
        figures["flakey"] = line.real
    return Findings(line.real, line.violations, figures)


def _tell(parts: Sequence[Findings]) -> str:
    real, made_up = tried(parts), total(parts, "made_up")
    return (
        f"{real} cuts of the machine, {total(parts, 'flakey'):.0f} of them with dm-flakey under it, and {made_up:,.0f} "
        f"more made up from its writes and flushes; {total(parts, 'owed'):,.0f} batches were promised at the former"
    )


def _unmet(parts: Sequence[Findings]) -> list[str]:
    short = list(fewer_than(_LEAST_CUTS)(parts))
    return short if total(parts, "flakey") else [*short, "none with dm-flakey under it"]


def lacks() -> str:
    """Why no power can be cut here."""
    return lacking(PROGRAM, "ldd") or lacking_for_a_guest() or lacking_for_an_image()


ROW = Row(
    name="powercut",
    promise="a power cut of a virtual machine, dm-flakey under it too, loses no sealed batch and doubles none",
    least=f"{_LEAST_CUTS} cuts; 0 lost, 0 doubled",
    parts=_PARTS,
    prove=_prove,
    tell=_tell,
    unmet=_unmet,
    lacks=lacks,
    side_by_side=2,
)
