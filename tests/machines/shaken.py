"""Recorded machines in which files go wrong at random, before a start or while they are read.

    python -m tests.machines.shaken 20000 [SEED]

For every one: nothing raises; where no number can be read there is none, so an unknown is never a zero; no number
comes from outside of the machine or from another's file; what was told of other files stands to the last digit; no
series comes twice or falls silent; and what heals is read again within a minute of beats. A failure names its seed:
that seed alone plays it again.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.machines.machine import MACHINES, Key, Told, beat, doubled, words
from tests.machines.wounded import Harm, Machine
from tests.machines.wounds import OUTSIDE

_MINUTE, _ALL_TOLD = 60, 10
_MOST_WOUNDS = 4
_HEALED_EVERY = 12
"""One in so many is healed and read for a minute of beats."""
_LIMITS = frozenset(
    f"{name}.limit"
    for name in (
        "hw.temperature",
        "hw.voltage",
        "hw.current",
        "hw.power",
        "hw.fan.speed",
        "hw.gpu.speed",
        "linux.cooling.state",
    )
) | {"jetson.oc.throttles"}
"""Settings that are not read at each beat: they may be old ones for a minute."""
_CHANNEL = re.compile(
    r"(?P<chip>.*/(?:temp|fan|in|curr|power|energy|pwm|oc)\d+)(?:_\w+)?|(?P<trip>.*/trip_point_\d+)_\w+"
)
"""Files of one channel: without the one the others mean nothing, or are called otherwise."""
_MONITOR = re.compile(
    r"(?P<folder>.*/)(?:in|curr|power|in_voltage|in_current|in_power|rail_name_|warn_current_limit_|crit_current_limit_)"
    r"(?P<rail>\d)(?:_\w+)?"
)
"""The same of a power monitor, whose rail is named beside its voltage."""
_SAYS = re.compile(r".*/(name|type|scope|serial|online|device|of_node|tach_enable)")
"""Files that say of what is beside or below them what it is, and whether it is there."""
_IDENTITY = re.compile(r"sys/firmware/devicetree/base/(model|compatible)|etc/nv_tegra_release")
"""A wrong text in them is believed for good: a board does not change, and nothing says that it is wrong."""


def play(machine: Machine, seed: int) -> list[str]:
    """Wound a machine by a seed, read it, heal it; what was wrong with what it told."""
    chance = Random(f"{machine.name} {seed}")
    errors, harms = dict(machine.errors), list[Harm]()
    starts_wounded, is_healed = chance.random() < 0.5, chance.randrange(_HEALED_EVERY) == 0
    found: list[str] = []
    try:
        built = {} if starts_wounded else machine.built(errors)
        for _ in range(0 if starts_wounded else 2):
            beat(built)
        for _ in range(chance.randint(1, _MOST_WOUNDS)):
            harms.extend(machine.harm(errors, chance))
        harms = list({harm.path: harm for harm in harms}.values())  # what was done to it last
        built = machine.built(errors) if starts_wounded else built
        for _ in range(2):
            found += _wrong(machine, harms, beat(built), starts_wounded=starts_wounded)
    except BaseException:
        sys.stderr.write(f"{machine.name} {seed}: raised\n")
        raise
    finally:
        machine.heal(harms)
    if is_healed:
        errors.clear()
        errors.update(machine.errors)
        for _ in range(_MINUTE - _ALL_TOLD):
            beat(built)
        told = words(built, _ALL_TOLD)
        found += [f"healed: {text}" for text in doubled(told)]
        is_mistold = starts_wounded and any(not harm.silent and _IDENTITY.fullmatch(harm.path) for harm in harms)
        lasting = {key for key, one in machine.told.items() if not (is_mistold and one.collector.startswith("jetson."))}
        found += [f"healed, and still {text}" for text in _differing(machine, told, lasting)]
    what = ", ".join(f"{harm.path} {harm.kind}" for harm in harms[:6])
    when = "before" if starts_wounded else "while"
    return [f"{machine.name} {seed} ({when}: {what}): {text}" for text in dict.fromkeys(found)]


def _wrong(machine: Machine, harms: list[Harm], told: list[Told], *, starts_wounded: bool) -> Iterator[str]:
    yield from doubled(told)
    for one in told:
        reading = one.reading
        if reading.value is None:
            if not reading.reason:
                yield f"{reading.name} is absent for no reason"
            continue
        if reading.value != reading.value or abs(reading.value) == float("inf"):
            yield f"{reading.name} is {reading.value}"
        if str(OUTSIDE) in str(reading.value).replace(".", ""):
            yield f"{reading.name} is from outside of the machine"
        is_vague = starts_wounded and "/cooling_device*/" in reading.source  # of a name that several have: which is it?
        if not is_vague and (starts_wounded or reading.name not in _LIMITS):
            yield from _misread(machine, harms, one)
    untouched = {
        key
        for key in machine.told
        if not any(_touches(machine, key, harm, starts_wounded=starts_wounded) for harm in harms)
    }
    yield from _differing(machine, told, untouched)
    if not starts_wounded:
        now = {one.key for one in told}
        for key in sorted(machine.told.keys() - now):
            if machine.told[key].collector != "processes":  # which tells some of its series once in ten beats
                yield f"{machine.told[key].collector}: {key} fell silent"


def _misread(machine: Machine, harms: list[Harm], one: Told) -> Iterator[str]:
    """What is wrong with the file that a value is said to be from."""
    reading, files = one.reading, machine.real(one.reading)
    what = f"{one.collector}: {reading.name} {dict(reading.attributes)} is {reading.value}"
    if files & {harm.path for harm in harms if harm.silent}:
        yield f"{what} of a silent file"
    if any(harm.path in files or _is_composed(one, harm.path) for harm in harms):
        return
    owners = set[Key]().union(*(machine.read.get(file, frozenset()) for file in files))
    alike = {key for key in owners if key[0] == reading.name}
    if one.key in machine.told and alike and one.key not in alike and "#" not in str(alike):
        yield f"{what} of another's file {reading.source}"
    values = {machine.told[key].reading.value for key in alike if machine.sources[key] == files}
    channels = {_channel(file, one) for file in files}
    if any(_channel(harm.path, one) in channels for harm in harms):
        return
    if files and values and reading.value not in values:
        yield f"{what}, and {reading.source} says {values}"


def _touches(machine: Machine, key: Key, harm: Harm, *, starts_wounded: bool) -> bool:
    """Whether a series may change by this: it is read there, or what is there says what the series is."""
    one, sources, path = machine.told[key], machine.sources[key], harm.path
    if path in sources or path in machine.trails[key] or _is_composed(one, path):
        return True
    if _channel(path, one) in {_channel(source, one) for source in sources}:
        return True
    if starts_wounded and "/cooling_device" in path and any("#" in value for value in one.reading.attributes.values()):
        return True  # one of several of a name, told apart by their order
    if _SAYS.fullmatch(path) and any(_is_below(source, path) for source in sources):
        return True
    return _is_board(path, one)


def _channel(path: str, one: Told) -> str:
    if one.collector == "jetson.power" and (monitor := _MONITOR.fullmatch(path)):
        return monitor["folder"] + monitor["rail"]
    found = _CHANNEL.fullmatch(path)
    return path if found is None else found["chip"] or found["trip"]


def _is_below(source: str, path: str) -> bool:
    return path.startswith("sys/") and source.startswith(f"{path.rpartition('/')[0]}/")


def _is_composed(one: Told, path: str) -> bool:
    """Told of many files, of which its source names the folder or none."""
    match one.reading.name.split("."):
        case ["jetson", "clocks", "pinned"]:
            return path.startswith("sys/") and ("/cpufreq/" in path or "/devfreq/" in path)
        case ["hw", "energy"]:  # a domain is called by its package, too
            return path.startswith("sys/class/powercap/") or ("/powercap/" in path and path.endswith("/name"))
        case ["system", "filesystem", *_]:
            return path.startswith("proc/") and "mount" in path
        case _:
            return False


def _is_board(path: str, one: Told) -> bool:
    """What says which board it is concerns all that is the board's, what names its modes the mode."""
    if path in {"etc/nvpmodel.conf", "var/lib/nvpmodel/status"}:
        return one.collector == "jetson.modes"
    is_tree = path.startswith(("sys/firmware/devicetree/", "proc/device-tree"))
    return one.collector.startswith("jetson.") and (is_tree or path == "etc/nv_tegra_release")


def _differing(machine: Machine, told: list[Told], keys: set[Key]) -> Iterator[str]:
    now = {one.key: one.reading for one in told}
    for key in sorted(keys):
        was = machine.told[key].reading
        if key not in now:
            if machine.told[key].collector != "processes":
                yield f"{machine.told[key].collector}: {key} is not told of"
        elif now[key].value != was.value or (was.value is None and not now[key].reason):
            said = now[key].reason if now[key].value is None else now[key].value
            yield f"{machine.told[key].collector}: {key} was {was.value} and is {said}"


def shaken(folder: Path, seeds: range) -> Iterator[str]:
    """What went wrong over these seeds, over all machines in turn."""
    (folder / "outside").write_text(f"{OUTSIDE}\n")
    machines: dict[str, Machine] = {}
    for seed in seeds:
        name = MACHINES[seed % len(MACHINES)]
        if name not in machines:
            machines[name] = Machine.copied(name, folder)
        yield from play(machines[name], seed)


def main(words: list[str]) -> int:
    """0 when nothing went wrong."""
    count, first = int(words[0]) if words else 1000, int(words[1]) if len(words) > 1 else 0
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for text in shaken(Path(folder), range(first, first + count)):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
            wrong += 1
    sys.stdout.write(f"{count} machines, {wrong} wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
