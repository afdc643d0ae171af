"""Seals what is open and pushes it at once, so that whoever waits for the last seconds need not wait for the seal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.model.offers import Handler, HandlerOffer, Tools


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to set."""


@dataclass(frozen=True, slots=True)
class Args:
    """Nothing to say."""


def _build(_options: Options, tools: Tools) -> Handler:
    async def flush(_args: Args) -> Mapping[str, Any]:
        return await tools.flush()

    return flush


OFFER = HandlerOffer(Options, Args, _build)
