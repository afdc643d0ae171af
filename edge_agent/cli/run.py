"""`edge-agent run`: the daemon. Parsed by the standard library, so that it starts light."""

import argparse
from pathlib import Path

from edge_agent.cli.failure import tell
from edge_agent.config.load import load
from edge_agent.model.failure import EdgeError


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
        loaded = load(told.config, flags)
        from edge_agent.agent.run import run  # noqa: PLC0415 - a wrong config is told before the parts are imported

        run(loaded, told.root)
    except EdgeError as error:
        return tell(error)
    return 0
