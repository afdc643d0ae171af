"""Clocks and states of a Jetson's engines: coders, JPEG, VIC, OFA, deep learning (DLA), vision (PVA), audio (APE).

Rates in Hz and enable counts stand in debugfs (/sys/kernel/debug/clk, bpmp/debug/clk), for root only; a rate is what
the clock is set to, also while it is off, so `jetson.engine.state` (1 on, 0 off) stands beside it. VIC alone has files
for all: its clock in /sys/class/devfreq and its load, in thousandths (`engine` has the names).

Engines that every board of the kind has are absent with the reason when their files are closed; others are looked for
at each 30th beat, each at another one, and told once they were seen. What no file tells is asked of tegrastats and jtop
where these run (`order`), loads of coders among it. On Thor, whose coders are parts of the GPU and have no names in
debugfs that are known, NVML tells the load of all encoders and of all decoders.

Not handled: VIC's load of debugfs (its unit differs by release), blocks beside an engine (dla0_falcon, pva0_axi).
"""

from collections.abc import Iterable, Iterator

from edge_agent.collectors.jetson.answers import ENGINE_CLOCK, ENGINE_LOAD, ENGINE_STATE, LOAD
from edge_agent.collectors.jetson.board import Board, Known
from edge_agent.collectors.jetson.choice import Choice
from edge_agent.collectors.jetson.engine import CLOCKS, VIC, VIC_LOADS, Engine, may_be_here
from edge_agent.collectors.jetson.order import Lower
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_EVERYWHERE = frozenset({"nvdec0", "nvjpg0", "vic"})
_NO_ENCODER = "Orin Nano"
_NAMELESS = "t264"
"""The chip whose names in debugfs are not known."""
_PERMILLE = 1000
_REST = 30
"""Beats between two looks on a machine that is no board and has no such file, and for an engine that was never seen."""
_MOST = 64
"""Series that lower sources may add."""
_TASKS = {"nvenc": "encoder", "nvdec": "decoder"}
_GPU = "gpu"
"""Whose coders they are where NVML tells of them, all as one."""


class Engines:
    """Reads all engines."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host, self._known = host, Known(host)
        self._engines = {name: Engine(name, host) for name in CLOCKS}
        self._vic = Choice(host, VIC_LOADS)
        self._lower = Lower(host)
        self._told, self._rest = False, 1
        self._looks = 0
        self._added: dict[tuple[str, str], Reading] = {}

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        board = self._known.board()
        readings = list(self._own(board)) if self._is_up(board) else []
        self._told = self._told or bool(readings)
        own = {(reading.name, reading.attributes["engine"]) for reading in readings}
        self._add(nvml=board is not None and board.soc == _NAMELESS)
        readings.extend(reading for key, reading in self._added.items() if key not in own)
        return [self._lower.better(reading) for reading in readings]

    def tried(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """What was asked after the files for this series, each with its answer."""
        return self._lower.tried(reading)

    def _is_up(self, board: Board | None) -> bool:
        """Whether to look at this beat: each one where there is something, else some."""
        if board is not None or self._told:
            return True
        self._rest = (self._rest or _REST) - 1
        return not self._rest and may_be_here(self._host)

    def _own(self, board: Board | None) -> Iterator[Reading]:
        """What files tell."""
        anew = board is None and not self._told
        for turn, (name, engine) in enumerate(self._engines.items()):
            known = board is not None and _has(board, name)
            is_due = anew or not self._looks or self._looks % _REST == turn
            if known or engine.ever or is_due:
                yield from engine.readings(known=known, anew=is_due)
        self._looks += 1
        load = self._vic.read(anew=anew)
        if self._vic.ever:
            value = None if load is None else load / _PERMILLE
            place = {"engine": VIC}
            yield Reading(ENGINE_LOAD, value, "1", place, "gauge", 3, self._vic.source, self._vic.reason)

    def _add(self, *, nvml: bool) -> None:
        """Take in what only the lower sources know."""
        for name, unit in ((ENGINE_CLOCK, "Hz"), (ENGINE_STATE, "1"), (ENGINE_LOAD, "1"), (LOAD, "1")):
            for one in self._lower.ids(name, nvml=nvml and name == LOAD):
                place = _load_of(one) if name == LOAD else {"engine": one}
                if place is None or (name, one) in self._added or len(self._added) >= _MOST:
                    continue
                digits = 2 if name in {LOAD, ENGINE_LOAD} else 0
                self._added[name, one] = Reading(name, None, unit, place, "gauge", digits, reason="missing")


def _load_of(one: str) -> dict[str, str] | None:
    """The attributes of a coder's load; None for the GPU's own, which is another collector's."""
    if one in _TASKS.values():
        return {"hw.id": _GPU, "hw.gpu.task": one}
    task = _TASKS.get(one[:5])
    return None if task is None else {"hw.id": one, "hw.gpu.task": task}


def _has(board: Board, engine: str) -> bool:
    """Whether a board has this engine for sure, and its clock a name that is known."""
    if board.soc == _NAMELESS:
        return False
    return engine in _EVERYWHERE or (engine == "nvenc0" and _NO_ENCODER not in board.model)


OFFER = CollectorOffer(NoOptions, Engines, default=True)
