"""`edge-agent run`: the daemon. Parsed by the standard library, so that it starts light.

The first push is due within half a second of the start, most of which is loading code. Two things shorten it: the HTTP
library is loaded in a thread beside the settings (a good part of that is OpenSSL reading the system's certificates,
which needs no interpreter lock), and nothing is collected as garbage until everything is there.
"""

import argparse
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from edge_agent.cli.failure import tell
from edge_agent.model.failure import EdgeError

_HTTP = "edge_agent.link.resolver"
"""The part of the link that needs the library."""


def main(argv: list[str]) -> int:
    """Run the agent until it is told to stop; 2 when the config is wrong, with nothing touched."""
    parser = argparse.ArgumentParser(
        prog="edge-agent run",
        description="Sample, buffer, push, obey: until SIGTERM or SIGINT.",
        epilog="example: edge-agent run --config /etc/edge-agent/agent.toml",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/edge-agent/agent.toml")
    parser.add_argument("--root", type=Path, default=Path("/"), help="read the machine's files below this folder")
    parser.add_argument("--local-port", type=int, metavar="N", help="port of the local endpoint")
    told = parser.parse_args(argv)
    flags = {"local": {"port": told.local_port}} if told.local_port is not None else {}
    try:
        with _loading():
            from edge_agent.config.load import load  # noqa: PLC0415 - the arguments are told wrong before

            loaded = load(told.config, flags)
            from edge_agent.agent.run import run  # noqa: PLC0415 - a wrong config is told before the parts are loaded
        run(loaded, told.root)
    except EdgeError as error:
        return tell(error)
    return 0


@contextmanager
def _loading() -> Iterator[None]:
    """Load code: the HTTP library beside whatever the block loads, which is held to be no garbage for good."""
    gc.disable()
    threading.Thread(target=import_module, args=(_HTTP,), name="http").start()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
