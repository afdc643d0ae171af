"""Reads the sources of settings, validates them, and explains what is wrong.

Order, later wins: defaults, what systemd gives (`$STATE_DIRECTORY` and its kin), the file, the environment, flags. Each
value remembers where it came from. Everything that is wrong is told at once: the key, the file and line or the
variable, and the nearest valid key. Reading touches nothing; the folders that it names are made by those who use them.

Variables that begin like ours and name no setting are told as warnings, not errors: orchestrators inject such names.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from edge_agent.config.lines import Key, line_of, lines_of
from edge_agent.config.nearest import nearest
from edge_agent.config.settings import Settings
from edge_agent.config.shelf import (
    CollectorChoice,
    HandlerChoice,
    OptionError,
    choose_collectors,
    choose_handlers,
    find_dialect,
)
from edge_agent.model.failure import ConfigError
from edge_agent.model.offers import DialectOffer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_FILE = Path("/etc/edge-agent/agent.toml")
_PREFIX = "EDGE_AGENT_"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid config: the settings, what they chose from the shelves, and where each value came from."""

    settings: Settings
    collectors: tuple[CollectorChoice, ...]
    handlers: tuple[HandlerChoice, ...]
    dialect: DialectOffer[Any]
    values: Mapping[str, Any]
    origins: Mapping[Key, str]
    file: Path | None
    text: str
    warnings: tuple[str, ...]

    def origin(self, key: Key) -> str:
        """Where the value of a key came from: a flag, a variable, `file:line`, or `default`."""
        for size in range(len(key), 0, -1):
            if key[:size] in self.origins:
                return self.origins[key[:size]]
        return "default"


def load(path: Path | None, flags: Mapping[str, Any]) -> Loaded:
    """Read and validate everything; ConfigError tells all that is wrong, a line each.

    `path` None means the standard file, which may be absent; a path that was given must exist. `flags` is nested like
    the settings.
    """
    file = path or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    text = _text(file) if file else ""
    values: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    lines = lines_of(text)

    def in_file(key: Key) -> str:
        return f"{file}:{line_of(lines, key)}"

    layers: tuple[tuple[Mapping[str, Any], Callable[[Key], str]], ...] = (
        (_from_system(), lambda _key: "system"),
        (_parsed(text, file), in_file),
        (_from_environment(), lambda key: _PREFIX + "__".join(key).upper()),
        (flags, lambda _key: "flag"),
    )
    for layer, told in layers:
        for key, value in leaves(layer):
            put(values, key, value)
            origins[key] = told(key)

    return validated(values, origins, file, text)


def validated(values: Mapping[str, Any], origins: Mapping[Key, str], file: Path | None, text: str) -> Loaded:
    """Validate values that were put together from several sources; ConfigError tells all that is wrong."""
    lines = lines_of(text)

    def where(key: Key) -> str:
        for size in range(len(key), 0, -1):
            if key[:size] in origins:
                return origins[key[:size]]
            below = [told for one, told in origins.items() if one[:size] == key[:size]]
            if below:
                line = line_of(lines, key[:size])
                return f"{file}:{line}" if line else below[0]
        return "default"

    try:
        settings = Settings(**values)
        collectors = choose_collectors(settings.collectors)
        handlers = choose_handlers(settings.handlers)
        dialect = _dialect(settings.hub.dialect)
    except ValidationError as error:
        raise ConfigError("\n".join(_explained(one, where) for one in error.errors(include_url=False))) from None
    except OptionError as error:
        raise ConfigError(f"{where(error.key)}: {'.'.join(error.key)}: {error}", hint=error.hint) from None
    return Loaded(settings, collectors, handlers, dialect, values, origins, file, text, tuple(_strangers()))


def differs_on_disk(loaded: Loaded) -> bool:
    """Whether the config file now holds something else than what was loaded."""
    try:
        return loaded.file is not None and _text(loaded.file) != loaded.text
    except ConfigError:
        return True


def known_keys(model: Any) -> list[str]:
    """The keys that a section takes: the fields of a model or of a dataclass of options."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return [field.name for field in fields(model)] if is_dataclass(model) else []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file", hint="give the path of a config with --config") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", hint=f"see `ls -l {file}`") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 at byte {error.start}") from None


def _parsed(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file}: is not TOML: {error}", hint="tables are [section], values are key = value"
        ) from None


def _from_system() -> dict[str, Any]:
    values: dict[str, Any] = {"device": {"id": socket.gethostname().split(".")[0][:64]}}
    if folder := os.environ.get("STATE_DIRECTORY"):
        values["state"] = {"folder": folder.split(":")[0]}
    if folder := os.environ.get("RUNTIME_DIRECTORY"):
        values.setdefault("state", {})["runtime"] = folder.split(":")[0]
    if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
        key = Path(folder) / "hub_key"
        if key.exists():
            values["hub"] = {"key_file": str(key)}
    return values


def _from_environment() -> dict[str, Any]:
    try:
        found: dict[str, Any] = {**EnvSettingsSource(Settings)()}
    except SettingsError as error:
        raise ConfigError(f"environment: {error}", hint="lists and tables are given as JSON") from None
    return found


def _strangers() -> Iterator[str]:
    for name in sorted(os.environ):
        if name.startswith(_PREFIX):
            section = name[len(_PREFIX) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                yield f"the variable {name} names no setting; {nearest(section, Settings.model_fields)}"


def _dialect(name: str) -> DialectOffer[Any]:
    try:
        return find_dialect(name)
    except OptionError as error:
        raise OptionError(("hub", "dialect"), str(error), hint=error.hint) from None


def leaves(values: Mapping[str, Any], key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is not a table of its own, under its whole key."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*key, str(name)))
        else:
            yield (*key, str(name)), value


def put(values: dict[str, Any], key: Key, value: Any) -> None:
    """Set one value of nested tables, making the tables on the way."""
    for name in key[:-1]:
        inner = values.get(name)
        if not isinstance(inner, dict):
            inner = values[name] = {}
        values = inner
    values[key[-1]] = value


def _explained(error: Mapping[str, Any], where: Any) -> str:
    key = tuple(str(part) for part in error["loc"])
    what, hint = str(error["msg"]), ""
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        what, hint = "is not a known key", nearest(key[-1], _siblings(key))
    what = what.removeprefix("Value error, ")
    return f"{where(key)}: {'.'.join(key)}: {what}" + (f" ({hint})" if hint else "")


def _siblings(key: Key) -> list[str]:
    model: Any = Settings
    for name in key[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel) and name in model.model_fields:
            model = model.model_fields[name].annotation
    return known_keys(model)
