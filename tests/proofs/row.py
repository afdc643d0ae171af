"""What a row of the table is: a promise, how it is tried, and what must come of it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Findings:
    """What one part found: how often it tried, what was against the promise (in words), and figures by name."""

    tried: int
    violations: Sequence[str] = ()
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `prove` runs part 0, 1, ... `parts - 1`; `tell` says in a few words what all of them measured.

    `unmet` names, from the findings of all parts, what falls short of `least`; violations always do. `lacks` says why
    the row cannot be tried on this machine, "" when it can. `side_by_side` parts run at the same time.
    """

    name: str
    promise: str
    least: str
    parts: int
    prove: Callable[[int], Findings]
    tell: Callable[[Sequence[Findings]], str]
    unmet: Callable[[Sequence[Findings]], Sequence[str]]
    lacks: Callable[[], str] = lambda: ""
    side_by_side: int = 1


def tried(parts: Sequence[Findings]) -> int:
    """How often it was tried in all."""
    return sum(part.tried for part in parts)


def total(parts: Sequence[Findings], figure: str) -> float:
    """The sum of a figure over all parts."""
    return sum(part.figures.get(figure, 0.0) for part in parts)


def greatest(parts: Sequence[Findings], figure: str) -> float:
    """The greatest of a figure over all parts; 0 when none has it."""
    return max((part.figures[figure] for part in parts if figure in part.figures), default=0.0)


def fewer_than(least: int) -> Callable[[Sequence[Findings]], Sequence[str]]:
    """For `unmet`: nothing but the number of tries is asked for."""

    def unmet(parts: Sequence[Findings]) -> Sequence[str]:
        return [] if tried(parts) >= least else [f"tried {tried(parts):,} times of {least:,}"]

    return unmet


def lacking(*programs: str) -> str:
    """For `lacks`: which of these programs are not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""
