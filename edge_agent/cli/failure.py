"""How an error is told to a person: what, where, what to do, and an exit code."""

import sys

from edge_agent.model.failure import ConfigError, EdgeError


def tell(error: EdgeError) -> int:
    """Print the error and its hint to standard error; the exit code it stands for."""
    lines = str(error).splitlines() or [type(error).__name__]
    print(f"edge-agent: {lines[0]}", file=sys.stderr)
    for line in lines[1:]:
        print(f"            {line}", file=sys.stderr)
    if error.hint:
        print(f"            -> {error.hint}", file=sys.stderr)
    return 2 if isinstance(error, ConfigError) else 1
