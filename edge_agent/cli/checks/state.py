"""The state folder: that the agent can write to it, whose it is, and how much room and how many inodes are left."""

import os
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.places import standing

_MIB = 2**20


async def _look(patient: Patient) -> list[Finding]:
    folder = patient.loaded.settings.state.folder
    stands = standing(folder)
    return [*_access(folder, stands), *_room(patient, stands)]


def _access(folder: Path, stands: Path) -> Iterator[Finding]:
    where, me = str(folder), os.geteuid()
    if not stands.is_dir():
        yield Finding("fail", f"{stands} is not a folder", where, "move it away, or name another [state] folder")
        return
    owner = stands.stat().st_uid
    if stands == folder and me not in (0, owner):
        yield Finding(
            "warn", f"belongs to user {owner}, and this is user {me}", where, "run this as that user, or as root"
        )
    elif not os.access(stands, os.W_OK | os.X_OK, effective_ids=True):
        yield Finding(
            "fail", f"{stands} cannot be written to by user {me}", where, "give it to the agent's user, writable"
        )
    elif stands == folder:
        yield Finding("ok", f"writable, of user {owner}", where)
    else:
        yield Finding("ok", f"will be made below {stands}", where)


def _room(patient: Patient, stands: Path) -> Iterator[Finding]:
    spool = patient.loaded.settings.spool
    space = patient.ports.disk.space(stands)
    fix = "free some, or set another [state] folder; the buffer grows no more until then"
    kinds = (
        ("bytes", f"{space.bytes / _MIB:,.0f} MiB free", space.bytes, spool.min_free_bytes),
        ("inodes", f"{space.inodes:,} inodes free", space.inodes, spool.min_free_inodes),
    )
    for name, told, left, least in kinds:
        limit = f"{least / _MIB:,.0f} MiB" if name == "bytes" else f"{least:,}"
        if left < least:
            yield Finding("fail", f"{told}: less than the {limit} that are left to others", str(stands), fix)
        elif left < 2 * least:
            yield Finding("warn", f"{told}: the buffer stops growing at {limit}", str(stands), fix)
        else:
            many = name == "inodes" and space.inodes > 2**48  # a file system that does not count them
            yield Finding("ok", "inodes without end" if many else told, str(stands))


CHECK = Check(30, _look)
