"""One engine's files: its clock and how many use it, by any of the names that the chips have for it.

The names in debugfs are those that jtop reads (`clk_rate`, `clk_enable_count`) and that NVIDIA's answers to users write
(the power controller's `rate` and `state`). Where VIC's device lies is told by other readers of it: the first two for
Orin with JetPack 5 and 6, the others for boards before. No recording holds any of these files.
"""

from collections.abc import Iterator
from contextlib import suppress

from edge_agent.collectors.jetson.answers import ENGINE_CLOCK, ENGINE_STATE
from edge_agent.collectors.jetson.choice import Choice
from edge_agent.collectors.sysfs.parts import names_in
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

CLOCKS = {
    "nvenc0": ("nvenc", "msenc"), "nvenc1": ("nvenc1",), "nvdec0": ("nvdec",), "nvdec1": ("nvdec1",),
    "nvjpg0": ("nvjpg",), "nvjpg1": ("nvjpg1",), "vic": ("vic", "vic03"), "ofa": ("ofa",), "dla0": ("dla0_core",),
    "dla1": ("dla1_core",), "pva0": ("pva0_vps", "pva0_vps0"), "pva1": ("pva1_vps0",), "ape": ("ape",),
}  # fmt: skip
"""The clocks' names by engine, over the chips."""
VIC = "vic"
_KERNELS, _CONTROLLERS = "sys/kernel/debug/clk", "sys/kernel/debug/bpmp/debug/clk"
_VIC_CLOCK = "sys/class/devfreq/15340000.vic"
_VICS = (
    f"{_VIC_CLOCK}/device",
    "sys/devices/platform/13e40000.host1x/15340000.vic",
    "sys/devices/platform/bus@0/13e00000.host1x/15340000.vic",
    "sys/devices/13e10000.host1x/15340000.vic",
)
VIC_LOADS = tuple(f"{device}/load" for device in _VICS)


class Engine:
    """The files of one engine."""

    def __init__(self, name: str, host: Host) -> None:
        clocks = CLOCKS[name]
        own = (f"{_VIC_CLOCK}/cur_freq",) if name == VIC else ()
        debug = [(f"{_KERNELS}/{clock}", f"{_CONTROLLERS}/{clock}") for clock in clocks]
        self.rate = Choice(host, (*own, *(f"{clk}/clk_rate" for clk, _ in debug), *(f"{b}/rate" for _, b in debug)))
        self.count = Choice(host, (*(f"{clk}/clk_enable_count" for clk, _ in debug), *(f"{b}/state" for _, b in debug)))
        self.place = {"engine": name}

    @property
    def ever(self) -> bool:
        """Whether any file of it ever gave a number."""
        return self.rate.ever or self.count.ever

    def readings(self, *, known: bool, anew: bool) -> Iterator[Reading]:
        """Clock and state, when the board has this engine for sure, or it was seen."""
        rate, count = self.rate.read(anew=anew), self.count.read(anew=anew)
        if known or self.rate.ever:
            yield Reading(ENGINE_CLOCK, rate, "Hz", self.place, source=self.rate.source, reason=self.rate.reason)
        if known or self.count.ever:
            state = None if count is None else int(count > 0)
            yield Reading(ENGINE_STATE, state, "1", self.place, source=self.count.source, reason=self.count.reason)


def may_be_here(host: Host) -> bool:
    """Whether any folder is there that could hold an engine's file."""
    for folder in (_KERNELS, _CONTROLLERS, _VIC_CLOCK, *_VICS):
        with suppress(OSError):
            if names_in(host, folder):
                return True
    return False
