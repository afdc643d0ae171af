"""The folder of the open batch: on tmpfs, so that sampling wears no flash."""

from pathlib import Path

from edge_agent.agent.runtime import runtime_folder
from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.places import kind_of, standing

_UNIT = Path("run/edge-agent")
"""The unit's RuntimeDirectory, below the root."""
_MEMORY = frozenset({"tmpfs", "ramfs"})


async def _look(patient: Patient) -> list[Finding]:
    state = patient.loaded.settings.state
    unit = patient.root / _UNIT
    folder = state.runtime or (unit if unit.is_dir() else runtime_folder(state.folder))
    kind = kind_of(standing(folder), (patient.root / "proc/self/mountinfo").read_text(errors="replace"))
    if kind in _MEMORY:
        return [Finding("ok", f"on {kind}", str(folder))]
    return [
        Finding(
            "warn",
            f"on {kind or 'an unknown file system'}: each tick is written to it, which wears flash",
            str(folder),
            "give the agent a folder on tmpfs: [state] runtime, or RuntimeDirectory= in its unit",
        )
    ]


CHECK = Check(50, _look)
