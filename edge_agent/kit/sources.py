"""Sources of settings: file < environment < flags, every value with its origin, every error with its place.

The agent and the hub read their settings by this. A value remembers where it came from (`agent.toml:12`,
`EDGE_AGENT_SEAL__EVERY`, `flag`); what is wrong is told all at once, each with its key, its place, and the nearest key
there is. Reading touches nothing.

The standard TOML parser gives values without places, so table headers and the keys at the start of lines are looked for
here; a key inside an inline table or a value of several lines is told by the line of what holds it. Variables that
begin like ours and name no setting are warnings, not errors: orchestrators inject such names.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsError

from edge_agent.model.failure import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = tuple[str, ...]

CREDENTIAL = "credential"
"""The origin of what the service manager grants: it wins over the file, which may name what the service cannot read."""

_NAME = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ENTRY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(_NAME)


class Layered(BaseSettings):
    """Settings whose sources are read by `read_sources`: building one uses only the values that are given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given."""
        return (init_settings,)


SettingsT = TypeVar("SettingsT", bound=Layered)


@dataclass(frozen=True, slots=True)
class Sources:
    """Values put together from several sources, not yet validated. `text` is what the file held."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[Key, str] = field(default_factory=dict)
    file: Path | None = None
    text: str = field(default="", repr=False)

    def lay(self, layer: Mapping[str, Any], origin: str) -> None:
        """Lay values over those that stand."""
        for key, value in leaves(layer):
            self.put(key, value, origin)

    def put(self, key: Key, value: Any, origin: str) -> None:
        """Set one value."""
        table = self.values
        for name in key[:-1]:
            inner = table.get(name)
            if not isinstance(inner, dict):
                inner = table[name] = {}
            table = inner
        table[key[-1]] = value
        self.origins[key] = origin

    def origin(self, key: Key) -> str:
        """Where the value of a key came from; `default` when nobody gave one."""
        given = (self.origins[key[:size]] for size in range(len(key), 0, -1) if key[:size] in self.origins)
        return next(given, "default")

    def place(self, key: Key) -> str:
        """Where people should look for a key that is wrong: its origin, or that of what stands around it."""
        for size in range(len(key), 0, -1):
            if key[:size] in self.origins:
                return self.origins[key[:size]]
            below = [told for one, told in self.origins.items() if one[:size] == key[:size]]
            if below:
                line = line_of(lines_of(self.text), key[:size])
                return f"{self.file}:{line}" if line else below[0]
        return "default"

    def validated(self, settings: type[SettingsT]) -> SettingsT:
        """The settings; ConfigError tells all that is wrong, a line each."""
        try:
            return settings(**self.values)
        except ValidationError as error:
            wrong = (self._explained(settings, one) for one in error.errors(include_url=False))
            raise ConfigError("\n".join(wrong)) from None

    def differs_on_disk(self) -> bool:
        """Whether the file now holds something else."""
        try:
            return self.file is not None and _text(self.file) != self.text
        except ConfigError:
            return True

    def _explained(self, settings: type[BaseModel], error: Mapping[str, Any]) -> str:
        key = tuple(str(part) for part in error["loc"])
        what, hint = str(error["msg"]).removeprefix("Value error, "), ""
        if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            what, hint = "is not a known key", nearest(key[-1], _siblings(settings, key))
        return f"{self.place(key)}: {'.'.join(key)}: {what}" + (f" ({hint})" if hint else "")


def read_sources(
    settings: type[Layered],
    file: Path | None,
    standard_file: Path,
    system: Mapping[str, Any],
    granted: Mapping[str, Any],
    flags: Mapping[str, Any],
) -> Sources:
    """Read every source; later ones win: `system`, the file, `granted` (credentials), the environment, `flags`.

    `file` None means the standard file, which may be absent; one that is named must exist.
    """
    file = file or (standard_file if standard_file.exists() else None)
    sources = Sources(file=file, text=_text(file) if file else "")
    sources.lay(system, "system")
    lines = lines_of(sources.text)
    for key, value in leaves(_parsed(sources.text, file)):
        sources.put(key, value, f"{file}:{line_of(lines, key)}")
    sources.lay(granted, CREDENTIAL)
    prefix = settings.model_config.get("env_prefix", "")
    for key, value in leaves(_from_environment(settings)):
        sources.put(key, value, prefix + "__".join(key).upper())
    sources.lay(flags, "flag")
    return sources


def strange_variables(settings: type[Layered], known: Sequence[str]) -> Iterator[str]:
    """A sentence for each variable that begins like ours and names no setting, nor is one of those `known`."""
    prefix = settings.model_config.get("env_prefix", "")
    for name in sorted(os.environ):
        section = name.removeprefix(prefix).split("__")[0].lower()
        if name.startswith(prefix) and section not in settings.model_fields and name not in known:
            yield f"the variable {name} names no setting; {nearest(section, settings.model_fields)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or the names there are."""
    from difflib import get_close_matches  # noqa: PLC0415 - a config that is right needs none

    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(names)}" if names else ""


def leaves(values: Mapping[str, Any], key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is not a table of its own, under its whole key."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*key, str(name)))
        else:
            yield (*key, str(name)), value


def lines_of(text: str) -> dict[Key, int]:
    """The first line, counted from 1, of every key and table of a TOML text."""
    found: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            _note(found, table, number)
        elif entry := _ENTRY.match(line):
            _note(found, table + _parts(entry[1]), number)
    return found


def line_of(found: Mapping[Key, int], key: Key) -> int | None:
    """The line of a key, or of the nearest thing around it."""
    return next((found[key[:size]] for size in range(len(key), 0, -1) if key[:size] in found), None)


def _parts(written: str) -> Key:
    return tuple(part.strip("\"'") for part in _PART.findall(written))


def _note(found: dict[Key, int], key: Key, number: int) -> None:
    for size in range(1, len(key) + 1):
        found.setdefault(key[:size], number)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file", hint="give the path of a config with --config") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", hint=f"see `ls -l {file}`") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 at byte {error.start}") from None


def _parsed(text: str, file: Path | None) -> Mapping[str, Any]:
    try:
        parsed: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}", hint="tables are [section], keys are key = value") from None
    return parsed


def _from_environment(settings: type[Layered]) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = {**EnvSettingsSource(settings)()}
    except SettingsError as error:
        raise ConfigError(f"environment: {error}", hint="lists and tables are given as JSON") from None
    return found


def _siblings(settings: type[BaseModel], key: Key) -> Sequence[str]:
    """The keys that stand beside the last of a key, as far as models tell."""
    model: Any = settings
    for name in key[:-1]:
        known = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        model = known[name].annotation if name in known else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return [one.name for one in fields(model)] if is_dataclass(model) else []
