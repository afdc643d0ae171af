"""What the guest says to the host: a line a fact, on the serial console, out before the guest goes on.

    sealed <lane> <epoch>/<seq> <digest>     the batch is durable, as the one who gave it was told
    settled <lane> <epoch>/<seq>             from here on it may be gone (said before the spool is told)
    <word> ...                               where the play stands: mounted, ready, dark, ailing, well, broken

A digest is the first 16 hex digits of the SHA-256 of the frame as it is on disk.
"""

import os
import re
import termios
from hashlib import sha256

from edge_agent.model.frame import Frame, Identity
from edge_agent.wire.frame import encode

_SEALED = re.compile(r"sealed [a-z]+ ([0-9a-f]{16})/([0-9]+) ([0-9a-f]{16})")
_SETTLED = re.compile(r"settled [a-z]+ ([0-9a-f]{16})/([0-9]+)")
_OUT = 1


def say(line: str) -> None:
    """Say a line, and wait until the console has all of it."""
    os.write(_OUT, line.encode() + b"\n")
    if os.isatty(_OUT):
        termios.tcdrain(_OUT)


def digest(frame: Frame) -> str:
    """The digest of a frame."""
    return sha256(encode(frame)).hexdigest()[:16]


def sealed(line: str) -> tuple[Identity, str] | None:
    """Which batch a line says is durable, and its digest."""
    found = _SEALED.fullmatch(line)
    return (Identity(int(found[1], 16), int(found[2])), found[3]) if found else None


def settled(line: str) -> Identity | None:
    """Which batch a line says may go."""
    found = _SETTLED.fullmatch(line)
    return Identity(int(found[1], 16), int(found[2])) if found else None
