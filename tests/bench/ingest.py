"""How many batches a second the hub commits, beside the bare limits of what it is built from, in the same run.

Sixteen devices send 10 s batches as fast as they are acknowledged, one batch a request, then requests of up to 1 MiB.
Rounds of the hub, of a bare aiohttp server under the same load, and of bare SQLite commits of the same payloads (in
groups as large as the hub's were) take turns, so that drift of the machine hits all. The lower of the two bare figures
is the limit. Load and server share the machine's cores in each case. The hub's audit must hold every frame that was
acknowledged.
"""

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import orjson

from edge_agent.kit.clock import SystemClock
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.wire.frame import encode
from tests.bench.bare import group_commits
from tests.bench.batches import batches
from tests.bench.daemons import HubProcess, start_hub
from tests.bench.figures import Goal, Sheet, typical
from tests.bench.load import Wish
from tests.bench.place import Place, free_port, wait_until_it_serves
from tests.bench.profiled import top

_DEVICES = [f"sends-{number}" for number in range(16)]
_LIMIT = 2**20
_TICKS = 10
_PAYLOADS = 64
_HALF = Goal("at least", 0.5)
_TOP = 18


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, and how long each is in seconds, after a warm-up."""

    rounds: int = 3
    seconds: float = 4.0
    warm: float = 0.5


@dataclass(slots=True)
class _Bench:
    """What all rounds share."""

    place: Place
    plan: Plan
    payloads: Sequence[bytes]
    file: Path
    axis: str
    now: int
    acknowledged: int = 0


@dataclass(slots=True)
class _Rounds:
    """Frames a second in each round, and the sizes of the hub's groups."""

    hub: list[float] = field(default_factory=list)
    http: list[float] = field(default_factory=list)
    sqlite: list[float] = field(default_factory=list)
    groups: list[float] = field(default_factory=list)


def measure(place: Place, sheet: Sheet, plan: Plan) -> None:
    """Measure single batches, then large requests."""
    clock = SystemClock()
    axis, now = clock.axis, clock.now()
    payloads = list(batches(_PAYLOADS, _TICKS, axis, now))
    frames = [Frame(FrameKind.TELEMETRY, Identity(0, seq), now, payload) for seq, payload in enumerate(payloads)]
    file = place.folder("payloads") / "frames"
    file.write_bytes(b"".join(map(encode, frames)))
    bench = _Bench(place, plan, payloads, file, axis, now)
    many = _LIMIT // max(len(encode(frame)) for frame in frames)
    hub, port = start_hub(place, _DEVICES), free_port()
    bare = place.start("-m", "tests.bench.bare", str(port))
    wait_until_it_serves(bare, port)
    missed = False
    for name, count in (("one batch a request", 1), (f"1 MiB requests of {many} batches", many)):
        missed |= _compare(bench, sheet, hub, port, name, count)
    bare.end()
    hub.child.end()
    if missed:
        _profile(bench, sheet, 1)
        _profile(bench, sheet, many)


def _compare(bench: _Bench, sheet: Sheet, hub: HubProcess, port: int, name: str, count: int) -> bool:
    """One size of requests: the hub and both limits in turns. Whether the goal is missed."""
    found, part = _Rounds(), f"ingest, {name}"
    keys = [hub.key(device) for device in _DEVICES]
    for number in range(bench.plan.rounds):
        before, commits = bench.acknowledged, _commits(hub)
        found.hub.append(_load(bench, hub.port, keys, count))
        sent = (bench.acknowledged - before) * count
        found.groups.append(sent / max(1, _commits(hub) - commits))
        acknowledged = bench.acknowledged
        found.http.append(_load(bench, port, keys, count))
        bench.acknowledged = acknowledged
        group = max(1, round(found.groups[-1]))
        folder = bench.place.folder(f"bare-{number}")
        found.sqlite.append(group_commits(folder, bench.payloads, group, bench.plan.seconds / 2))
        _check(hub, sent)
    sheet.add(typical(part, "hub: committed", found.hub, "frames/s", note=f"groups of {median(found.groups):.1f}"))
    sheet.add(typical(part, "bare aiohttp: answered", found.http, "frames/s"))
    sheet.add(typical(part, "bare SQLite: committed", found.sqlite, "frames/s", note="groups as the hub's"))
    limit = "aiohttp" if median(found.http) < median(found.sqlite) else "SQLite"
    ratios = [one / min(*bare) for one, *bare in zip(found.hub, found.http, found.sqlite, strict=True)]
    return sheet.add(typical(part, "hub / lower bare limit", ratios, "", _HALF, f"the lower is {limit}")).missed


def _check(hub: HubProcess, sent: int) -> None:
    """Every acknowledged frame is stored: the sum over all devices grew by as many as were sent."""
    stored = sum(hub.audit(device)[0] for device in _DEVICES)
    if stored < sent:
        raise RuntimeError(f"{sent} frames were acknowledged and {stored} are stored")


def _load(bench: _Bench, port: int, keys: list[str], count: int) -> float:
    """Acknowledged frames a second."""
    folder = bench.place.folder("load")
    wish = Wish(port, keys, str(bench.file), count, bench.plan.warm, bench.plan.seconds, bench.axis, bench.now)
    (folder / "wish.json").write_bytes(orjson.dumps(asdict(wish)))
    child = bench.place.start("-m", "tests.bench.load", str(folder / "wish.json"))
    child.wait(bench.plan.warm + bench.plan.seconds + 30)
    said = orjson.loads(child.last_words())
    bench.acknowledged += said["all_requests"]
    return float(said["requests"]) * count / float(said["seconds"])


def _commits(hub: HubProcess) -> int:
    """How many transactions changed the hub's database so far: the counter in the header of SQLite's wal-index."""
    with (hub.folder / "hub.sqlite-shm").open("rb") as index:
        _version, _unused, changes = struct.unpack("=III", index.read(12))
    return int(changes)


def _profile(bench: _Bench, sheet: Sheet, count: int) -> None:
    file = bench.place.folder("profiled") / "profile"
    hub = start_hub(bench.place, _DEVICES, profile=file)
    _load(bench, hub.port, [hub.key(device) for device in _DEVICES], count)
    hub.child.end()
    heading = f"Where the hub's time goes, {count} batches a request (cProfile of all its threads)"
    sheet.footnote(heading, top(file, _TOP))
