"""Where the open batch lives when nobody says: on tmpfs, under a name that the next start finds again.

`/dev/shm` is tmpfs on every Linux with a C library. The name is drawn from the state folder and the user, so that two
agents of one machine never meet, and the same agent after a `kill -9` finds what it left. Without a writable `/dev/shm`
it is a folder beside the spool, which a power cut leaves and which wears flash.
"""

import hashlib
import os
import stat
from pathlib import Path

_TMPFS = Path("/dev/shm")  # noqa: S108 - a folder of mode 0700 is made below it, and checked


def runtime_folder(state: Path) -> Path:
    """The folder for the open batch of the agent with this state folder."""
    name = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:16]
    folder = _TMPFS / f"edge-agent-{os.getuid()}-{name}"
    return folder if os.access(_TMPFS, os.W_OK | os.X_OK) and _is_ours(folder) else state / "open"


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can have made or may enter it: in a folder that all may write, a name proves nothing."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    )
