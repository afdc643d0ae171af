"""Readings that other programs leave in a folder of `*.prom` files, as node_exporter's textfile collector takes them.

A file is in the Prometheus text format and is replaced whole by its writer. It is parsed when it changed, and gives its
readings at each read while it is fresh. One that is stale, broken or unreadable costs its own readings only, whose
reason names the file and, if one is to blame, the line. Each file has a reading `agent.textfile.samples`, so that one
which never was good shows too. A file that is gone takes its series along. Only regular files and links to them are
read, no further than a byte past `most_bytes`, whatever size is claimed.

Names and labels stay; the unit follows from the name's ending. Counters, and the buckets, counts and sums of histograms
and summaries, are counters; the rest are gauges. What repeats a series of an earlier file (by name) is refused. Age is
judged by the machine's own `/proc/stat` and `/proc/uptime`; where they cannot be read nothing is stale.

Not handled: time stamps in a file (a reading has its own), exemplars, OpenMetrics, names that are no printable text.
"""

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge_agent.kit.hostfile import HostFile, absence, listed
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.quantity import Bytes, Seconds
from edge_agent.model.reading import Kind, Reading

_UNITS = {
    "seconds": "s", "bytes": "By", "celsius": "Cel", "ratio": "1", "volts": "V", "amperes": "A", "watts": "W",
    "joules": "J", "hertz": "Hz", "meters": "m", "grams": "g", "rpm": "{revolution}/min",
}  # fmt: skip
_BOOT = re.compile(rb"^btime (\d+)$", re.MULTILINE)
_COUNTED_ENDINGS = {"counter": ("",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}
_Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Options:
    """Where the files are (nowhere when empty), the age from which one is not believed, and how large one may be."""

    folder: str = ""
    stale: Seconds = 300.0
    most_bytes: Bytes = 1024 * 1024


@dataclass(slots=True)
class _File:
    """A file as it was parsed last; `broken` says why it was not, and then `readings` are from before."""

    stamp: tuple[int, int, int] = (0, 0, 0)
    readings: dict[_Key, Reading] = field(default_factory=dict)
    broken: str | None = None


class Textfile:
    """Reads the folder."""

    def __init__(self, options: Options, host: Host) -> None:
        self._options = options
        self._host = host
        self._place = options.folder.strip("/")
        self._files: dict[str, _File] = {}
        self._stat, self._uptime = HostFile(host, "proc/stat"), HostFile(host, "proc/uptime")

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        if not self._place:
            return
        source = f"/{self._place}"
        try:
            names = sorted(name for name in listed(self._host, self._place) if name[1:].endswith(".prom"))
        except OSError as error:
            yield Reading("agent.textfile.samples", None, "{sample}", source=source, reason=absence(error))
            names = list(self._files)
        self._files = {name: self._files.get(name, _File()) for name in names if name.isprintable()}
        now, seen = self._now(), set[_Key]()
        for name, file in self._files.items():
            reason = self._refresh(name, file, now)
            repeated = file.readings.keys() & seen
            if reason is None and repeated:
                reason = f"{name}: repeats {min(key[0] for key in repeated)}"
            samples = len(file.readings) if reason is None else None
            labels = {"file.name": name}
            yield Reading("agent.textfile.samples", samples, "{sample}", labels, source=source, reason=reason)
            if reason is None:
                yield from file.readings.values()
            else:
                lost = (was for key, was in file.readings.items() if key not in repeated)
                yield from (was._replace(value=None, reason=reason) for was in lost)
            seen |= file.readings.keys()

    def _refresh(self, name: str, file: _File, now: float | None) -> str | None:
        """Parse a file if it changed; why its readings are not to be believed, or None when they are."""
        try:
            found = (self._host.root / self._place / name).stat()
            if not stat.S_ISREG(found.st_mode):
                return f"{name}: not a regular file"
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != file.stamp:
                text = HostFile(self._host, f"{self._place}/{name}")
                file.broken, file.stamp = _parse(name, text, file, self._options.most_bytes), stamp
        except OSError as error:
            return f"{name}: {absence(error)}"
        if file.broken is None and now is not None and now - found.st_mtime > self._options.stale:
            return f"{name}: stale"
        return file.broken

    def _now(self) -> float | None:
        """Unix seconds by the machine that is read."""
        try:
            boot = _BOOT.search(self._stat.read())
            return float(self._uptime.read().split()[0]) + int(boot[1]) if boot else None
        except (OSError, ValueError, IndexError):
            return None


def _parse(name: str, text: HostFile, file: _File, most: int) -> str | None:
    """Put the readings of a text into `file`; what is wrong with it, or None."""
    if len(content := text.read_head(most + 1)) > most:
        return f"{name}: too large"
    try:
        lines = content.decode()
    except UnicodeDecodeError:
        return f"{name}: not UTF-8"
    if not _is_whole(lines):
        at = (number for number, line in enumerate(lines.split("\n"), 1) if not _is_whole(line))
        return f"{name}:{next(at, 1)}: malformed"
    file.readings = {
        (reading.name, frozenset(reading.attributes.items())): reading for reading in _readings(lines, text.source)
    }
    return None


def _is_whole(text: str) -> bool:
    try:
        return all(True for _ in _readings(text, ""))
    except (ValueError, IndexError):  # the parser means the first, and stumbles into the second
        return False


def _readings(text: str, source: str) -> Iterator[Reading]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - only where files are read

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            kind: Kind = "counter" if sample.name.endswith(_COUNTED_ENDINGS.get(family.type, ())) else "gauge"
            unit = _UNITS.get(sample.name.removesuffix("_total").rpartition("_")[2], "1")
            yield Reading(sample.name, sample.value, unit, sample.labels, kind, None, source)


OFFER = CollectorOffer(Options, Textfile)
