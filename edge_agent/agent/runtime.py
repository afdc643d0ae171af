"""Where the open batch lives when nobody says: on tmpfs, under a name that the next start finds again.

`/dev/shm` is tmpfs on every Linux with a C library. The name is drawn from the state folder and the user, so that two
agents of one machine never meet, and the same agent after a `kill -9` finds what it left. Without a writable `/dev/shm`
it is a folder beside the spool, and `status` says what that costs.
"""

import hashlib
import os
from pathlib import Path

_TMPFS = Path("/dev/shm")  # noqa: S108 - a folder of mode 0700 is made below it


def runtime_folder(state: Path) -> Path:
    """The folder for the open batch of the agent with this state folder."""
    if os.access(_TMPFS, os.W_OK | os.X_OK):
        name = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:16]
        return _TMPFS / f"edge-agent-{os.getuid()}-{name}"
    return state / "open"
