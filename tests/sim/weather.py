"""The weather on a line: everything that may happen to what it carries, as one value, drawn anew as a scene likes.

Shares are from 0 to 1, times are virtual seconds, sizes bytes.

    lose_requests   the share of requests that vanish before the hub saw them
    lose_answers    the share of answers that vanish after the hub acted
    delay           seconds by which each way is longer
    late, latest    the share of ways that are longer by up to `latest`, so that later requests overtake
    repeat          the share of requests that the hub gets once more, up to `latest` later; nobody hears that answer
    tear_requests   the share of requests whose connection is reset after some of their bytes left; the hub acts when
                    all of them had left, and else knows nothing of it
    tear_answers    the share of answers, and of pieces of a stream, that are reset after some bytes: the reader sees a
                    broken line, or, where nothing told the length, a body cut short
    hole            nothing arrives on either side and nobody says so; open streams fall silent
    largest         the largest body that a proxy lets through; what is larger is answered 413
    door, ajar      who answers in the hub's place, and to which share of requests
    gateway, gated  a gateway that gives its own answer though the hub acted, and to which share of requests
    stale           the share of answers that come from a cache: an older one of the same path, with `Age`
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields

from edge_agent.hub.exchange import Reply
from edge_agent.model.http import Request


@dataclass(frozen=True, slots=True)
class Door:
    """Somebody who answers in the hub's place; `name` is for people."""

    name: str
    answer: Callable[[Request], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Weather:
    """See the module."""

    lose_requests: float = 0.0
    lose_answers: float = 0.0
    delay: float = 0.0
    late: float = 0.0
    latest: float = 30.0
    repeat: float = 0.0
    tear_requests: float = 0.0
    tear_answers: float = 0.0
    hole: bool = False
    largest: int | None = None
    door: Door | None = None
    ajar: float = 1.0
    gateway: Door | None = None
    gated: float = 0.0
    stale: float = 0.0

    def __str__(self) -> str:
        """What is not fair about it."""
        said = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                shown = value.name if isinstance(value, Door) else f"{value:.2g}" if isinstance(value, float) else value
                said.append(f"{field.name} {shown}")
        return ", ".join(said) or "fair"


FAIR = Weather()
"""Nothing happens but the way itself."""
