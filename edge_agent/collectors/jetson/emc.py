"""Clock and use of the external memory controller (EMC), which CPU and GPU of a Jetson share.

The clock in Hz is world readable on Thor (/sys/class/devfreq/bwmgr); elsewhere it stands in debugfs, for root only, in
the folders of the power controller (TX2 and later) or of the kernel's clocks (Nano, TX1). The activity is a clock too,
in kHz by the kernel's driver: the share of the clock that was busy (/sys/kernel/actmon_avg_activity of JetPack 4 and 5,
readable by all; debugfs' cactmon since, taken to be the same). Use is activity by clock. A limit in Hz that nvpmodel
set is told where there is one. Paths are those that jtop and NVIDIA's scripts read; no recording holds an activity.

What is closed to us is absent with its reason, and asked of tegrastats and jtop where these run (`order`).

Not handled: the counter of the power controller's own firmware (bpmp/debug/actmon: Thor, and Orin without cactmon),
whose unit is not published and does not give what tegrastats says; who used the memory.
"""

from collections.abc import Iterable

from edge_agent.collectors.jetson.board import Known
from edge_agent.collectors.jetson.choice import Choice
from edge_agent.collectors.jetson.order import Lower
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Reading

_CLOCKS_210 = ("sys/kernel/debug/clk/override.emc/clk_rate", "sys/kernel/debug/clk/emc/clk_rate")
"""Of Nano and TX1, which have no power controller with clocks."""
_CLOCKS = (
    "sys/class/devfreq/bwmgr/cur_freq",
    "sys/kernel/debug/bpmp/debug/clk/emc/rate",
    *_CLOCKS_210,
)
_ACTIVITIES = (
    "sys/kernel/actmon_avg_activity/mc_all",
    "sys/kernel/debug/cactmon/mc_all",
)
_LIMITS = ("sys/kernel/nvpmodel_clk_cap/emc", "sys/kernel/nvpmodel_emc_cap/emc_iso_cap")
_KHZ = 1000


class Emc:
    """Reads the memory controller's clock and activity."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host, self._known, self._soc = host, Known(host), ""
        self._clock, self._activity = Choice(host, _CLOCKS), Choice(host, _ACTIVITIES)
        self._limit = Choice(host, _LIMITS)
        self._lower = Lower(host)

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        board = self._known.board()
        if board is not None and board.soc != self._soc:
            self._soc = board.soc
            self._clock = Choice(self._host, _CLOCKS_210 if board.soc == "t210" else _CLOCKS)
        clock, activity, limit = self._clock.read(), self._activity.read(), self._limit.read()
        if board is None and not (self._clock.ever or self._activity.ever):
            return
        yield self._lower.better(_reading("jetson.emc.frequency", clock, "Hz", self._clock))
        yield self._lower.better(self._use(clock, activity))
        if self._limit.ever:
            most = _reading("jetson.emc.frequency.limit", limit, "Hz", self._limit)
            yield most if limit else most._replace(value=None, reason=most.reason or "no limit")

    def tried(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """What was asked after the files for this series, each with its answer."""
        return self._lower.tried(reading)

    def _use(self, clock: int | None, activity: int | None) -> Reading:
        name, value, why = "jetson.emc.utilization", None, self._activity.reason or self._clock.reason
        if clock is not None and activity is not None:
            value, why = (activity * _KHZ / clock, None) if clock > 0 else (None, "no clock")
        source = f"{self._activity.source} / {self._clock.source}"
        return Reading(name, value, "1", NO_ATTRIBUTES, digits=4, source=source, reason=why)


def _reading(name: str, value: int | None, unit: str, file: Choice) -> Reading:
    return Reading(name, value, unit, source=file.source, reason=file.reason)


OFFER = CollectorOffer(NoOptions, Emc, default=True)
