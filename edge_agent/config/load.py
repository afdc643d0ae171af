"""The agent's settings as they are in force: read from every source, validated, with what they chose from the shelves.

Order, later wins: defaults, the folders that systemd gives (`$STATE_DIRECTORY` and its kin), the file, the credential
`hub_key`, the environment, flags (`kit.sources`). A hub's document is laid over all of them later (`config.document`).
Reading touches nothing; the folders that the settings name are made by those who use them.
"""

import copy
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.config.settings import DEVICE_ID, Settings
from edge_agent.config.shelf import (
    CollectorChoice,
    HandlerChoice,
    OptionError,
    choose_collectors,
    choose_handlers,
    find_dialect,
)
from edge_agent.kit.sources import Sources, read_sources, strange_variables
from edge_agent.model.failure import ConfigError
from edge_agent.model.offers import DialectOffer

DEFAULT_FILE = Path("/etc/edge-agent/agent.toml")
KEY_VARIABLE = "EDGE_AGENT_HUB_KEY"
"""The variable that may hold the API key (`config.reach`)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid config: the settings, what they chose from the shelves, and where each value came from."""

    settings: Settings
    collectors: tuple[CollectorChoice, ...]
    handlers: tuple[HandlerChoice, ...]
    dialect: DialectOffer[Any]
    sources: Sources
    warnings: tuple[str, ...]


def load(file: Path | None, flags: Mapping[str, Any]) -> Loaded:
    """Read and validate everything; ConfigError tells all that is wrong, a line each.

    `file` None means the standard file, which may be absent; one that is named must exist. `flags` is nested like the
    settings.
    """
    return validated(read_sources(Settings, file, DEFAULT_FILE, _from_system(), _granted(), flags))


def validated(sources: Sources) -> Loaded:
    """What these sources come to; ConfigError tells all that is wrong."""
    settings = sources.validated(Settings)
    try:
        collectors = choose_collectors(settings.collectors)
        handlers = choose_handlers(settings.handlers)
        dialect = find_dialect(settings.hub.dialect)
    except OptionError as error:
        raise ConfigError(f"{sources.place(error.key)}: {'.'.join(error.key)}: {error}", hint=error.hint) from None
    return Loaded(settings, collectors, handlers, dialect, sources, tuple(strange_variables(Settings, (KEY_VARIABLE,))))


def copied(sources: Sources) -> Sources:
    """The same sources, to lay more over them."""
    return replace(sources, values=copy.deepcopy(sources.values), origins=dict(sources.origins))


def _from_system() -> dict[str, Any]:
    values: dict[str, Any] = {}
    if DEVICE_ID.fullmatch(name := socket.gethostname().split(".")[0][:64]):
        values["device"] = {"id": name}
    if folder := os.environ.get("STATE_DIRECTORY"):
        values["state"] = {"folder": folder.split(":")[0]}
    if folder := os.environ.get("RUNTIME_DIRECTORY"):
        values.setdefault("state", {})["runtime"] = folder.split(":")[0]
    return values


def _granted() -> dict[str, Any]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    key = Path(folder) / "hub_key" if folder else None
    return {"hub": {"key_file": str(key)}} if key and key.exists() else {}
