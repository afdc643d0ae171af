"""A collector whose readings move smoothly, for scenes and for the bench: `[collectors."tests.sim.wave"]`.

What the n-th call yields is a function of the options and n alone. Every fourth series is a counter that only grows,
the others are gauges that swing around a level; levels, paces and decimals are drawn once from the seed.
"""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

NAME = "tests.sim.wave"
"""What this collector is called in a config and in every batch."""


@dataclass(frozen=True, slots=True)
class Options:
    """How many series, and which."""

    series: int = 150
    seed: int = 1


class _Wave:
    """One series."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self._attributes = {"wave.number": str(number)}
        self._counts = number % 4 == 3
        self._digits = chance.choice((0, 1, 2, 3))
        self._level = chance.uniform(10, 1000)
        self._swing = self._level * chance.uniform(0.001, 0.2)
        self._pace = 2 * math.pi / chance.uniform(20, 600)
        self._phase = chance.uniform(0, 2 * math.pi)

    def reading(self, call: int) -> Reading:
        if self._counts:
            return Reading("wave.count", round(self._level * call), "1", self._attributes, "counter", 0, "wave")
        value = self._level + self._swing * math.sin(self._phase + self._pace * call)
        return Reading("wave.level", round(value, self._digits), "1", self._attributes, "gauge", self._digits, "wave")


class Waves:
    """All of them."""

    def __init__(self, options: Options, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        chance = random.Random(options.seed)
        self._waves = [_Wave(number, chance) for number in range(options.series)]
        self._call = 0

    def collect(self) -> Iterable[Reading]:
        call, self._call = self._call, self._call + 1
        return [wave.reading(call) for wave in self._waves]


OFFER = CollectorOffer(Options, Waves)
