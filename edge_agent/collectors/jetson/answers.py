"""Answers: what NVML, tegrastats or jtop say of one series, by the series' name and the id of what it is about.

The id is that of the attribute `engine`, else of `hw.id`, else empty; `encoder` and `decoder` are those of the GPU as a
whole. Engines have the same ids whoever speaks of them:
`nvenc0 nvenc1 nvdec0 nvdec1 nvjpg0 nvjpg1 vic ofa dla0 dla1 pva0 ape`; one without a number where there may be several
is the first. Blocks beside an engine (DLA0_FALCON, PVA0_VPS) are none.
"""

import errno
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from edge_agent.kit.hostfile import absence
from edge_agent.model.ports import Commands, Said

Key = tuple[str, str]
"""Name and id."""

LOAD, CLOCK = "hw.gpu.utilization", "hw.gpu.speed"
EMC_LOAD, EMC_CLOCK = "jetson.emc.utilization", "jetson.emc.frequency"
ENGINE_LOAD, ENGINE_CLOCK, ENGINE_STATE = "jetson.engine.utilization", "jetson.engine.frequency", "jetson.engine.state"
POWER = "hw.power"

KHZ, MHZ = 1000, 1_000_000

_GREATEST = 1e15
_WHOLE = 100
_LONGEST_REASON = 80
_WORDS: Mapping[int, str] = {errno.EAGAIN: "starting", errno.ECHILD: "ended"}

_TASKS = frozenset({"encoder", "decoder"})
_ENGINE = re.compile(r"(?:NV)?(ENC|DEC|JPG|DLA|PVA|VIC|OFA|APE)(\d?)(?:_FREQ|_CORE)?")
_FULL = {"ENC": "nvenc", "DEC": "nvdec", "JPG": "nvjpg", "DLA": "dla", "PVA": "pva"}
"""Those that there may be several of; the others are as they are called."""


class Answer(NamedTuple):
    """A value in the series' unit with its decimals, or None and why there is none."""

    value: float | None
    digits: int
    reason: str | None = None


Answers = Mapping[Key, Answer]


class Absent(Exception):  # noqa: N818 - it is an answer
    """The source itself says why it has nothing; its words are the reason."""


def heard(commands: Commands | None, name: str) -> Said:
    """What a command said last; Absent with the reason when it said nothing."""
    if commands is None:
        raise Absent("not live")
    try:
        return commands.last(name)
    except OSError as error:
        raise Absent(_WORDS.get(error.errno or 0) or absence(error)) from None


def id_of(attributes: Mapping[str, str]) -> str:
    """What a series is about."""
    one = attributes.get("engine") or attributes.get("hw.id") or ""
    if one != "gpu":
        return one
    task = attributes.get("hw.gpu.task")
    return task if task in _TASKS else one


def engine_id(name: str) -> str | None:
    """The id of an engine by any of its names (NVENC, NVENC0_FREQ, MSENC, dla0_core); None for what is none."""
    found = _ENGINE.fullmatch(name.upper().replace("MSENC", "NVENC"))
    if found is None:
        return None
    kind, number = found.groups()
    return f"{_FULL[kind]}{number or 0}" if kind in _FULL else kind.lower()


def load_key(engine: str) -> Key:
    """The series of an engine's load: coders are parts of the GPU by the conventions' words, the others are our own."""
    return (LOAD if engine.startswith(("nvenc", "nvdec")) else ENGINE_LOAD, engine)


def spoken(line: bytes) -> Mapping[str, Any]:
    """The JSON object of a line; Absent with its reason when it says so or is none, ValueError when it is no JSON."""
    try:
        said = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(said, dict):
        raise Absent("malformed")
    if "absent" in said:
        raise Absent(str(said["absent"])[:_LONGEST_REASON])
    return said


def number(said: object) -> float | None:
    """A number of JSON that a sensor could have told, else None."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return said if 0 <= said <= _GREATEST else None


def share(said: object, digits: int, reason: str) -> Answer:
    """The answer of a percentage; one of more than all is malformed."""
    value = number(said)
    return Answer(None, digits, "malformed") if value and value > _WHOLE else given(said, 0.01, digits, reason)


def given(said: object, scale: float, digits: int, reason: str) -> Answer:
    """The answer of a number times a scale; absent for the reason where it is no number."""
    value = number(said)
    return Answer(None, digits, reason) if value is None else Answer(value * scale, digits)
