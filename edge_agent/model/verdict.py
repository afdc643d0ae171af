"""Verdicts: what an answer means for the frames that were asked about, matched exhaustively.

A frame leaves the buffer only when a verdict names it. Whatever is not understood is `Refused`: a wrong door,
which is probed slowly while everything is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.model.frame import Identity

SettledStatus = Literal["stored", "duplicate", "thinned", "rejected"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The hub's last word on one frame; `code` says why it was rejected."""

    status: SettledStatus
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The request was understood: each frame named here is settled, each that is not is sent again."""

    settled: Mapping[Identity, Settlement]
    kept: Mapping[Identity, str] = field(default_factory=dict)
    """Frames that this hub refused by name for a reason that another hub, or a later one, may not have: its codes."""


@dataclass(frozen=True, slots=True)
class Later:
    """A fault that passes: transport, 408, 425, 429, 5xx. `after` is a lower bound in seconds, if one was given."""

    why: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: send less at once. `limit` is the size in bytes that the hub named, if it did."""

    limit: int | None


@dataclass(frozen=True, slots=True)
class Skewed:
    """The hub does not believe `Edge-Sent-At`: learn its time (Unix ms) and send the same frames again."""

    hub_time: int | None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401 or 403: pause, probe slowly, keep everything until the key changes."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A wrong door: another 4xx, a redirect, a page of HTML, a captive portal's 200. `reason` says what answered."""

    reason: str


Verdict = Delivered | Later | TooLarge | Skewed | Unauthorized | Refused
