"""Health: what the agent says of itself to the desk and to the service manager."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and in people's words what is not (or what is), by part."""

    ok: bool
    notes: Mapping[str, str] = field(default_factory=dict)
