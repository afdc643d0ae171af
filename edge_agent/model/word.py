"""Words: what a hub says to a device over its stream, and how an instruction ended.

A word is data, never yet believed: instructions and config documents carry the signed bytes as they came, and
whoever acts on them opens the envelope first (`wire.envelope`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Hello:
    """The stream stands: the hub knows this device and expects it to fetch its config."""

    hub_epoch: str


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope that arrived: `purpose` tells what its bytes must open to."""

    purpose: Literal["instruction", "config"]
    envelope: bytes


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """There is a new config document to fetch."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody looks: send ticks live for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Bye:
    """The hub will close the stream; come back after so many seconds."""

    after: float
    why: str


@dataclass(frozen=True, slots=True)
class Reset:
    """What was missed cannot be replayed: ask for the present state."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A sign of life; `twin` says that another machine speaks under this device's id, too."""

    twin: bool = False


Word = Hello | Signed | ConfigChanged | Watch | Bye | Reset | Keepalive


@dataclass(frozen=True, slots=True)
class Instruction:
    """What an envelope for this device opened to. Times are Unix ms; `id` is unique for the device's life."""

    id: str
    device: str
    key_id: str
    issued_at: int
    not_before: int
    expires_at: int
    type: str
    args: Mapping[str, Any]


OutcomeState = Literal["received", "running", "done", "failed", "refused", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far an instruction came on the device. `code` is stable; `detail` is for people; `result` is JSON."""

    instruction: str
    state: OutcomeState
    code: str | None = None
    detail: str | None = None
    result: Mapping[str, Any] | None = None

    def report(self) -> dict[str, Any]:
        """The report that tells the hub."""
        return {
            "type": "outcome",
            "instruction": self.instruction,
            "state": self.state,
            "code": self.code,
            "detail": self.detail,
            "result": self.result,
        }
