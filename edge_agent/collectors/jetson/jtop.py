"""jtop (jetson-stats) as a source: what its root service reads, for the collectors whose files are closed to us.

A small program beside the agent is its client (`jtopscript`) while this collector is enabled (it is not by default).
jetson-stats is under the AGPL and is never imported into this process; it is looked for where `python` has it, which is
this interpreter (the extra `jetson`) or another one (`/usr/bin/python3`). The client must be of the service's version,
major and minor. A client that lost its service cannot come back within one process, so the program ends and is begun
again.

A line is one JSON object: percent and kHz, null for what jtop does not tell, or why there is nothing at all:

    {"gpu": {"load": 12.0, "clock": 1300500}, "emc": {"clock": 3199000}, "engines": {"NVENC": {"clock": 550400}}}
    {"absent": "version mismatch"}

Not used, because it is wrong or not to be told from what is (jetson-stats 4.3 to 7.2): the total of the processors
(alternates between two wrong values); the sum of rails; a GPU's load of 0, which is also said where it is not known
(Thor); what a GPU says whose clock is below 10 MHz by its unit, since that one came in MHz; the memory controller's
load (0 on every board whose kernel counts in kHz); whether an engine is on (one release counts its users and takes 1
alone for on, the next takes any clock for it).

The service's beat is that of its first client: where another one asks less often than each few seconds, lines are
`stale` between. Whoever may use its socket may also set the board's modes and clocks, so the agent's user does not
belong to its group (`jtop`) unless this collector is wanted. The client with the programs that it runs once at its
start is the largest of the agent's programs: the shipped unit's MemoryMax must be raised for it.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.collectors.jetson.answers import (
    CLOCK,
    EMC_CLOCK,
    ENGINE_CLOCK,
    KHZ,
    LOAD,
    Absent,
    Answer,
    Answers,
    Key,
    engine_id,
    given,
    heard,
    number,
    share,
    spoken,
)
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NAME = "jtop"
_EVERY = 1.0
_SCRIPT = Path(__file__).with_name("jtopscript.py")
_KNOWN = frozenset({CLOCK, EMC_CLOCK, ENGINE_CLOCK})
_LEAST_KHZ = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """`python` is the interpreter that has jetson-stats; this one when empty."""

    python: str = ""


class Jtop:
    """Keeps a client of jtop running."""

    def __init__(self, options: Options, host: Host) -> None:
        if "\0" in options.python:
            raise ValueError("python is no path")
        self._argv = (options.python or sys.executable, "-I", str(_SCRIPT))
        self._commands = host.commands

    def collect(self) -> Iterable[Reading]:
        """Whether it speaks."""
        if self._commands is not None:
            self._commands.offer(_NAME, self._argv, _EVERY)
        reason = None
        try:
            said = heard(self._commands, _NAME)
            spoken(said.line)
            if not said.fresh:
                reason = "stale"
        except Absent as absent:
            reason = str(absent)
        except ValueError:
            reason = "malformed"
        up = None if reason else 1
        yield Reading("jetson.source.up", up, "1", {"source": _NAME}, "gauge", 0, _NAME, reason)


def knows(key: Key) -> bool:
    """Whether it is worth asking for a series."""
    return key[0] in _KNOWN or key == (LOAD, "gpu")


def answers(line: bytes) -> Answers:
    """What a line says of the GPU, the memory controller and the engines; Absent or ValueError when it is nothing."""
    said = spoken(line)
    gpu, emc = _part(said, "gpu"), _part(said, "emc")
    clock = number(gpu.get("clock"))
    found: dict[Key, Answer] = {
        (LOAD, "gpu"): share(gpu.get("load") or None, 3, "ambiguous zero"),
        (CLOCK, "gpu"): given(clock, KHZ, 0, "not told"),
        (EMC_CLOCK, ""): given(emc.get("clock"), KHZ, 0, "not told"),
    }
    if clock is None or clock < _LEAST_KHZ:
        found[LOAD, "gpu"], found[CLOCK, "gpu"] = (Answer(None, digits, "ambiguous unit") for digits in (3, 0))
    engines = _part(said, "engines")
    for name in engines:
        engine, one = _part(engines, name), engine_id(name)
        if one:
            found[ENGINE_CLOCK, one] = given(engine.get("clock"), KHZ, 0, "not told")
    return found


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


OFFER = CollectorOffer(Options, Jtop, claims=frozenset({_NAME}))
