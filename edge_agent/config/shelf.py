"""Finds what a config names on the shelves, and validates its options.

A plain name is a module of the shelf's own folder; a dotted one is a module of a package there (`jetson.power`), or
else one from outside (`racing.can`). Packages are looked into one level deep; a module there that has no offer is a
piece that the others share, and is passed over. A name that nobody has is an error with the nearest one. Collectors
whose offer says `default` run unless they are turned off, so the collectors' folder is read through; their foreign
libraries are imported by the parts that use them, not here.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

import edge_agent.collectors
import edge_agent.handlers
from edge_agent.kit.sources import Key, nearest
from edge_agent.model.failure import ConfigError
from edge_agent.model.offers import CollectorOffer, DialectOffer, HandlerOffer
from edge_agent.model.quantity import Interval


class OptionError(ConfigError):
    """Something is wrong under one key of the config."""

    def __init__(self, key: Key, what: str, *, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.key = key


@dataclass(frozen=True, slots=True)
class _Schedule:
    enabled: bool = True
    interval: Interval = 1.0
    timeout: Interval = 5.0


@dataclass(frozen=True, slots=True)
class CollectorChoice:
    """A collector that is to run: its offer, its validated options, its beat and its time limit in seconds."""

    name: str
    offer: CollectorOffer[Any]
    options: Any
    interval: float
    timeout: float


@dataclass(frozen=True, slots=True)
class HandlerChoice:
    """An instruction that this device obeys."""

    name: str
    offer: HandlerOffer[Any]
    options: Any


def choose_collectors(sections: Mapping[str, Mapping[str, Any]]) -> tuple[CollectorChoice, ...]:
    """The collectors to run, by name; OptionError names the key that is wrong."""
    offers = {name: _offer("collectors", name, CollectorOffer) for name in sections}
    for name in collector_names():
        if name not in offers:
            offer = _offer("collectors", name, CollectorOffer)
            if offer.default:
                offers[name] = offer
    chosen = []
    for name, offer in sorted(offers.items()):
        section = sections.get(name, {})
        plan = {key: value for key, value in section.items() if key in _names(_Schedule)}
        own = {key: value for key, value in section.items() if key not in plan}
        schedule = _validated(_Schedule, plan, ("collectors", name))
        options = _validated(offer.options, own, ("collectors", name), also=_names(_Schedule))
        if schedule.enabled:
            chosen.append(CollectorChoice(name, offer, options, schedule.interval, schedule.timeout))
    return tuple(chosen)


def choose_handlers(sections: Mapping[str, Mapping[str, Any]]) -> tuple[HandlerChoice, ...]:
    """The instructions this device obeys: every one on the shelf unless it is turned off."""
    chosen = []
    for name in sorted({*sections, *handler_names()}):
        section = dict(sections.get(name, {}))
        enabled = section.pop("enabled", True)
        if not isinstance(enabled, bool):
            raise OptionError(("handlers", name, "enabled"), "must be true or false")
        offer = _offer("handlers", name, HandlerOffer)
        options = _validated(offer.options, section, ("handlers", name), also=("enabled",))
        if enabled:
            chosen.append(HandlerChoice(name, offer, options))
    return tuple(chosen)


def collector_names() -> list[str]:
    """Every collector on the shelf, whether or not it runs by default."""
    return _on_shelf(edge_agent.collectors)


def handler_names() -> list[str]:
    """Every instruction on the shelf."""
    return _on_shelf(edge_agent.handlers)


def is_outside(shelf: str, name: str) -> bool:
    """Whether a name means a module from outside of this shelf: dotted, and of none of its packages."""
    return "." in name and not _exists(f"edge_agent.{shelf}.{name}")


def find_dialect(name: str) -> DialectOffer[Any]:
    """The dialect of this name."""
    try:
        offer: DialectOffer[Any] = _offer("dialects", name, DialectOffer)
    except OptionError as error:
        raise OptionError(("hub", "dialect"), str(error), hint=error.hint) from None
    return offer


def _on_shelf(shelf: ModuleType) -> list[str]:
    """The names of a shelf's modules, and of those in its packages that offer something."""
    names = []
    for module in pkgutil.iter_modules(shelf.__path__):
        if not module.ispkg:
            names.append(module.name)
            continue
        package = import_module(f"{shelf.__name__}.{module.name}")
        inner = [f"{module.name}.{one.name}" for one in pkgutil.iter_modules(package.__path__) if not one.ispkg]
        names.extend(
            name for name in (module.name, *inner) if hasattr(import_module(f"{shelf.__name__}.{name}"), "OFFER")
        )
    return names


def _offer(shelf: str, name: str, kind: type[Any]) -> Any:
    key, where = (shelf, name), f"edge_agent.{shelf}.{name}"
    if is_outside(shelf, name):
        where = name
    if not _exists(where):
        names = _on_shelf(import_module(f"edge_agent.{shelf}"))
        raise OptionError(key, f"there is no {shelf[:-1]} named {name!r}", hint=nearest(name, names))
    offer = getattr(import_module(where), "OFFER", None)
    if not isinstance(offer, kind):
        parts = [one for one in _on_shelf(import_module(f"edge_agent.{shelf}")) if one.startswith(f"{name}.")]
        hint = f'it is a package: name one of its parts, quoted, as [{shelf}."{parts[0]}"]' if parts else ""
        raise OptionError(key, f"the module {where} declares no OFFER of kind {kind.__name__}", hint=hint)
    return offer


def _exists(module: str) -> bool:
    try:
        return not module.startswith(".") and find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _names(options: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(options))


def _validated(options: Any, section: Mapping[str, Any], key: Key, also: tuple[str, ...] = ()) -> Any:
    unknown = sorted(set(section) - set(_names(options)))
    if unknown:
        hint = nearest(unknown[0], (*_names(options), *also))
        raise OptionError((*key, unknown[0]), "is not a known key", hint=hint)
    if not section and all(field.default is not MISSING for field in fields(options)):
        return options()  # nothing to judge, and a judge costs more than a millisecond of the start
    try:
        return _judge(options).validate_python(dict(section))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = tuple(str(part) for part in first["loc"])
        raise OptionError((*key, *where), first["msg"]) from None


@cache
def _judge(options: type[Any]) -> TypeAdapter[Any]:
    """What validates such options: making it costs far more than asking it."""
    return TypeAdapter(options)
