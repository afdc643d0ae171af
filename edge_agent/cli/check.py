"""`edge-agent check`: is this config right, and what does it come to?"""

import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import BaseModel

from edge_agent.cli.failure import tell
from edge_agent.config.load import Loaded, load
from edge_agent.config.reach import reach_of
from edge_agent.kit.sources import Key
from edge_agent.link.keyfile import shown
from edge_agent.model.failure import EdgeError

_PASSWORD = re.compile(r"//[^/@]*@")
"""What an address carries before its host; a proxy's is a secret."""

_KEY_FILE = ("hub", "key_file")


def check(
    config: Annotated[
        Path | None, typer.Option(help="The config file; /etc/edge-agent/agent.toml when absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Validate a config and print what it comes to, each value with its origin.

    Example: edge-agent check --config deploy/agent.toml
    """
    try:
        loaded = load(config, {})
        reach_of(loaded)
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    rows = list(effective(loaded))
    if as_json:
        values = {_written(key): {"value": _masked(value), "origin": origin} for key, value, origin in rows}
        print(orjson.dumps(values, option=orjson.OPT_INDENT_2, default=str).decode())
    else:
        width = max(len(_written(key)) for key, _, _ in rows)
        for key, value, origin in rows:
            print(f"{_written(key):<{width}}  {_shown(value):<28}  {origin}")
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def effective(loaded: Loaded) -> Iterator[tuple[Key, Any, str]]:
    """Every value in force: its key, itself, and where it came from."""
    plain = {name: value for name, value in loaded.settings if name not in ("collectors", "handlers")}
    for key, value in _leaves(plain):
        yield key, shown(value) if isinstance(value, Path) and key == _KEY_FILE else value, loaded.sources.origin(key)
    for choice in loaded.collectors:
        own = asdict(choice.options)
        for name, value in {"interval": choice.interval, "timeout": choice.timeout, **own}.items():
            key = ("collectors", choice.name, name)
            yield key, value, loaded.sources.origin(key)
    for handler in loaded.handlers:
        key = ("handlers", handler.name, "enabled")
        yield key, True, loaded.sources.origin(key)


def _leaves(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, BaseModel):
        value = dict(value)
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*key, str(name)))
    else:
        yield key, value


def _written(key: Key) -> str:
    """A key as it may be written in the file."""
    return ".".join(f'"{part}"' if "." in part else part for part in key)


def _masked(value: Any) -> Any:
    return _PASSWORD.sub("//***@", value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(map(str, value))) or "none"
    if value is None or value == "":
        return "-"
    return str(_masked(value))
