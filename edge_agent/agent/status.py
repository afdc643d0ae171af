"""What the running agent says of itself: lamps, buffers, clock, cost. The same for `/status` and `edge-agent status`.

Ages are seconds, sizes bytes. Of `clock`: `axis` names it, `now` is ms on it; `true_time` and `wall` are Unix ms;
`offset_ms` is true time less axis time, `error_ms` how far off it may be (null while it is a guess), `wall_off_ms` the
wall clock less true time. What is not known is null. Settings are not shown: `check` prints them, masked.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edge_agent.agent.cost import own_cost
from edge_agent.agent.plan import Plan
from edge_agent.agent.tally import Tally
from edge_agent.config.load import Loaded
from edge_agent.kit.notify import logs_to_journal
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.buffers import Buffer, Depth
from edge_agent.model.frame import LaneName
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock
from edge_agent.uplink.pusher import Progress

_DAY = 86_400


def status_of(
    *,
    loaded: Loaded,
    plan: Plan | None,
    clock: Clock,
    time: Timekeeper,
    lamps: Lamps,
    tally: Tally,
    buffers: Mapping[LaneName, Buffer],
    progress: Progress | None,
    sealed_bytes: int,
) -> dict[str, Any]:
    """The state of an agent as one JSON object."""
    now = clock.now()
    depths = {lane: buffer.depth() for lane, buffer in buffers.items()}
    return {
        "device": loaded.settings.device.id,
        "config": {
            "file": str(loaded.sources.file) if loaded.sources.file else None,
            "differs_on_disk": loaded.sources.differs_on_disk(),
            "document": plan.version if plan else 0,
        },
        "lamps": [
            {"part": lamp.part, "state": lamp.state, "for_s": (now - lamp.since) / 1000, "note": lamp.note}
            for lamp in lamps.all()
        ],
        "sampled": {
            "readings": tally.readings,
            "absent": tally.absent,
            "missed_beats": tally.missed,
            "series": tally.series,
            "first_age_s": _age(tally.first, now),
            "last_age_s": _age(tally.last, now),
        },
        "buffer": {lane: _depth(depth, now) for lane, depth in depths.items()},
        "buffer_days_left": _days_left(depths, sealed_bytes, tally, now),
        "push": _push(progress, now),
        "clock": _clock(clock, time, now),
        "cost": asdict(own_cost()),
        "logs": "journalctl --unit edge-agent" if logs_to_journal() else "standard error",
    }


def _age(at: int | None, now: int) -> float | None:
    return None if at is None else (now - at) / 1000


def _depth(depth: Depth, now: int) -> dict[str, Any]:
    oldest = _age(depth.oldest, now)
    return {"frames": depth.frames, "bytes": depth.bytes, "oldest_age_s": oldest, "durable": depth.durable}


def _days_left(depths: Mapping[LaneName, Depth], sealed_bytes: int, tally: Tally, now: int) -> float | None:
    """Days until the telemetry lane is full, were nothing pushed and the rate of this life kept; None at first."""
    room = depths["telemetry"].room
    if tally.first is None or sealed_bytes == 0 or now == tally.first or room is None:
        return None
    return round(room / (sealed_bytes / (now - tally.first) * 1000) / _DAY, 1)


def _push(progress: Progress | None, now: int) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "frames": progress.frames,
        "bytes": progress.bytes,
        "requests": progress.requests,
        "last_ack_age_s": _age(progress.last_ack, now),
        "waiting": progress.waiting,
        "waiting_s": None if progress.until is None else max(0, progress.until - now) / 1000,
        "today_bytes": progress.today,
    }


def _clock(clock: Clock, time: Timekeeper, now: int) -> dict[str, Any]:
    known, wall = time.known(), clock.wall()
    true_time = None if known is None else now + known.offset
    return {
        "axis": clock.axis,
        "now": now,
        "true_time": true_time,
        "offset_ms": known.offset if known else None,
        "error_ms": known.error if known else None,
        "source": known.source if known else None,
        "last_anchor_age_s": _age(known.at if known else None, now),
        "steps": time.steps,
        "disputes": known.disputes if known else 0,
        "wall": wall,
        "wall_off_ms": None if true_time is None else wall - true_time,
    }
