"""NVML as a source: load and clock of the board's GPU where no file tells them, as on AGX Thor, and load of its coders.

A small program beside the agent asks the library (`nvmlscript`), because a call into a driver that hangs cannot be
ended: in a thread of the agent it would hold the agent's exit. The program runs only while the collector of the GPU
lacks a value, and only where the package `nvidia-ml-py` is installed (the extra `nvidia`); this collector says how it
is run and gives no reading itself. On Orin the library tells nothing of the kind; there the files do.

A line, and `nvml.json` of a recorded machine, is one JSON object; null is what the library does not support. Loads are
in percent (one above 100 is malformed), the clock in MHz, memory in bytes, or "unknown" where asking for it failed:

    {"gpus": [{"name": "NVIDIA Thor", "utilization": 85, "clock": 1574, "encoder": 0, "decoder": 3,
               "memory_total": null}]}
    {"absent": "no driver"}

The board's own GPU is the one without memory of its own, or by its name; others are cards (IGX boards may hold one) and
never stand for it. Of their numbers those that applications print on a Thor are asked for (name, load, no memory) and
those that jetson-stats shows there: coders, which on Thor are parts of the GPU, and on Orin are not. Clocks were not
seen, and are absent where they are not supported.

Not handled: GPUs on cards; loads of JPEG and of optical flow; temperature and power, which have files.
"""

import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.collectors.jetson.answers import CLOCK, LOAD, MHZ, Absent, Answers, Key, given, share, spoken
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NAME = "nvml"
_EVERY = 1.0
_SCRIPT = Path(__file__).with_name("nvmlscript.py")
_OWN_NAMES = ("Thor", "Orin", "nvgpu", "Tegra")
"""In the names of GPUs that are a board's own: some releases may tell such a one the board's memory."""
_CODERS = ("encoder", "decoder")
_LOOK_EVERY = 30
"""Beats between two looks whether the package is there."""


class Nvml:
    """Says how NVML is asked."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._commands = host.commands
        self._beats = 0
        self._offered = False

    def collect(self) -> Iterable[Reading]:
        """Nothing: what NVML says belongs to the collector of the GPU."""
        if self._commands is not None and not self._offered and self._beats % _LOOK_EVERY == 0:
            self._offered = find_spec("pynvml") is not None
            if self._offered:
                self._commands.offer(_NAME, (sys.executable, "-I", str(_SCRIPT)), _EVERY)
        self._beats += 1
        return ()


def knows(key: Key) -> bool:
    """Whether it is worth asking for a series."""
    return key == (CLOCK, "gpu") or (key[0] == LOAD and key[1] in {"gpu", *_CODERS})


def answers(line: bytes) -> Answers:
    """What a line says of the board's GPU; Absent or ValueError when it says nothing. Coders only where it knows."""
    gpus = spoken(line).get("gpus")
    if not isinstance(gpus, list) or not all(isinstance(gpu, dict) for gpu in gpus):
        raise Absent("malformed")
    own = [gpu for gpu in gpus if _is_own(gpu)]
    if len(own) != 1:
        raise Absent("several GPUs" if own else "a card" if gpus else "no GPU")
    coders = {(LOAD, coder): share(own[0].get(coder), 2, "not supported") for coder in _CODERS}
    return {
        (LOAD, "gpu"): share(own[0].get("utilization"), 2, "not supported"),
        (CLOCK, "gpu"): given(own[0].get("clock"), MHZ, 0, "not supported"),
        **{key: answer for key, answer in coders.items() if answer.value is not None},
    }


def _is_own(gpu: Mapping[str, Any]) -> bool:
    name = str(gpu.get("name"))
    return gpu.get("memory_total") is None or any(own in name for own in _OWN_NAMES)


OFFER = CollectorOffer(NoOptions, Nvml, default=True, claims=frozenset({_NAME}))
