"""The hub's settings: defaults < file (`/etc/edge-agent/hub.toml`) < `EDGE_HUB_*` < flags.

Frozen once read. Durations are written `10s`, sizes `256MiB`. An unknown key is an error that names the nearest known
one. Secrets are never settings: the hub draws its own and keeps them in its folder. Plain http is refused off loopback
unless `plain_http` says that something in front of the hub speaks TLS.
"""

import difflib
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

from edge_agent.model.failure import ConfigError
from edge_agent.model.quantity import Bytes, Seconds

DEFAULT_FILE = Path("/etc/edge-agent/hub.toml")
_PREFIX = "EDGE_HUB_"


class Limits(BaseModel):
    """Bounds of what callers may use of the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: Bytes = 1024 * 1024
    connections: Annotated[int, Field(ge=1)] = 12_000
    header_timeout: Seconds = 10.0
    body_timeout: Seconds = 30.0
    write_timeout: Seconds = 20.0
    store: Bytes = 16 * 1024**3


class Settings(BaseModel):
    """The hub's settings; `clock_error` None says that this machine's clock is not synchronised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("/var/lib/edge-hub")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8480
    plain_http: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    skew_tolerance: Seconds = 300.0
    retention: Seconds = 30 * 86_400.0
    clock_error: Seconds | None = 0.1
    limits: Limits = Limits()

    @property
    def clock_error_ms(self) -> int | None:
        """What the hub states about its clock in ms; None is `unsync`."""
        return None if self.clock_error is None else round(self.clock_error * 1000)

    def address_at(self, port: int) -> str:
        """Where the hub is reached, as a URL; with `port` 0 the system chose one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_certificate else 'http'}://{host}:{port}"


class _Surroundings(BaseSettings):
    """Only names the environment's prefix: `EDGE_HUB_LIMITS__BODY` is `limits.body`."""

    model_config = {"env_prefix": _PREFIX, "env_nested_delimiter": "__"}


def load(path: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Read and validate; ConfigError tells all that is wrong. `path` None is the standard file, which may be absent."""
    file = path or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    layers = (_parsed(file) if file else {}, _environment(), flags)
    values: dict[str, Any] = {}
    for layer in layers:
        _lay(values, layer)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explained(one) for one in error.errors(include_url=False))) from None
    _check_door(settings)
    return settings


def _parsed(file: Path) -> dict[str, Any]:
    try:
        file.open("rb").close()  # the source below takes an absent file for an empty one
        return dict(TomlConfigSettingsSource(_Surroundings, file).toml_data)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="name a file that this user can read") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {error}", hint="this is not TOML") from None


def _environment() -> dict[str, Any]:
    source = EnvSettingsSource(_Surroundings)
    values: dict[str, Any] = {}
    for name, value in source.env_vars.items():
        if not name.startswith(_PREFIX.lower()) or value is None:
            continue
        *sections, last = name[len(_PREFIX) :].split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return values


def _lay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        standing = below.get(name)
        if isinstance(standing, dict) and isinstance(value, Mapping):
            _lay(standing, value)
        else:
            below[name] = dict(value) if isinstance(value, Mapping) else value


def _explained(error: Any) -> str:
    place = ".".join(str(step) for step in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{place}: {error['msg']}"
    known = Limits.model_fields if place.startswith("limits.") else Settings.model_fields
    near = difflib.get_close_matches(str(error["loc"][-1]), list(known), n=1, cutoff=0.0)
    return f"{place}: there is no such setting; the nearest is {near[0]!r}"


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
