"""Who issues instructions, a device that is told them, and true time as a test sets it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson

from edge_agent.downlink.dispatcher import Ability, Dispatcher, Options, TrustedKey
from edge_agent.downlink.ledger import Ledger
from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import DeviceError
from edge_agent.model.http import Answer
from edge_agent.model.word import Signed
from edge_agent.wire.envelope import public_of, sign
from tests.downlink.scripted import Board
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.offload import InlineOffload

NOW = 1_800_000_000_000
DAY = 86_400_000
FOLDER = Path("/state/ledger")
PRIVATE = Random(1).randbytes(32)
OTHER = Random(2).randbytes(32)
TYPES = frozenset({"echo", "count", "hang", "break", "say", "many", "reboot"})


@dataclass(frozen=True, slots=True)
class Text:
    """Arguments that may be left out."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """Arguments that may not."""

    n: int


class SetTime:
    """`model.ports.TrueTime`: `offset` and `error` in ms; None before the first answer. A guess is no anchor."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.offset: int | None = NOW - 1_000_000
        self.error = 0
        self.guessed = False
        self.asked = 0
        """How often the anchor was asked for."""

    def observe(self, answer: Answer) -> None:
        raise AssertionError(answer)

    def anchor(self) -> Anchor | None:
        self.asked += 1
        if self.offset is None or self.guessed:
            return None
        return Anchor(self.offset - self.error, self.offset + self.error, self._clock.now())

    def now(self) -> int | None:
        return None if self.offset is None else self.offset + self._clock.now()

    def turn(self) -> int:
        return 0


def issue(
    id: str = "i-1",  # noqa: A002 - the field's name
    type: str | None = "echo",  # noqa: A002 - likewise
    private: bytes = PRIVATE,
    signer: str = "ops",
    **fields: Any,
) -> Signed:
    """A signed instruction, fresh and for this device unless the fields say otherwise; None leaves one out."""
    body = {
        "id": id,
        "device": "car-3",
        "key_id": "ops",
        "issued_at": NOW,
        "not_before": NOW,
        "expires_at": NOW + DAY,
        "type": type,
        "args": {},
        **fields,
    }
    return signed(orjson.dumps({name: value for name, value in body.items() if value is not None}), private, signer)


def signed(body: bytes, private: bytes = PRIVATE, signer: str = "ops") -> Signed:
    """Any body, signed."""
    return Signed("instruction", sign("instruction", body, signer, private))


class Device:
    """One life of a device: what it reported, how often each handler started."""

    def __init__(self, disk: MemoryDisk, options: Options | None = None) -> None:
        self.clock = SimClock()
        self.time = SetTime(self.clock)
        self.board = Board()
        self.reports: list[dict[str, Any]] = []
        self.durable = True
        self.started: list[Any] = []
        self.released = asyncio.Event()
        abilities = {
            "echo": Ability(Text, self.echo),
            "count": Ability(Number, self.echo),
            "hang": Ability(Text, self.hang),
            "break": Ability(Text, self.broken),
            "say": Ability(Text, self.say),
            "many": Ability(Text, self.many),
        }
        keys = {"ops": TrustedKey(public_of(PRIVATE), TYPES), "viewer": TrustedKey(public_of(OTHER), frozenset())}
        self.offload = InlineOffload()
        ledger = Ledger(FOLDER, disk, self.offload)
        self.dispatcher = Dispatcher(
            options or Options(), "car-3", keys, abilities, ledger, self, self.clock, self.time, self.board
        )

    async def report(self, report: Mapping[str, object]) -> bool:
        self.reports.append(dict(report))
        return self.durable

    def ends(self) -> list[tuple[Any, Any, Any]]:
        """The outcomes that are ends, as (id, state, code)."""
        return [
            (report["instruction"], report["state"], report["code"])
            for report in self.reports
            if report["type"] == "outcome" and report["state"] not in {"received", "running"}
        ]

    async def echo(self, args: Any) -> Mapping[str, Any]:
        self.started.append(args)
        return {"said": getattr(args, "text", None)}

    async def hang(self, args: Any) -> Mapping[str, Any]:
        self.started.append(args)
        await self.released.wait()
        return {}

    async def broken(self, args: Text) -> Mapping[str, Any]:
        self.started.append(args)
        if args.text == "surrogate":
            raise ValueError("caf\udce9 " + "x" * 1000)
        if args.text == "device":
            raise DeviceError("no such sensor", hint="plug it in")
        return {"never": 1 // len(args.text)}

    async def say(self, _args: Text) -> Mapping[str, Any]:
        return {"object": object()}

    async def many(self, _args: Text) -> Mapping[str, Any]:
        return {"text": "x" * 100_000}
