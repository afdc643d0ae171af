"""The settings of the disk queue: how much each lane may keep, and what it leaves to others."""

from dataclasses import dataclass

from edge_agent.model.frame import LaneName
from edge_agent.model.quantity import Bytes, Seconds

MIB = 2**20
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What one lane may keep on disk. Past `max_bytes` or `max_age` the oldest segments go, declared as lost.

    `max_age` is of powered-on time, as far as the segments tell it. A full file system stops growth only above
    `keep_bytes`. The defaults are telemetry's; each other lane has its own, so that a config may set one of the three.
    """

    max_bytes: Bytes = 1024 * MIB
    max_age: Seconds = 90 * DAY
    keep_bytes: Bytes = 32 * MIB


@dataclass(frozen=True, slots=True)
class EventsQuota(Quota):
    """`[spool.events]`."""

    max_bytes: Bytes = 128 * MIB
    keep_bytes: Bytes = 8 * MIB


@dataclass(frozen=True, slots=True)
class LogsQuota(Quota):
    """`[spool.logs]`."""

    max_bytes: Bytes = 64 * MIB
    max_age: Seconds = 14 * DAY
    keep_bytes: Bytes = 4 * MIB


@dataclass(frozen=True, slots=True)
class ReportsQuota(Quota):
    """`[spool.reports]`: small and kept long, since losses are declared here."""

    max_bytes: Bytes = 32 * MIB
    max_age: Seconds = 365 * DAY
    keep_bytes: Bytes = 16 * MIB


@dataclass(frozen=True, slots=True)
class Options:
    """The disk queue. `min_free_*` belong to the whole file system: below them no lane grows past `keep_bytes`."""

    telemetry: Quota = Quota()
    events: EventsQuota = EventsQuota()
    logs: LogsQuota = LogsQuota()
    reports: ReportsQuota = ReportsQuota()
    min_free_bytes: Bytes = 512 * MIB
    min_free_inodes: int = 1000
    memory_bytes: Bytes = 4 * MIB
    """What each lane keeps in memory while the disk takes nothing."""
    dead_bytes: Bytes = 16 * MIB
    """Frames that the hub rejected, kept for people."""
    quarantine_bytes: Bytes = 16 * MIB
    """Segments that cannot be read, kept for people."""

    def quota(self, lane: LaneName) -> Quota:
        """The quota of one lane."""
        quotas: dict[LaneName, Quota] = {
            "telemetry": self.telemetry,
            "events": self.events,
            "logs": self.logs,
            "reports": self.reports,
        }
        return quotas[lane]
