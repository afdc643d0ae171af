"""The buffer: that every frame in it is whole, and what was put aside for people. Reads only, beside a running agent.

What an agent is writing just now looks unfinished from here, and is no finding.
"""

from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.finding import Check, Finding, Patient, State
from edge_agent.model.ports import Disk
from edge_agent.spool.inspect import listing, verify

_STATES: dict[str, State] = {"damaged": "warn", "later_version": "warn", "foreign": "warn", "unreadable": "fail"}
_SAID = {
    "damaged": ("damaged", "`edge-agent spool repair` keeps what is whole and declares the rest"),
    "unreadable": ("the disk does not give it", "look at the disk: dmesg, smartctl; the rest of the buffer is sent"),
    "later_version": ("written by a later version of the agent", "install that version again, and it is sent"),
    "foreign": ("not a file of the buffer", "move it away; it is left alone"),
}
_MOST_TOLD = 20


async def _look(patient: Patient) -> list[Finding]:
    folder = patient.loaded.settings.state.folder / "spool" / "hub"
    if not folder.is_dir():
        return [Finding("ok", "nothing was buffered yet", str(folder))]
    try:
        return [*_frames(patient.ports.disk, folder), *_aside(patient.ports.disk, folder)]
    except PermissionError as error:
        return [Finding("warn", f"not looked at: {error.strerror}", str(folder), "run this as root")]


def _frames(disk: Disk, folder: Path) -> Iterator[Finding]:
    found = [one for one in verify(disk, folder) if one.what in _STATES]
    for one in found[:_MOST_TOLD]:
        said, fix = _SAID[one.what]
        gone = sum(after - first for first, after in one.lost)
        yield Finding(_STATES[one.what], f"{said}; {gone} batches are gone" if gone else said, str(one.path), fix)
    if len(found) > _MOST_TOLD:
        yield Finding(
            "warn", f"and {len(found) - _MOST_TOLD} files more", str(folder), "`edge-agent spool verify` tells all"
        )
    if not found:
        held = listing(disk, folder)
        frames, size = sum(one.frames for one in held), sum(one.bytes for one in held)
        yield Finding("ok", f"{frames:,} frames in {size / 2**20:.1f} MiB, all whole", str(folder))


def _aside(disk: Disk, folder: Path) -> Iterator[Finding]:
    kinds = (
        ("dead", "batches that the hub refused for ever", "`edge-agent spool replay` offers them once more"),
        ("quarantine", "segments that could not be read whole", "they are kept for people; delete them at will"),
    )
    for name, said, fix in kinds:
        count = len(disk.entries(folder / name))
        if count:
            yield Finding("warn", f"{count} {said}", str(folder / name), fix)


CHECK = Check(40, _look)
