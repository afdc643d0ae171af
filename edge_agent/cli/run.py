"""`edge-agent run`: the daemon. Parsed by the standard library, so that it starts light.

The first push is due within half a second of the start, most of which is loading code. Two things shorten it: nothing
is collected as garbage until everything is there, and pydantic does not search every installed distribution for
plugins, unless its own variable tells it to. The HTTP library is not loaded in a thread beside the rest: two threads
that load hand the interpreter lock to and fro, which costs processor time and saves none of the clock's.
"""

import argparse
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from edge_agent.cli.failure import tell
from edge_agent.cli.root import checked_root
from edge_agent.model.failure import EdgeError

_HTTP = "edge_agent.link.resolver"
"""The part of the link that needs the library."""

_NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""The library's own variable; whoever sets it otherwise has it otherwise."""


def main(argv: list[str]) -> int:
    """Run the agent until it is told to stop; 2 when the config is wrong, with nothing touched."""
    parser = argparse.ArgumentParser(
        prog="edge-agent run",
        description="Sample, buffer, push, obey: until SIGTERM, SIGINT or SIGHUP.",
        epilog="example: edge-agent run --config /etc/edge-agent/agent.toml",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/edge-agent/agent.toml")
    parser.add_argument("--root", type=Path, default=Path("/"), help="read the machine's files below this folder")
    parser.add_argument("--local-port", type=int, metavar="N", help="port of the local endpoint")
    told = parser.parse_args(argv)
    flags = {"local": {"port": told.local_port}} if told.local_port is not None else {}
    os.environ.setdefault(*_NO_PLUGINS)
    try:
        with _without_collecting():
            from edge_agent.config.load import load  # noqa: PLC0415 - the arguments are told wrong before

            loaded = load(told.config, flags)
            from edge_agent.agent.run import run  # noqa: PLC0415 - a wrong config is told before the parts are loaded

            import_module(_HTTP)
        run(loaded, checked_root(told.root))
    except EdgeError as error:
        return tell(error)
    return 0


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no garbage while the block loads code, which is held to be none for good."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
