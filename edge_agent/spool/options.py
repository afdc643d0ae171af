"""The settings of the disk queue: how much each lane may keep, and what it leaves to others."""

from dataclasses import dataclass, field

from edge_agent.model.frame import LaneName
from edge_agent.model.quantity import Bytes, Seconds

MIB = 2**20
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What one lane may keep on disk. Past `max_bytes` or `max_age` the oldest segments go, declared as lost."""

    max_bytes: Bytes
    max_age: Seconds
    """Of powered-on time, as far as the segments tell it."""
    keep_bytes: Bytes
    """A full file system stops growth only above this size."""


@dataclass(frozen=True, slots=True)
class Options:
    """The disk queue. `min_free_*` belong to the whole file system: below them no lane grows past `keep_bytes`."""

    telemetry: Quota = field(default_factory=lambda: Quota(1024 * MIB, 90 * DAY, 32 * MIB))
    events: Quota = field(default_factory=lambda: Quota(128 * MIB, 90 * DAY, 8 * MIB))
    logs: Quota = field(default_factory=lambda: Quota(64 * MIB, 14 * DAY, 4 * MIB))
    reports: Quota = field(default_factory=lambda: Quota(32 * MIB, 365 * DAY, 16 * MIB))
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
