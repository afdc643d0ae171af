"""What a hub's config document may change, and the settings with it applied.

Values only, inside local bounds: beats, collectors on or off, labels, the log level. Everything else (origin, keys,
TLS, paths, commands) is local: a document with an unknown or forbidden key, or with a value out of bounds, is refused
whole and the key is named. A document is laid over the local settings, flags too: it is the operator's latest word.

    {"seal": {"every": "30s"}, "log": {"level": "debug"}, "labels": {"site": "car-3"},
     "collectors": {"cpu": {"enabled": true, "interval": "5s"}}}

Who signed it, for whom, and whether it is newer than the last is judged before (`agent.generations`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from edge_agent.config.load import Loaded, copied, validated
from edge_agent.config.settings import Bounds
from edge_agent.config.shelf import is_outside
from edge_agent.kit.sources import Key, leaves, nearest
from edge_agent.model.failure import ConfigError
from edge_agent.model.quantity import parse_seconds

_COLLECTOR_KEYS = ("enabled", "interval")
_PLAIN_KEYS: tuple[Key, ...] = (("seal", "every"), ("log", "level"))


def apply(loaded: Loaded, values: Mapping[str, Any], version: int) -> Loaded:
    """The settings with a document's values laid over them; ConfigError names what is not allowed."""
    wrong = []
    for key, value in leaves(values):
        problem = _problem(key, value, loaded.settings.bounds)
        if problem:
            wrong.append(f"{'.'.join(key)}: {problem}")
    if wrong:
        raise ConfigError("\n".join(wrong), hint="a document holds beats, collectors, labels and the log level")
    sources = copied(loaded.sources)
    sources.lay(values, f"hub document {version}")
    return validated(sources)


def _problem(key: Key, value: Any, bounds: Bounds) -> str | None:
    match key:
        case ("labels", _):
            return None
        case ("collectors", name, "enabled"):
            return _collector_problem(name, bounds)
        case ("collectors", name, "interval"):
            return _collector_problem(name, bounds) or _beat_problem(value, bounds)
        case ("collectors", _, other):
            return f"a document may not set this; {nearest(other, _COLLECTOR_KEYS)}"
        case ("seal", "every"):
            return _beat_problem(value, bounds)
        case ("log", "level"):
            return None
        case _:
            return f"a document may not set this; {nearest('.'.join(key), _allowed())}"


def _collector_problem(name: str, bounds: Bounds) -> str | None:
    if is_outside("collectors", name):
        return "collectors from outside are chosen locally"
    if bounds.collectors is not None and name not in bounds.collectors:
        return "bounds.collectors does not allow this one"
    return None


def _beat_problem(value: Any, bounds: Bounds) -> str | None:
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        return str(error)
    if not bounds.min_interval <= seconds <= bounds.max_interval:
        return f"must be between {bounds.min_interval:g} s and {bounds.max_interval:g} s"
    return None


def _allowed() -> Iterator[str]:
    yield from (".".join(key) for key in _PLAIN_KEYS)
    yield from (f"collectors.NAME.{key}" for key in _COLLECTOR_KEYS)
    yield "labels.NAME"
