"""The folder below which a machine's files are read: that it is one is asked before anything begins.

A root that is not there would give no error later: every reading would be absent, for ever, as on a machine that lacks
the source. Does not handle: a folder that is there and holds no machine's files; its readings are told as missing.
"""

import os
from pathlib import Path

from edge_agent.model.failure import ConfigError

_HINT = "name the folder that holds the machine's proc and sys, such as / or /mnt/other"


def checked_root(root: Path) -> Path:
    """The root itself; ConfigError when it is no folder that can be read."""
    # Asked of the system, not of pathlib: what may not be looked at is False there, and an error here.
    if not os.path.lexists(root):
        raise ConfigError(f"--root {root}: there is no such folder", hint=_HINT)
    if not os.path.isdir(root):  # noqa: PTH112 - likewise
        raise ConfigError(f"--root {root}: this is not a folder", hint=_HINT)
    if not os.access(root, os.R_OK | os.X_OK, effective_ids=True):
        raise ConfigError(f"--root {root}: user {os.geteuid()} may not read it", hint="run this as its owner, or root")
    return root
