"""Offers: what a shelf module declares. One extension is one file, one config key and one test.

A module on a shelf holds frozen `Options` (a dataclass whose fields all have defaults; `NoOptions` where it has none)
and one constant, `OFFER`. It is found by its module name: `[collectors.cpu]` is `edge_agent.collectors.cpu`,
`[collectors."jetson.power"]` is the module of a package there, and any other dotted name comes from outside. Only
collectors that run by default are imported unasked.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, Holding, Identity
from edge_agent.model.http import Answer, Request
from edge_agent.model.lamp import Lamp
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.verdict import Verdict
from edge_agent.model.word import Word

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of what has nothing to choose: one class for all, since making a class costs each start."""


class Collector(Protocol):
    """A source of readings. `collect` blocks, on purpose: it runs in its own thread with a time limit."""

    def collect(self) -> Iterable[Reading]:
        """Read once. What cannot be read is a reading without a value, with a reason; raise for a broken source.

        Each call is a beat; one that never told anything is asked for several beats at one go (`uplink.sampler`).
        """


@dataclass(frozen=True, slots=True)
class CollectorOffer(Generic[OptionsT]):
    """A collector: its options and what builds it. `default` collectors run unless the config turns them off.

    `claims` are the hwmon chips, by their `name`, that are its own while it is enabled: a series has one owner.
    """

    options: type[OptionsT]
    build: Callable[[OptionsT, Host], Collector]
    default: bool = False
    claims: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What a push carries besides its frames."""

    sent_at: int | None
    """Unix ms by the device's best knowledge; None when it has none that the hub believes."""
    clocks: Mapping[str, int]
    """Axis name to axis ms now, for at most 8 axes: lets the hub bound their offsets by this arrival."""
    inventory: Sequence[Holding]


@dataclass(frozen=True, slots=True)
class LiveView:
    """What a device shows of itself now: ticks since the last view, lamps, and where its axis stands (ms)."""

    ticks: Sequence[Tick]
    lamps: Sequence[Lamp]
    axis: str
    now: int
    anchor: Anchor | None


class Dialect(Protocol):
    """How one kind of backend is spoken to: pure functions from values to requests and back.

    The last four are room for backends that need them; None means that this one does not.
    """

    def push(self, frames: Sequence[Frame], dispatch: Dispatch) -> Request:
        """The request that delivers these frames."""

    def verdict(self, frames: Sequence[Frame], answer: Answer) -> Verdict:
        """What the answer to `push` means for them."""

    def stream(self, last_event_id: str) -> Request:
        """The request that opens the stream of words."""

    def word(self, event: str, data: str) -> Word | None:
        """What one event of the stream says; None when it is nothing to this agent."""

    def config(self) -> Request | None:
        """The request that fetches the signed config document."""

    def live(self, view: LiveView) -> Request | None:
        """The request that shows ticks and lamps as they are now: not stored, lossy."""

    def grant(self, key: str) -> Request | None:
        """The request that turns the key into a short-lived token."""

    def registration(self, resource: Mapping[str, str]) -> Request | None:
        """The request that makes this device known."""

    def report(self, identity: Identity, report: Mapping[str, Any]) -> Request | None:
        """The request that tells one report, where reports do not travel as frames."""

    def logs(self, records: Sequence[Mapping[str, Any]]) -> Request | None:
        """The request that ships log records, where they do not travel as frames."""


@dataclass(frozen=True, slots=True)
class DialectOffer(Generic[OptionsT]):
    """A dialect: its options and what builds it for a device id."""

    options: type[OptionsT]
    build: Callable[[OptionsT, str], Dialect]


class Tools(Protocol):
    """What a handler may use of the agent."""

    async def flush(self) -> Mapping[str, Any]:
        """Seal what is open and push at once; tells what was sealed."""


Handler = Callable[[Any], Awaitable[Mapping[str, Any]]]
"""Runs one instruction with its validated `args`; the mapping is the outcome's result. DeviceError is a failure."""


@dataclass(frozen=True, slots=True)
class HandlerOffer(Generic[OptionsT]):
    """An instruction: its options, the frozen dataclass of its arguments, and what builds its handler."""

    options: type[OptionsT]
    args: type[Any]
    build: Callable[[OptionsT, Tools], Handler]
