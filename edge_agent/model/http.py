"""HTTP as values: what is asked, what was answered, and the one way in which nothing came back.

Header names are lower case on both sides. Bodies are whole: the link reads answers up to a cap, the hub's rim
reads requests up to a cap, so no part that meets these values has to bound them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` starts with a slash and carries the query; the link adds origin and key."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and the axis times (ms) just before the request left and just after the head came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: int
    received_at: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer: the name did not resolve, the door was closed, the line broke, time ran out.

    `reason` is for people. Whether the other side acted on the request is unknown, unless nothing of it was `sent`:
    then no connection stood. Two that say the same are equal.
    """

    reason: str
    sent: bool = field(default=True, compare=False)
