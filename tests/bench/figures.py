"""Figures: what was measured, beside what was promised, as a table for people and JSON for programs.

A goal bounds a figure from above or from below; how far a miss is off is told in percent of the goal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

_PRECISION = 3
"""Digits that count of a number below a thousand."""
_VALUE = 2
"""The column of numbers, which is set flush right."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound: `at most` or `at least` so much, in the figure's unit."""

    side: Literal["at most", "at least"]
    bound: float

    def off(self, value: float) -> float:
        """How far a value misses the goal, as a share of it; 0 when it is met."""
        over = (value - self.bound) if self.side == "at most" else (self.bound - value)
        return max(0.0, over / self.bound)

    def verdict(self, value: float) -> str:
        """`met`, or by how much it is missed."""
        off = self.off(value)
        return "met" if off == 0 else f"MISSED by {max(1, round(off * 100))} %"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: the median of `rounds` where there are several."""

    part: str
    name: str
    value: float
    unit: str
    goal: Goal | None = None
    note: str = ""
    rounds: Sequence[float] = ()

    @property
    def missed(self) -> bool:
        """Whether it has a goal and misses it."""
        return self.goal is not None and self.goal.off(self.value) > 0

    def told(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return {
            "part": self.part,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": None if self.goal is None else {self.goal.side: self.goal.bound},
            "verdict": None if self.goal is None else self.goal.verdict(self.value),
            "note": self.note,
            "rounds": list(self.rounds),
        }


@dataclass(slots=True)
class Sheet:
    """All figures of a run, in order, and footnotes: a heading and lines each."""

    figures: list[Figure] = field(default_factory=list)
    footnotes: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    def add(self, figure: Figure) -> Figure:
        """Put a figure down."""
        self.figures.append(figure)
        return figure

    def footnote(self, heading: str, lines: Sequence[str]) -> None:
        """Put a footnote down."""
        self.footnotes.append((heading, lines))


def typical(
    part: str, name: str, rounds: Sequence[float], unit: str, goal: Goal | None = None, note: str = ""
) -> Figure:
    """The figure of several rounds: their median."""
    return Figure(part, name, median(rounds), unit, goal, note, tuple(rounds))


def written(value: float) -> str:
    """A number with the digits that count: whole from a thousand on."""
    if round(abs(value)) >= 10**_PRECISION or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.{_PRECISION}g}"


def table(sheet: Sheet) -> str:
    """The figures as lines of text, the footnotes below."""
    heads = ("part", "figure", "value", "unit", "goal", "verdict", "note")
    rows = [heads]
    for figure in sheet.figures:
        goal, spread = figure.goal, ""
        if len(figure.rounds) > 1:
            spread = f"{len(figure.rounds)} rounds, {written(min(figure.rounds))} to {written(max(figure.rounds))}"
        rows.append((
            figure.part,
            figure.name,
            written(figure.value),
            figure.unit,
            "" if goal is None else f"{'<=' if goal.side == 'at most' else '>='} {written(goal.bound)}",
            "" if goal is None else goal.verdict(figure.value),
            "; ".join(part for part in (figure.note, spread) if part),
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = []
    for index, row in enumerate(rows):
        cells = [
            cell.rjust(width) if at == _VALUE else cell.ljust(width) for at, (cell, width) in _columns(row, widths)
        ]
        lines.append("  ".join(cells).rstrip())
        if index == 0:
            lines.append("  ".join("-" * width for width in widths))
    for heading, notes in sheet.footnotes:
        lines += ["", heading, *(f"    {note}" for note in notes)]
    return "\n".join(lines)


def _columns(row: Sequence[str], widths: Sequence[int]) -> Iterable[tuple[int, tuple[str, int]]]:
    return enumerate(zip(row, widths, strict=True))
