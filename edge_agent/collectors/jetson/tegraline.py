"""The grammar of a line of tegrastats, of L4T 21 to 39; pure text to values.

    [date] RAM 1/2MB (lfb 3x4MB) [SWAP 1/2MB (cached 3MB)] [IRAM ..] CPU [17%@1190,off,..] EMC_FREQ 2%@1600
    GR3D_FREQ 3%@[114,0] NVENC 79%@166 NVDEC off VIC_FREQ 115 NVENC0_FREQ @314 MTS fg 0% bg 1% cpu@53.9C/54.1C
    VDD_IN 9761mW/9500mW/9999mW

Tokens stand in any order, and what is not known is passed over, as are the head of a line that was cut and the noise of
a shell. Numbers are in the line's own units: percent, MHz, milliwatts, degrees; MB are MiB. Of a pair or a triple only
the first number is the present one: the second is a mean since the program began (not of a window, and wrong in one
release), the third the greatest since. Absent is told apart from zero:

    GR3D_FREQ @[..]         the clock alone: the load is unknown
    EMC_FREQ 0%, no `@`     written by one who may not know: neither load nor clock (a load above 0 without a clock
                            is one: it comes from a file that all may read)
    off                     a core that is off, an engine without power
    cv0@-256C               the block is without power: no temperature; PMIC is a dummy on every board and dropped

A rail's name may be that of a zone (`GPU 467mW` and `GPU@35C`, AGX Xavier); NC is a channel that nothing is wired to.
Numbers of ten digits and more are none.

From public logs of boards with L4T 28 to 39, and from the older forms that other readers of such lines know (L4T 21).
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_NUMBER = r"-?\d{1,9}(?:\.\d{1,9})?"
_ARRAY = re.compile(r"\bcpu \[([^\]]*)\](?:@(\d{1,9})\b)?", re.IGNORECASE)
_LOST_HEAD = re.compile(r"^\s*\[((?:\d+%(?:@\d+)?|off)(?:,(?:\d+%(?:@\d+)?|off))*)\]")
_CORE = re.compile(r"(\d{1,9})%(?:@(\d{1,9}))?$")
_MEMORY = re.compile(
    r"\b(RAM|SWAP|IRAM) (\d{1,9})/(\d{1,9})(k|M)B"
    r"(?: ?\((?:lfb (?:(\d{1,9})x)?(\d{1,9})(k|M)B|cached \d{1,9}MB)\))?"
)
_ENGINE = re.compile(
    r"(?:^|(?<=\s))((?:EMC|GR3D|NV[A-Z]+|MSENC|VIC|OFA|PVA|APE)\d?(?:_FREQ)?) "
    r"(?:(off)|(\d{1,9})%(?:@\[?(\d{1,9})(?:,\d+)*\]?)?|@\[?(\d{1,9})(?:,\d+)*\]?|(\d{1,9}))(?=\s|$)"
)
_ZONE = re.compile(rf"(?:^|(?<=\s))([A-Za-z][\w-]*)@({_NUMBER})C(?:/{_NUMBER}C)?(?=\s|$)")
_RAIL = re.compile(r"(?:^|(?<=\s))([A-Z][A-Z0-9_]*) (\d{1,9})(?:mW)?/\d+(?:mW)?(?:/\d+mW)?(?=\s|$)")
_GATED = -100.0
_KIB, _MIB = 1024, 1024 * 1024
_SCALES: Mapping[str, int] = {"k": _KIB, "M": _MIB}


class Amount(NamedTuple):
    """Memory in bytes; `largest` is the largest free block, None where it is not told."""

    used: int
    limit: int
    largest: int | None


class Core(NamedTuple):
    """A processor: percent and MHz; both None when it is off. MHz is None where it is not told."""

    load: int | None
    clock: int | None


class Engine(NamedTuple):
    """A unit with a clock: percent and MHz, None for what is not told; `off` when it is without power."""

    load: int | None
    clock: int | None
    off: bool = False


class TegraLine(NamedTuple):
    """What one line says. Zones that are without power have None; rails are in milliwatts."""

    memory: Mapping[str, Amount]
    cores: tuple[Core, ...]
    engines: Mapping[str, Engine]
    zones: Mapping[str, float | None]
    rails: Mapping[str, int]


def parse(line: str) -> TegraLine | None:
    """What a line says; None when it says nothing that is known."""
    memory = {found[1]: _amount(found) for found in _MEMORY.finditer(line)}
    cores = tuple(_cores(line))
    rest = _MEMORY.sub(" ", _LOST_HEAD.sub(" ", _ARRAY.sub(" ", line)))
    zones = {name: _degrees(said) for name, said in _ZONE.findall(rest) if name.partition("-")[0] != "PMIC"}
    rails = {name: int(said) for name, said in _RAIL.findall(rest) if name != "NC"}
    engines = {found[1]: _engine(found) for found in _ENGINE.finditer(_RAIL.sub(" ", _ZONE.sub(" ", rest)))}
    if not (memory or cores or engines or zones or rails):
        return None
    return TegraLine(memory, cores, engines, zones, rails)


def _amount(found: re.Match[str]) -> Amount:
    scale = _SCALES[found[4]]
    largest = int(found[5] or 1) * int(found[6]) * _SCALES[found[7]] if found[6] else None
    return Amount(int(found[2]) * scale, int(found[3]) * scale, largest)


def _cores(line: str) -> Iterator[Core]:
    """The processors in their order; before L4T 28 one clock stands for all."""
    found = _ARRAY.search(line)
    head = None if found else _LOST_HEAD.search(line)
    if found is None and head is None:
        return
    said, common = (found[1], found[2]) if found else (head[1] if head else "", None)
    for core in said.split(","):
        parts = _CORE.fullmatch(core.strip())
        clock = parts and (parts[2] or common)
        yield Core(int(parts[1]), int(clock) if clock else None) if parts else Core(None, None)


def _engine(found: re.Match[str]) -> Engine:
    """Percent and MHz; a zero without a clock is what one who may not know writes."""
    _name, off, load, clock, clock_alone, bare = found.groups()
    if off:
        return Engine(None, None, off=True)
    if load is None:
        return Engine(None, int(clock_alone or bare))
    if clock is None and int(load) == 0:
        return Engine(None, None)
    return Engine(int(load), None if clock is None else int(clock))


def _degrees(said: str) -> float | None:
    degrees = float(said)
    return degrees if degrees > _GATED else None
