"""tegrastats as a source: what its privilege lets it read, for the collectors whose files are closed to us.

It runs beside the agent while this collector is enabled (it is not by default), as the agent's user, who is told less
than root is. Under the shipped unit no program gains privileges, so what root is told comes by a pipe that a service of
root's writes (`tegrastats > /run/tegrastats.pipe`): `command = ["cat", "/run/tegrastats.pipe"]`. Elsewhere it may name
a wrapper (`["sudo", "-n", "/usr/bin/tegrastats"]`).

The memory controller, the engines and, where no file tells it, the GPU get their numbers from here through `order`; the
series are those collectors' own. The largest free block of memory is what this one alone tells. A clock of 0 is none
that was told, and a clock alone does not say that its engine is on.

Not handled: temperatures, processors and memory, whose files are open to all and finer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.collectors.jetson.answers import (
    CLOCK,
    EMC_CLOCK,
    EMC_LOAD,
    ENGINE_CLOCK,
    ENGINE_LOAD,
    ENGINE_STATE,
    LOAD,
    MHZ,
    POWER,
    Absent,
    Answer,
    Answers,
    Key,
    engine_id,
    given,
    heard,
    load_key,
    share,
)
from edge_agent.collectors.jetson.tegraline import Engine, TegraLine, parse
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.quantity import Interval
from edge_agent.model.reading import NO_ATTRIBUTES, Reading

_NAME = "tegrastats"
_KNOWN = frozenset({LOAD, CLOCK, EMC_LOAD, EMC_CLOCK, ENGINE_LOAD, ENGINE_CLOCK, ENGINE_STATE, POWER})
_LONGEST = 8192
"""Bytes of a line: several times the longest that a board writes."""
_DEFAULT_BEAT = 1.0
"""Seconds between its lines when it is told nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """`command` is what is run, `every` its beat in seconds.

    Where that is not one second, `--interval` is added to words that end with tegrastats itself.
    """

    command: tuple[str, ...] = ("tegrastats",)
    every: Interval = _DEFAULT_BEAT


class Tegrastats:
    """Keeps tegrastats running."""

    def __init__(self, options: Options, host: Host) -> None:
        if not options.command or not all(options.command):
            raise ValueError("command is empty, or a word of it")
        if any("\0" in word for word in options.command):
            raise ValueError("a word of command holds a zero byte")
        told = options.every != _DEFAULT_BEAT and options.command[-1].rpartition("/")[2] == _NAME
        self._argv = (*options.command, *(("--interval", str(round(options.every * 1000))) if told else ()))
        self._every = options.every
        self._commands = host.commands

    def collect(self) -> Iterable[Reading]:
        """Whether it speaks, and the largest free block."""
        if self._commands is not None:
            self._commands.offer(_NAME, self._argv, self._every)
        reason, largest = None, None
        try:
            said = heard(self._commands, _NAME)
            memory = _parsed(said.line).memory.get("RAM")
            largest = memory.largest if memory and said.fresh else None
            reason = None if said.fresh else "stale"
        except Absent as absent:
            reason = str(absent)
        yield Reading("jetson.source.up", None if reason else 1, "1", {"source": _NAME}, "gauge", 0, _NAME, reason)
        why = None if largest is not None else reason or "not reported"
        yield Reading("jetson.memory.largest_free_block", largest, "By", NO_ATTRIBUTES, "gauge", 0, _NAME, why)


def knows(key: Key) -> bool:
    """Whether it is worth asking for a series."""
    return key[0] in _KNOWN


def answers(line: bytes) -> Answers:
    """What a line says of the GPU, the memory controller, the engines and the rails; Absent when it is none."""
    said = _parsed(line)
    found: dict[Key, Answer] = {(POWER, name): Answer(watts / 1000, 3) for name, watts in said.rails.items()}
    for name, engine in said.engines.items():
        base = name.removesuffix("_FREQ")
        if base == "GR3D":
            found.update({(LOAD, "gpu"): _load(engine), (CLOCK, "gpu"): _clock(engine)})
        elif base == "EMC":
            found.update({(EMC_LOAD, ""): _load(engine), (EMC_CLOCK, ""): _clock(engine)})
        elif one := engine_id(name):
            found[ENGINE_CLOCK, one] = _clock(engine)
            if one != "ape":  # a processor of its own, of which only the clock is ever told
                found[load_key(one)] = _load(engine)
            if engine.off or (engine.clock and engine.load is not None):
                found[ENGINE_STATE, one] = Answer(int(not engine.off), 0)
    return found


def _load(engine: Engine) -> Answer:
    return share(engine.load, 2, _why(engine))


def _clock(engine: Engine) -> Answer:
    return given(engine.clock or None, MHZ, 0, _why(engine))


def _why(engine: Engine) -> str:
    return "off" if engine.off else "not told"


def _parsed(line: bytes) -> TegraLine:
    said = parse(line.decode("ascii", "replace")) if len(line) <= _LONGEST else None
    if said is None:
        raise Absent("malformed")
    return said


OFFER = CollectorOffer(Options, Tegrastats, claims=frozenset({_NAME}))
