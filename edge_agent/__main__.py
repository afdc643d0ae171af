"""Floor 6: where a process begins.

The daemons (`run`, `hub`, `up`) are dispatched here before the command line's libraries are imported: an agent must not
carry tables and colours in its memory for a year.
"""

import gc
import signal
import sys
from importlib import import_module
from importlib.metadata import version

from edge_agent.cli.extras import require
from edge_agent.cli.failure import tell
from edge_agent.cli.reader import until_nobody_reads
from edge_agent.model.failure import DeviceError

_DAEMONS = ("run", "hub", "up")
_INTERRUPTED = 128 + signal.SIGINT
"""What a shell calls a command that Ctrl-C ended."""


def main() -> None:
    """Run the command that the arguments name; the exit code is 0 good, 1 found something bad, 2 used wrongly.

    One whose reader went away ends without a word (`cli.reader`), and one that Ctrl-C ends, also while its code loads.
    """
    try:
        with until_nobody_reads():
            _run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        # The interpreter looks for garbage in all that was loaded as it ends: most of the time that an end takes.
        gc.freeze()


def _run(argv: list[str]) -> None:
    if argv == ["--version"]:
        sys.stdout.write(f"edge-agent {version('edge-agent')}\n")
    elif argv and argv[0] in _DAEMONS:
        sys.exit(_daemon(argv[0], argv[1:]))
    else:
        import_module("edge_agent.cli.app").app()


def _daemon(name: str, argv: list[str]) -> int:
    try:
        if name == "hub":
            require("hub")
    except DeviceError as error:
        return tell(error)
    code: int = import_module(f"edge_agent.cli.{name}").main(argv)
    return code


if __name__ == "__main__":
    main()
