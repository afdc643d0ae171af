"""Looks at a real agent from outside, and says what it promises: `python -m tests.proofs.vm.watcher RUNTIME SPOOL`.

The agent removes the file of an open batch once its spool has the batch on disk, not before. So when such a file is
gone, its batch is promised; what was promised is read from the segments. It goes on until it is killed.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity
from edge_agent.spool.inspect import frames_of
from edge_agent.spool.segment import parse_name
from tests.proofs.vm.words import digest, say

_LOOK = 0.05
_PATIENCE = 20.0
_OPEN = ".open"


def _open_batches(runtime: Path) -> set[Identity]:
    stems = [file.stem.split("-") for file in runtime.glob(f"*{_OPEN}")]
    return {Identity(int(epoch, 16), int(seq)) for epoch, seq in stems}


def _found(lane: Path, identity: Identity) -> Frame | None:
    """The frame in a segment of its epoch; None when it is in none."""
    names = {file: parse_name(file.name) for file in lane.glob("*.seg")}
    for file in sorted(names, reverse=True):
        name = names[file]
        if name is not None and name.epoch == identity.epoch and name.first <= identity.seq:
            with suppress(OSError, Malformed):
                for frame in frames_of(SystemDisk(), file):
                    if frame.identity == identity:
                        return frame
    return None


def _tell(lane: Path, identity: Identity) -> None:
    """Say what was promised; a promise of a batch that is nowhere is said too, and will be found broken."""
    deadline = time.monotonic() + _PATIENCE
    while (frame := _found(lane, identity)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK)
    say(f"sealed telemetry {identity} {'0' * 16 if frame is None else digest(frame)}")


def _watch(runtime: Path, spool: Path) -> None:
    known: set[Identity] = set()
    while True:
        there = _open_batches(runtime)
        for identity in sorted(known - there):
            _tell(spool / "telemetry", identity)
        known = there
        time.sleep(_LOOK)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), Path(sys.argv[2]))
