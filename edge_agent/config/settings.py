"""What can be set, composed of each part's own frozen Options.

A part that wants a setting declares it in its Options; this file only gives the section its name. Durations are
written as `10s`, sizes as `256MiB`. Unknown keys are errors. Values are frozen: a changed config is a new `Settings`.

Secrets are not here: `hub.key_file` names the file that holds the API key. Under systemd it is the credential
`hub_key`; nothing in this module can print a key because nothing in it ever holds one.
"""

import re
from base64 import b64decode
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import SettingsConfigDict

from edge_agent.downlink.dispatcher import Options as DispatcherOptions
from edge_agent.downlink.listener import Options as ListenerOptions
from edge_agent.kit.sources import Layered
from edge_agent.link.session import Options as LinkOptions
from edge_agent.link.timekeeper import Options as TimeOptions
from edge_agent.local.options import Options as LocalOptions
from edge_agent.model.quantity import Interval
from edge_agent.spool.options import Options as SpoolOptions
from edge_agent.uplink.beater import Options as BeaterOptions
from edge_agent.uplink.pusher import Options as PusherOptions
from edge_agent.uplink.sealer import Options as SealerOptions

DEVICE_ID = re.compile(r"^[A-Za-z0-9._-]*$")
_KEY_BYTES = 32
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class Device(BaseModel):
    """`[device]`: who this is."""

    model_config = _FROZEN
    id: str = Field(default="", max_length=64, pattern=DEVICE_ID.pattern)
    """The name under which the hub knows this device; the host name when empty, if that can be one."""


class Hub(BaseModel):
    """`[hub]`: where the numbers go. These are local only: no config document changes them."""

    model_config = _FROZEN
    url: str = ""
    """The hub's origin, as `https://hub.example:8480`."""
    key_file: Path | None = None
    """The file (mode 0600) with this device's API key; the systemd credential `hub_key` when there is one."""
    dialect: str = "native"
    allow_plain_http: bool = False
    """Plain http to a hub off this machine: the key and every reading travel in the open."""
    link: LinkOptions = LinkOptions()


class TrustedKey(BaseModel):
    """`[trust.NAME]`: a public key that may instruct this device, and what it may ask for."""

    model_config = _FROZEN
    public: str
    """Ed25519, 32 bytes in base64."""
    types: frozenset[str] = frozenset()
    """Instruction types; `config` stands for config documents."""

    @field_validator("public")
    @classmethod
    def _is_a_key(cls, written: str) -> str:
        try:
            size = len(b64decode(written, validate=True))
        except ValueError:
            size = 0
        if size != _KEY_BYTES:
            raise ValueError(f"must be an Ed25519 public key: {_KEY_BYTES} bytes in base64")
        return written


class State(BaseModel):
    """`[state]`: the folders that the agent writes to."""

    model_config = _FROZEN
    folder: Path = Path("/var/lib/edge-agent")
    """The spool, the ledger and the last config; `$STATE_DIRECTORY` under systemd."""
    runtime: Path | None = None
    """The open batch: on tmpfs, so that no flash is worn. `$RUNTIME_DIRECTORY` under systemd, else in /dev/shm."""


class Bounds(BaseModel):
    """`[bounds]`: how far the hub's config document may go."""

    model_config = _FROZEN
    min_interval: Interval = 1.0
    max_interval: Interval = 3600.0
    collectors: frozenset[str] | None = None
    """The collectors that it may turn on; any on the shelf when absent. Those from outside never."""


class Log(BaseModel):
    """`[log]`: to standard error, JSON unless it is a terminal."""

    model_config = _FROZEN
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Layered):
    """Everything that can be set; the environment names a key as `EDGE_AGENT_HUB__URL`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="EDGE_AGENT_",
        env_nested_delimiter="__",
    )

    device: Device = Device()
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)
    """Facts about this device that go once with every batch, as `site = "car-3"`."""
    hub: Hub = Hub()
    trust: dict[str, TrustedKey] = Field(default_factory=dict)
    state: State = State()
    time: TimeOptions = TimeOptions()
    bounds: Bounds = Bounds()
    log: Log = Log()
    seal: SealerOptions = SealerOptions()
    spool: SpoolOptions = SpoolOptions()
    push: PusherOptions = PusherOptions()
    live: BeaterOptions = BeaterOptions()
    stream: ListenerOptions = ListenerOptions()
    instructions: DispatcherOptions = DispatcherOptions()
    local: LocalOptions = LocalOptions()
    collectors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """`[collectors.NAME]`: `enabled`, `interval`, `timeout`, and the collector's own options."""
    handlers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """`[handlers.NAME]`: `enabled`, and the handler's own options."""
