"""How many batches a second the hub commits, beside the bare limits of what it is built from, in the same run.

Sixteen devices send 10 s batches as fast as they are acknowledged, one batch a request; then four, requests of 1 MiB.
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
from tests.bench.meter import cpu_seconds
from tests.bench.place import Place, free_port, wait_until_it_serves
from tests.bench.profiled import top

_DEVICES = [f"sends-{number}" for number in range(16)]
_FEW = 4
_LIMIT = 2**20
_PATIENCE = 30.0
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


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the frames come: devices at the same time, frames of a request, seconds until the flow is even."""

    name: str
    devices: int
    frames: int
    warm: float


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all rounds share: the hub, the port of the bare server, the payloads and the file that has them."""

    place: Place
    plan: Plan
    payloads: Sequence[bytes]
    file: Path
    axis: str
    now: int


@dataclass(slots=True)
class _Rounds:
    """Frames a second in each round, the sizes of the hub's groups, and its processor time in µs a frame."""

    hub: list[float] = field(default_factory=list)
    http: list[float] = field(default_factory=list)
    sqlite: list[float] = field(default_factory=list)
    groups: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(place: Place, sheet: Sheet, plan: Plan) -> None:
    """Measure single batches, then large requests."""
    clock = SystemClock()
    axis, now = clock.axis, clock.now()
    payloads = list(batches(_PAYLOADS, _TICKS, axis, now))
    frames = [encode(Frame(FrameKind.TELEMETRY, Identity(0, seq), now, body)) for seq, body in enumerate(payloads)]
    file = place.folder("payloads") / "frames"
    file.write_bytes(b"".join(frames))
    bench = _Bench(place, plan, payloads, file, axis, now)
    many = _LIMIT // max(map(len, frames))
    shapes = (
        _Shape("one batch a request", len(_DEVICES), 1, plan.warm),
        _Shape(f"1 MiB of {many} batches a request", _FEW, many, 2 * plan.warm),
    )
    port = free_port()
    bare = place.start("-m", "tests.bench.bare", str(port))
    wait_until_it_serves(bare, port)
    missed = [shape for shape in shapes if _compare(bench, sheet, port, shape)]
    bare.end()
    for shape in missed:
        _profile(bench, sheet, shape)


def _compare(bench: _Bench, sheet: Sheet, port: int, shape: _Shape) -> bool:
    """One shape: a new hub and both limits in turns. Whether the goal is missed."""
    found, part, sent = _Rounds(), f"ingest, {shape.name}", 0
    hub = start_hub(bench.place, _DEVICES)
    keys = _keys(hub, shape)
    for number in range(bench.plan.rounds):
        commits, cpu = _commits(hub), cpu_seconds(hub.child.pid)
        rate, acknowledged = _load(bench, hub.port, keys, shape)
        sent += acknowledged
        found.hub.append(rate)
        found.cpu.append((cpu_seconds(hub.child.pid) - cpu) / max(1, acknowledged) * 1e6)
        found.groups.append(acknowledged / max(1, _commits(hub) - commits))
        found.http.append(_load(bench, port, keys, shape)[0])
        folder, group = bench.place.folder(f"bare-{number}"), max(1, round(found.groups[-1]))
        found.sqlite.append(group_commits(folder, bench.payloads, group, bench.plan.seconds / 2))
    stored = sum(hub.audit(device)[0] for device in _DEVICES[: shape.devices])
    hub.child.end()
    if stored != sent:
        raise RuntimeError(f"{sent} frames were acknowledged and {stored} are stored")
    groups = f"{median(found.groups):.1f} frames a commit"
    sheet.add(typical(part, "hub: committed", found.hub, "frames/s", note=f"{groups}; all in the hub's audit"))
    sheet.add(typical(part, "hub: processor time", found.cpu, "us/frame", note="of all its threads"))
    sheet.add(typical(part, "bare aiohttp: answered", found.http, "frames/s"))
    sheet.add(typical(part, "bare SQLite: committed", found.sqlite, "frames/s", note="groups as the hub's"))
    limit = "aiohttp" if median(found.http) < median(found.sqlite) else "SQLite"
    ratios = [one / min(*bare) for one, *bare in zip(found.hub, found.http, found.sqlite, strict=True)]
    return sheet.add(typical(part, "hub / lower bare limit", ratios, "", _HALF, f"the lower is {limit}")).missed


def _keys(hub: HubProcess, shape: _Shape) -> list[str]:
    return [hub.key(device) for device in _DEVICES[: shape.devices]]


def _load(bench: _Bench, port: int, keys: list[str], shape: _Shape) -> tuple[float, int]:
    """Acknowledged frames a second, and all that were acknowledged."""
    file = bench.place.folder("load") / "wish.json"
    seconds = bench.plan.seconds
    wish = Wish(port, keys, str(bench.file), shape.frames, shape.warm, seconds, bench.axis, bench.now)
    file.write_bytes(orjson.dumps(asdict(wish)))
    child = bench.place.start("-m", "tests.bench.load", str(file))
    child.wait(shape.warm + seconds + _PATIENCE)
    said = orjson.loads(child.last_words())
    rate = said["requests"] * shape.frames / said["seconds"] if said["requests"] else 0.0
    return rate, said["all_requests"] * shape.frames


def _commits(hub: HubProcess) -> int:
    """How many transactions changed the hub's database so far: the counter in the header of SQLite's wal-index."""
    with (hub.folder / "hub.sqlite-shm").open("rb") as index:
        _version, _unused, changes = struct.unpack("=III", index.read(12))
    return int(changes)


def _profile(bench: _Bench, sheet: Sheet, shape: _Shape) -> None:
    file = bench.place.folder("profiled") / "profile"
    hub = start_hub(bench.place, _DEVICES, profile=file)
    hub.child.nudge()
    _load(bench, hub.port, _keys(hub, shape), shape)
    hub.child.end()
    sheet.footnote(f"Where the hub's time goes, {shape.name} (cProfile of all its threads)", top(file, _TOP))
