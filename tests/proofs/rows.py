"""The rows by name, and one part of one of them: what a process of its own is asked for."""

from importlib import import_module

from tests.proofs.ledger import strays
from tests.proofs.row import Findings, Row

NAMES = (
    "states",
    "bugs",
    "calls",
    "kills",
    "hubkills",
    "damage",
    "fulldisk",
    "powercut",
    "schedules",
    "clocks",
    "exchanges",
    "skew",
    "netns",
    "realclocks",
    "week",
    "fleet",
    "flash",
    "backlog",
)
"""Every row, in the order of the table; each is a module here."""


def row_named(name: str) -> Row:
    """The row of a module here."""
    row = import_module(f"tests.proofs.{name}").ROW
    assert isinstance(row, Row)
    return row


def prove(name: str, part: int) -> Findings:
    """Try one part of a row; RuntimeError when it ran something of which its digest knows nothing."""
    found = row_named(name).prove(part)
    if overlooked := strays(name):
        raise RuntimeError(f"{name} runs {', '.join(overlooked)}, which the ledger overlooked")
    return found
