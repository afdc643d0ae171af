"""The exposition: latest readings and lamps as Prometheus text.

Names follow OpenTelemetry's mapping: what Prometheus does not allow becomes `_`, the UCUM unit becomes a suffix in
words (`W` is `_watts`, `By/s` is `_bytes_per_second`, `1` is `_ratio` for gauges, annotations in braces are
dropped), a counter ends in `_total`. A suffix that the name already has is not repeated. Attributes become
labels; where two become one, their values are joined by `;`.

    edge_agent_lamp{part="stream"} 0      the lamps: 0 ok, 1 warn, 2 fail

It shows what was sampled and never reads anew. Readings without a value are left out, and so are ticks older than five
minutes: a number that nobody measured lately is not a number. One name is one family, of one kind and one unit: where
another reading would come under it as something else, or two series would meet under one set of labels, the first
stands. What the agent measures comes before what programs here posted, and names that begin with `edge_agent_` are the
agent's own, so that no program can speak in its place. The library is imported at the first scrape.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_agent.local.intake import COLLECTOR
from edge_agent.model.lamp import Lamp
from edge_agent.model.reading import Reading, Tick

if TYPE_CHECKING:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

FRESH_MS = 300_000

_OWN = "edge_agent_"
_LEVEL = {"ok": 0, "warn": 1, "fail": 2}
_WORDS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "m": "meters",
    "mm": "millimeters",
    "um": "micrometers",
    "V": "volts",
    "mV": "millivolts",
    "A": "amperes",
    "mA": "milliamperes",
    "J": "joules",
    "W": "watts",
    "mW": "milliwatts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "Pa": "pascals",
    "deg": "degrees",
    "%": "percent",
}
_PER = {"s": "second", "min": "minute", "h": "hour", "d": "day", "m": "meter", "ms": "millisecond"}


def metric_name(reading: Reading) -> str:
    """The name of a reading's metric, with its suffixes."""
    bare = _plain(reading.name)
    if reading.kind == "counter":
        bare = bare.removesuffix("_total") or "_"
    unit = _unit_words(re.sub(r"\{[^}]*\}", "", reading.unit), reading.kind)
    if unit and not bare.endswith(f"_{unit}"):
        bare = f"{bare}_{unit}"
    return f"{bare}_total" if reading.kind == "counter" else bare


def labels_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes as labels."""
    labels: dict[str, str] = {}
    for name, value in sorted(attributes.items()):
        label = _plain(name)
        text = value.encode(errors="replace").decode()  # names of files may hold bytes that are no text
        labels[label] = f"{labels[label]};{text}" if label in labels else text
    return labels


def render(ticks: Iterable[Tick], lamps: Sequence[Lamp], now: int) -> tuple[str, bytes]:
    """Content type and text; `now` in ms on the device's axis."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - only who is scraped pays for it
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 - likewise
    from prometheus_client.registry import Collector  # noqa: PLC0415 - likewise

    class Latest(Collector):
        """What the registry asks."""

        def collect(self) -> "Iterable[GaugeMetricFamily | CounterMetricFamily]":
            return _families(ticks, lamps, now)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Latest())
    return CONTENT_TYPE_LATEST, generate_latest(registry)


def _families(
    ticks: Iterable[Tick], lamps: Sequence[Lamp], now: int
) -> "Iterable[GaugeMetricFamily | CounterMetricFamily]":
    from prometheus_client.metrics_core import (  # noqa: PLC0415 - only who is scraped pays for it
        CounterMetricFamily,
        GaugeMetricFamily,
    )

    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    meanings: dict[str, tuple[str, str]] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    fresh = [tick for tick in ticks if now - tick.at <= FRESH_MS]
    for tick in sorted(fresh, key=lambda tick: tick.collector == COLLECTOR):
        for reading in tick.readings:
            name, labels = metric_name(reading), labels_of(reading.attributes)
            key = (name, frozenset(labels.items()))
            if reading.value is None or key in seen or name.startswith(_OWN):
                continue
            meaning = (reading.kind, reading.unit)
            if meanings.setdefault(name, meaning) != meaning:
                continue
            seen.add(key)
            if name not in families:
                kind = CounterMetricFamily if reading.kind == "counter" else GaugeMetricFamily
                families[name] = kind(name, f"{reading.name} in {reading.unit}")
            _sample(families[name], name, labels, reading.value)
    board = GaugeMetricFamily("edge_agent_lamp", "Health of a part: 0 ok, 1 warn, 2 fail")
    for lamp in lamps:
        _sample(board, "edge_agent_lamp", {"part": lamp.part}, _LEVEL[lamp.state])
    return [*families.values(), board]


def _sample(family: "GaugeMetricFamily | CounterMetricFamily", name: str, labels: dict[str, str], value: float) -> None:
    # The families' own methods take one fixed list of label names; series of one metric may differ in theirs.
    family.add_sample(name, labels, value)


def _plain(name: str) -> str:
    """A name as Prometheus allows it."""
    plain = re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_]", "_", name))
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain


def _unit_words(unit: str, kind: str) -> str:
    if unit == "1":
        return "ratio" if kind == "gauge" else ""
    above, slash, below = unit.partition("/")
    words = _plain(_WORDS.get(above, above)).strip("_") if above else ""
    if not slash or not below:
        return words
    return f"{words}_per_{_plain(_PER.get(below, below)).strip('_')}".lstrip("_")
