"""Faults at the k-th storage call of the real agent: errors, bursts of errors, true short writes, and kills.

A case is a device of its own that lives twice or three times: at first without a hub, so that there is a backlog on
disk and an open batch that a kill left (but for the `fresh` cases, which begin with nothing); then with the fault,
beside the hub, until enough beats were given, and told to stop; then in peace, if anything is left. The open batch lies
in the state folder here, as where no tmpfs is, so that its calls are storage calls too, and segments are small, so that
many are made.

No fault may end the agent or keep it from its beats, nothing may be missing at the hub, and each beat is there once,
but for the one in hand when a life ended (`real`). Which calls there are is learnt in each part, from lives without a
fault; a part takes its share of all cases, mixed.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from subprocess import TimeoutExpired
from typing import NamedTuple

from tests.proofs.real import PATIENCE, Device, Reckoning, camp, said, scratch, side_by_side
from tests.proofs.real_faults import Fault, Manner, Way, lift_the_limit, trace_of, wait_for, watched
from tests.proofs.row import Findings, Row, fewer_than, lacking, total, tried
from tests.system.program import Program

_PARTS = 24
_AT_ONCE = 4
_BEATS = 18
_STOP_WITHIN = 25.0
_NOWHERE = 1
"""A port on which no hub is."""
_SMALL = '[spool.telemetry]\nmax_bytes = "16KiB"\n'
"""Segments of an eighth of that."""

_KINDS = ("backlog", "fresh")
_ERRORS: Mapping[tuple[Way, str], Mapping[str, int]] = {
    ("exec", "write"): {"EIO": 24, "ENOSPC": 16},
    ("exec", "fdatasync"): {"EIO": 10, "ENOSPC": 6},
    ("exec", "fsync"): {"EIO": 9, "ENOSPC": 5},
    ("exec", "unlink"): {"EIO": 8, "EROFS": 4},
    ("exec", "pread64"): {"EIO": 12},
    ("exec", "ftruncate"): {"EIO": 4},
    ("exec", "mkdir"): {"EIO": 7, "ENOSPC": 7},
    ("exec", "rename"): {"EIO": 2, "ENOSPC": 2},
    ("exec", "flock"): {"EIO": 1, "ENOLCK": 1},
    ("exec", "statfs"): {"EIO": 10},
    ("exec", "fallocate"): {"ENOSPC": 4, "EIO": 3},
    ("exec", "pwrite64"): {"EIO": 4, "ENOSPC": 4},
    ("paths", "openat"): {"EIO": 12, "ENOSPC": 6, "EMFILE": 6},
    ("paths", "getdents64"): {"EIO": 8},
    ("attach", "openat"): {"EIO": 10, "ENOSPC": 10},
    ("attach", "newfstatat"): {"EIO": 6},
}
"""By way and call: each error, at so many of the calls of a life, or at all of them if there are fewer."""
_KILLED: Mapping[tuple[Way, str], int] = {
    ("exec", "write"): 24,
    ("exec", "fdatasync"): 10,
    ("exec", "fsync"): 9,
    ("exec", "unlink"): 8,
    ("exec", "pread64"): 10,
    ("exec", "ftruncate"): 4,
    ("exec", "mkdir"): 7,
    ("exec", "rename"): 2,
    ("exec", "fallocate"): 3,
    ("exec", "pwrite64"): 4,
    ("paths", "openat"): 10,
    ("attach", "openat"): 10,
}
_BURSTS: Mapping[tuple[Way, str], Sequence[str]] = {
    ("exec", "write"): ("EIO", "ENOSPC"),
    ("exec", "fdatasync"): ("EIO",),
    ("exec", "fsync"): ("EIO",),
    ("exec", "unlink"): ("EIO",),
    ("attach", "openat"): ("ENOSPC",),
}
_BURST_TRIES = 5
_SHORT = range(20, 1600, 50)


class Case(NamedTuple):
    """A fault at the nth of `of` instants over the calls of its name; for `short` at so many bytes."""

    kind: str
    way: Way
    manner: Manner
    call: str
    error: str
    nth: int
    of: int


def cases() -> Sequence[Case]:
    """All of them."""
    return [case for kind in _KINDS for case in (*_single(kind), *_bursts(kind), *_short(kind))]


def _single(kind: str) -> Iterator[Case]:
    for (way, call), errors in _ERRORS.items():
        for error, of in errors.items():
            yield from (Case(kind, way, "one", call, error, nth, of) for nth in range(of))
    for (way, call), of in _KILLED.items():
        yield from (Case(kind, way, "kill", call, "", nth, of) for nth in range(of))


def _bursts(kind: str) -> Iterator[Case]:
    for (way, call), errors in _BURSTS.items():
        for error, nth in product(errors, range(_BURST_TRIES)):
            yield Case(kind, way, "burst", call, error, nth, _BURST_TRIES)


def _short(kind: str) -> Iterator[Case]:
    yield from (Case(kind, "exec", "short", "write", "EFBIG", size, 1) for size in _SHORT)


def prove(part: int, most: int | None = None) -> Findings:
    """One part: its share of the cases, at most so many."""
    return prove_cases(cases()[part::_PARTS][:most])


def prove_cases(mine: Sequence[Case]) -> Findings:
    """These cases, beside one hub."""
    lives = sorted({(case.kind, case.way) for case in mine if case.manner != "short"})
    with scratch() as folder:
        site = camp(folder, len(mine) + len(lives))
        with site.hub():
            known = dict(zip(lives, side_by_side(_AT_ONCE, _learn, lives, site.devices[len(mine) :]), strict=True))
            outcomes = side_by_side(_AT_ONCE, partial(_try, known), mine, site.devices)
    return _summed(outcomes)


class _Outcome(NamedTuple):
    """What came of a case; `hit` says whether the fault fell on a storage call."""

    hit: bool
    what: str
    wrong: Sequence[str]
    reckoning: Reckoning


_Known = Mapping[tuple[str, Way], Mapping[str, Sequence[int]]]


def _learn(life: tuple[str, Way], device: Device) -> Mapping[str, Sequence[int]]:
    """The k of the storage calls in a life of this kind, seen in this way, by name of call."""
    kind, way = life
    _prepare(device, kind)
    with watched(device, way, [call for of, call in _ERRORS if of == way]) as agent:
        wait_for(device.beaten(_BEATS), agent)
        assert agent.stop(PATIENCE) == 0, said(agent)
    return trace_of(device, agent).positions(device.state)


def _try(known: _Known, case: Case, device: Device) -> _Outcome:
    """One case, whole."""
    fault = _fault(case, known)
    if fault is None:
        return _Outcome(hit=False, what="", wrong=(), reckoning=Reckoning((), 0, 0, 0, 0))
    _prepare(device, case.kind)
    hit, wrong = _suffer(device, fault)
    # An open batch that a kill left is known to nobody but its file, so quiet alone does not say that nothing is left.
    if not device.is_quiet() or device.reckon().violations:
        wrong += device.settle()
    return _Outcome(hit, f"{case.kind}, {fault}", wrong, device.reckon())


def _fault(case: Case, known: _Known) -> Fault | None:
    """The fault of a case; None when the lives that were learnt from have fewer calls of that name."""
    if case.manner == "short":
        return Fault(case.way, "short", case.call, case.error, case.nth)
    ks = known[case.kind, case.way].get(case.call, ())
    if case.nth >= len(ks):
        return None
    return Fault(case.way, case.manner, case.call, case.error, ks[case.nth * len(ks) // min(case.of, len(ks))])


def _prepare(device: Device, kind: str) -> None:
    """Write the config, and let a first life leave something behind."""
    runtime = device.state / "open"
    if kind == "backlog":
        device.configure(_SMALL, port=_NOWHERE, runtime=runtime)
        with device.alive() as agent:
            wait_for(device.beaten(_BEATS // 2), agent)
            agent.kill()
    device.configure(_SMALL, runtime=runtime)


def _suffer(device: Device, fault: Fault) -> tuple[bool, list[str]]:
    """A life with the fault: whether it fell on a storage call, and what was wrong with that life."""
    wrong: list[str] = []
    with watched(device, fault.way, (fault.call,), fault) as agent:
        enough = device.beaten(_BEATS)
        if fault.manner == "short":
            wait_for(device.beaten(_BEATS // 2), agent)
            lift_the_limit(agent)
        if not wait_for(enough, agent):
            wrong.append(f"the agent gave no beats any more, the last was {device.given}")
        by_itself = not agent.lives
        code = _stopped(agent)
    if code is None:
        wrong.append("the agent did not stop")
    elif by_itself and fault.manner != "kill":
        wrong.append(f"the agent ended by itself with {code}: {said(agent)}")
    elif code not in ((0, -9) if fault.manner == "kill" else (0,)):
        wrong.append(f"the agent stopped with {code}: {said(agent)}")
    if fault.manner == "short":
        return True, wrong
    hit = trace_of(device, agent).hit(fault, device.state)
    # A fault that also fell on something else (a library, the word to stop) may end an agent, and proves nothing.
    return any(hit), wrong if all(hit) else []


def _stopped(agent: Program) -> int | None:
    """Its exit code once it was told to stop; None when it had to be told twice."""
    agent.tell_to_stop()
    try:
        return agent.ends(_STOP_WITHIN)
    except TimeoutExpired:
        agent.stop(PATIENCE)
        return None


def _summed(outcomes: Sequence[_Outcome]) -> Findings:
    hits = sum(outcome.hit for outcome in outcomes)
    violations = [
        f"{outcome.what}: {one}" for outcome in outcomes for one in (*outcome.wrong, *outcome.reckoning.violations)
    ]
    figures = {
        "beats": float(sum(outcome.reckoning.given for outcome in outcomes)),
        "in hand": float(sum(outcome.reckoning.in_hand for outcome in outcomes)),
        "lost": float(sum(outcome.reckoning.lost for outcome in outcomes)),
        "missed": float(sum(outcome.reckoning.missed for outcome in outcomes)),
        "beside": float(len(outcomes) - hits),
    }
    return Findings(hits, violations, figures)


def _tell(parts: Sequence[Findings]) -> str:
    ticks, lost, late = total(parts, "beats"), total(parts, "lost"), total(parts, "missed")
    told = f"{lost:,.0f} batches declared lost, {late:,.0f} ticks declared missed"
    return f"{tried(parts):,} faults, {ticks:,.0f} ticks: 0 missing, 0 doubled, {told}"


ROW = Row(
    name="calls",
    promise="no failing storage call loses a sealed batch or stops the agent",
    least="500 faults at the k-th call of the real process (errors, short writes, kills): 0 violations",
    parts=_PARTS,
    prove=prove,
    tell=_tell,
    unmet=fewer_than(500),
    lacks=lambda: lacking("strace", "prlimit"),
    side_by_side=2,
)
