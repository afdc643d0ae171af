"""Where tables are printed: as wide as the terminal, and uncut into a pipe or a file."""

import sys

from rich.console import Console

_UNCUT = 240


def console() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else _UNCUT)
