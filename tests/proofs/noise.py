"""A collector whose numbers hardly compress: `[collectors."tests.proofs.noise"]`.

What the n-th call yields is a function of n and the series' number alone, so that whoever has stored values can tell
what they must be. Of three series in a row one is a counter that falls back to nothing every few thousand calls, one a
gauge with three decimals, one a gauge of raw floats.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

NAME = "tests.proofs.noise"
COUNTER = "noise.count"
_RESET_EVERY = 5000
_PRIME = 7919


@dataclass(frozen=True, slots=True)
class Options:
    """How many series; `rough` chooses by how much they move."""

    series: int = 150
    rough: bool = True


def count_at(number: int, call: int) -> int:
    """The counter of a series at its n-th call: falls to less at each reset, grows unevenly in between."""
    step = call % (_RESET_EVERY + number)
    return step * (100 + number) + (step * _PRIME) % 97


class Noise:
    """All series; `rough` ones draw each value anew, others walk by small steps."""

    def __init__(self, options: Options, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._options = options
        self._attributes = [{"noise.number": str(number)} for number in range(options.series)]
        self._call = 0

    def collect(self) -> Iterable[Reading]:
        call, self._call = self._call, self._call + 1
        chance = Random(call)
        reach = 1.0 if self._options.rough else 0.001
        readings = []
        for number, attributes in enumerate(self._attributes):
            if number % 3 == 0:
                value: float = count_at(number, call)
                readings.append(Reading(COUNTER, value, "1", attributes, "counter", 0, "noise"))
            elif number % 3 == 1:
                value = round(500 + reach * 200 * chance.random(), 3)
                readings.append(Reading("noise.level", value, "1", attributes, "gauge", 3, "noise"))
            elif self._options.rough:
                readings.append(Reading("noise.raw", chance.random(), "1", attributes, "gauge", None, "noise"))
            else:
                readings.append(Reading("noise.raw", round(chance.random(), 1), "1", attributes, "gauge", 1, "noise"))
        return readings


OFFER = CollectorOffer(Options, Noise)
