"""The power mode that nvpmodel set, and whether the clocks are pinned as `jetson_clocks` does.

`/var/lib/nvpmodel/status` names the mode (`pmode:0002 fmode:quiet`), /etc/nvpmodel.conf its name (`< POWER_MODEL ID=2
NAME=MODE_15W >`): files, since running nvpmodel may hang under load. `jetson.nvpmodel.mode` is 1 for the mode that is,
and 0 for those that were while this runs. A mode without a name in the file has its number only; once it has a name,
the series without one is absent as `gone`.

`jetson.clocks.pinned` is 1 where the least and the greatest frequency of every processor and of the GPU are the same, 0
where those of one differ, whatever the others are, and unknown where one that is not read might.

The forms of both files are as NVIDIA's guides and nvpmodel's own output show them; no recording holds them.

Not handled: what a mode sets; a mode that is set but waits for a reboot, which the status file names already.
"""

import re
from collections.abc import Iterable, Iterator

from edge_agent.collectors.jetson.board import Known
from edge_agent.collectors.sysfs.parts import names_in, number
from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Reading

_STATUS, _CONFIG = "var/lib/nvpmodel/status", "etc/nvpmodel.conf"
_PMODE = re.compile(rb"pmode:\s*(\d{1,4})")
_MODEL = re.compile(rb"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=([!-~]{1,64}?)\s*>")
_MODE, _PINNED = "jetson.nvpmodel.mode", "jetson.clocks.pinned"
_POLICIES = "sys/devices/system/cpu/cpufreq"
_GPUS = "sys/class/devfreq"
_GPU = re.compile(r"(?:57000000|17000000)\.\w+|gpu-gpc-\d+")
_MOST = 32
_EVERY = 30


class Modes:
    """Reads the mode and the frequencies' ends."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host = host
        self._known = Known(host)
        self._status, self._config = HostFile(host, _STATUS), HostFile(host, _CONFIG)
        self._seen: dict[int, dict[str, str]] = {}
        self._named_since: list[int] = []
        self._pairs: list[tuple[HostFile, HostFile]] = []
        self._has_both = False
        """Whether there are pairs of the processors and of the GPU."""
        self._beats = 0
        self._rest = 1
        """Beats to the next look, on a machine that is no board as far as is known."""

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        if self._known.board() is None and not self._seen:
            self._rest = (self._rest or _EVERY) - 1
            if self._rest or not any(reading.value for reading in self._mode()):
                return
        modes = list(self._mode())
        if self._beats % _EVERY == 0:
            self._pairs = list(self._ends())
            self._has_both = len({file.source.split("/")[2] for file, _ in self._pairs}) > 1
            nameless = [mode for mode, place in self._seen.items() if len(place) == 1]
            self._seen.update((mode, self._named(mode)) for mode in nameless)
            self._named_since += [mode for mode in nameless if len(self._seen[mode]) > 1]
        self._beats += 1
        yield from modes
        for mode in self._named_since:
            yield Reading(_MODE, None, "1", _place(mode), source=self._status.source, reason="gone")
        yield self._pinned()

    def _mode(self) -> Iterator[Reading]:
        source = self._status.source
        now, why = None, "malformed"
        try:
            found = _PMODE.search(self._status.read_head(4096))
            now = int(found[1]) if found else None
        except OSError as error:
            why = absence(error)
        if now is not None and now not in self._seen and len(self._seen) < _MOST:
            self._seen[now] = self._named(now)
        if not self._seen:
            yield Reading(_MODE, None, "1", NO_ATTRIBUTES, source=source, reason=why)
        for mode, place in self._seen.items():
            value = None if now is None else int(mode == now)
            yield Reading(_MODE, value, "1", place, source=source, reason=None if now is not None else why)

    def _named(self, mode: int) -> dict[str, str]:
        place = _place(mode)
        try:
            names = {int(one): name.decode() for one, name in _MODEL.findall(self._config.read())}
        except OSError:
            return place
        return {**place, "jetson.nvpmodel.name": names[mode]} if mode in names else place

    def _ends(self) -> Iterator[tuple[HostFile, HostFile]]:
        """Files of the least and the greatest frequency: of the processors' policies, then of the GPU."""
        for folder, pattern, least, most in (
            (_POLICIES, re.compile(r"policy\d+"), "scaling_min_freq", "scaling_max_freq"),
            (_GPUS, _GPU, "min_freq", "max_freq"),
        ):
            try:
                names = sorted(name for name in names_in(self._host, folder) if pattern.fullmatch(name))
            except OSError:
                continue
            for name in names[:_MOST]:
                path = f"{folder}/{name}"
                yield HostFile(self._host, f"{path}/{least}"), HostFile(self._host, f"{path}/{most}")

    def _pinned(self) -> Reading:
        pinned = Reading(_PINNED, None, "1", source=f"/{_POLICIES}", reason="missing")
        if not self._has_both:
            return pinned
        absent = None
        for at, (least, most) in enumerate(self._pairs):
            low, why = number(least)
            high, also = number(most)
            if low is None or high is None:
                absent = absent or pinned._replace(source=(least if low is None else most).source, reason=why or also)
            elif low != high:
                self._pairs.insert(0, self._pairs.pop(at))  # the first to be read next time: one is enough
                return pinned._replace(value=0, reason=None)
        return absent or pinned._replace(value=1, reason=None)


def _place(mode: int) -> dict[str, str]:
    return {"jetson.nvpmodel.id": str(mode)}


OFFER = CollectorOffer(NoOptions, Modes, default=True)
