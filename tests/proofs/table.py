"""The table of the proofs: a line a row, with what was asked, what was found, and whether that is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import orjson

from tests.proofs.row import Findings, Row

_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it stands."""

    name: str
    promise: str
    least: str
    found: str
    state: Literal["met", "not met", "not complete", "skipped"]


def line_of(row: Row, known: Mapping[int, Findings]) -> Line:
    """How a row stands with what its parts found so far."""
    if why := row.lacks():
        return Line(row.name, row.promise, row.least, f"cannot be tried here: {why}", "skipped")
    parts = [known[part] for part in range(row.parts) if part in known]
    if len(parts) < row.parts:
        return Line(row.name, row.promise, row.least, f"{len(parts)} of {row.parts} parts were run", "not complete")
    violations = [violation for part in parts for violation in part.violations]
    short = [*row.unmet(parts), *violations]
    found = row.tell(parts)
    if short:
        found += f"; {len(violations)} violations" if violations else ""
        found += "; " + "; ".join(short[:_MOST_SHOWN])
    return Line(row.name, row.promise, row.least, found, "not met" if short else "met")


def written(lines: Sequence[Line]) -> str:
    """The table as Markdown, as the README shows it."""
    head = ["| row | promise | at least | found | |", "|---|---|---|---|---|"]
    rows = [
        f"| `{line.name}` | {line.promise} | {line.least} | {line.found} | {_mark(line)} |".replace("\n", " ")
        for line in lines
    ]
    return "\n".join([*head, *rows]) + "\n"


def document(lines: Sequence[Line]) -> str:
    """The table as JSON."""
    return orjson.dumps([asdict(line) for line in lines], option=orjson.OPT_INDENT_2).decode() + "\n"


def _mark(line: Line) -> str:
    return line.state if line.state in {"met", "skipped"} else f"**{line.state}**"
