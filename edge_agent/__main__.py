"""Floor 6: where a process begins.

The daemons (`run`, `hub`, `up`) are dispatched here before the command line's libraries are imported: an agent must not
carry tables and colours in its memory for a year.
"""

import sys
from importlib import import_module

_DAEMONS = ("run", "hub", "up")


def main() -> None:
    """Run the command that the arguments name; the exit code is 0 good, 1 found something bad, 2 used wrongly."""
    argv = sys.argv[1:]
    if argv and argv[0] in _DAEMONS:
        sys.exit(import_module(f"edge_agent.cli.{argv[0]}").main(argv[1:]))
    import_module("edge_agent.cli.app").app()


if __name__ == "__main__":
    main()
