"""The hub's settings: defaults < file (`/etc/edge-agent/hub.toml`) < `EDGE_HUB_*` < flags.

Frozen once read. Durations are written `10s`, sizes `256MiB`. An unknown key is an error that names the nearest known
one. Secrets are never settings: the hub draws its own and keeps them in its folder. Plain http is refused off loopback
unless `plain_http` says that something in front of the hub speaks TLS.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from edge_agent.kit.sources import Layered, read_sources
from edge_agent.model.failure import ConfigError
from edge_agent.model.quantity import Bytes, Interval, Seconds

DEFAULT_FILE = Path("/etc/edge-agent/hub.toml")


class Limits(BaseModel):
    """Bounds of what callers may use of the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: Bytes = 1024 * 1024
    connections: Annotated[int, Field(ge=1)] = 12_000
    header_timeout: Interval = 10.0
    body_timeout: Interval = 30.0
    write_timeout: Interval = 20.0
    store: Bytes = 16 * 1024**3


class Settings(Layered):
    """The hub's settings.

    `clock_error` is how far this machine's clock may be off where the kernel does not say it: set it where something
    that the kernel knows nothing of keeps the clock right. Without it such a clock counts as not synchronised.

    Payloads are kept for `retention`. Once `limits.store` or the disk is full nothing more is stored; with
    `drop_oldest` the oldest payloads make room before their time.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="EDGE_HUB_", env_nested_delimiter="__")

    folder: Path = Path("/var/lib/edge-hub")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8480
    plain_http: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    skew_tolerance: Seconds = 300.0
    retention: Seconds = 30 * 86_400.0
    drop_oldest: bool = False
    clock_error: Seconds | None = None
    limits: Limits = Limits()

    @property
    def clock_error_ms(self) -> int | None:
        """`clock_error` in ms."""
        return None if self.clock_error is None else round(self.clock_error * 1000)

    def address_at(self, port: int) -> str:
        """Where the hub is reached, as a URL; with `port` 0 the system chose one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_certificate else 'http'}://{host}:{port}"


def load(path: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Read and validate; ConfigError tells all that is wrong. `path` None is the standard file, which may be absent."""
    settings = read_sources(Settings, path, DEFAULT_FILE, {}, {}, flags).validated(Settings)
    _check_door(settings)
    return settings


def _check_door(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigError("tls_certificate and tls_key belong together", hint="set both or neither")
    if settings.plain_http or settings.tls_certificate is not None or is_loopback(settings.host):
        return
    raise ConfigError(
        f"plain http on {settings.host} would show keys to the network",
        hint="set tls_certificate and tls_key, or plain_http = true behind a proxy that speaks TLS",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
