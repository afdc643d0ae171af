"""Gives back what it was given: proof that words reach this device and answers leave it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge_agent.model.offers import Handler, HandlerOffer, Tools


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to set."""


@dataclass(frozen=True, slots=True)
class Args:
    """What is given back."""

    text: str = ""


def _build(_options: Options, _tools: Tools) -> Handler:
    async def echo(args: Args) -> Mapping[str, Any]:
        return asdict(args)

    return echo


OFFER = HandlerOffer(Options, Args, _build)
