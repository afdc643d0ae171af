"""Finds what a config names on the shelves, and validates its options.

A plain name is a module of the shelf's own folder, a dotted one is a module from outside (`racing.can`). A name that
nobody has is an error with the nearest one. Collectors whose offer says `default` run unless they are turned off, so
the collectors' folder is read through; their foreign libraries are imported by the parts that use them, not here.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from importlib.util import find_spec
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
    for name in _on_shelf(edge_agent.collectors.__path__):
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


def handler_names() -> list[str]:
    """Every instruction on the shelf."""
    return _on_shelf(edge_agent.handlers.__path__)


def find_dialect(name: str) -> DialectOffer[Any]:
    """The dialect of this name."""
    try:
        offer: DialectOffer[Any] = _offer("dialects", name, DialectOffer)
    except OptionError as error:
        raise OptionError(("hub", "dialect"), str(error), hint=error.hint) from None
    return offer


def _on_shelf(path: Any) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(path)]


def _offer(shelf: str, name: str, kind: type[Any]) -> Any:
    where = name if "." in name else f"edge_agent.{shelf}.{name}"
    key = (shelf, name)
    try:
        known = find_spec(where) is not None
    except ModuleNotFoundError:
        known = False
    if not known:
        names = _on_shelf(import_module(f"edge_agent.{shelf}").__path__)
        raise OptionError(key, f"there is no {shelf[:-1]} named {name!r}", hint=nearest(name, names))
    offer = getattr(import_module(where), "OFFER", None)
    if not isinstance(offer, kind):
        raise OptionError(key, f"the module {where} declares no OFFER of kind {kind.__name__}")
    return offer


def _names(options: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(options))


def _validated(options: type[Any], section: Mapping[str, Any], key: Key, also: tuple[str, ...] = ()) -> Any:
    unknown = sorted(set(section) - set(_names(options)))
    if unknown:
        hint = nearest(unknown[0], (*_names(options), *also))
        raise OptionError((*key, unknown[0]), "is not a known key", hint=hint)
    if not section and all(field.default is not MISSING for field in fields(options)):
        return options()  # nothing to judge, and a judge costs more than a millisecond of the start
    try:
        return TypeAdapter(options).validate_python(dict(section))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = tuple(str(part) for part in first["loc"])
        raise OptionError((*key, *where), first["msg"]) from None
