"""`edge-agent spool`: the buffer by hand.

`ls`, `verify` and `export` read only, with or without a running agent beside them. `repair`, `replay` and `thin` change
it and take its lock, so they say who has it while an agent runs.
"""

from collections.abc import Sequence
from dataclasses import asdict

import orjson
import typer
from rich.table import Table

from edge_agent.cli.failure import tell
from edge_agent.cli.screen import console
from edge_agent.cli.spoolexport import export
from edge_agent.cli.spoolfolder import AsJson, ConfigFile, Folder, folder_of
from edge_agent.cli.spoolwork import repair, replay, thin
from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import EdgeError
from edge_agent.spool.inspect import Finding, Listed, listing, verify

spool = typer.Typer(
    help="The buffer by hand.", epilog="Example: edge-agent spool ls", no_args_is_help=True, add_completion=False
)

spool.command()(export)
spool.command()(repair)
spool.command()(replay)
spool.command()(thin)


@spool.command()
def ls(config: ConfigFile = None, folder: Folder = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """List the segments, oldest first.

    Example: edge-agent spool ls --json
    """
    try:
        found = listing(SystemDisk(), folder_of(config, folder))
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    if as_json:
        print(_as_json(found))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("lane", "life", "epoch", "numbers", "frames", "bytes", "file"):
        table.add_column(column, justify="right" if column in ("life", "frames", "bytes") else "left")
    for one in found:
        numbers = "-" if one.first is None else f"{one.first}..{one.last}"
        row = (one.lane, one.generation, f"{one.epoch:016x}", numbers, one.frames, f"{one.bytes:,}", one.path.name)
        table.add_row(*map(str, row))
    console().print(table if found else "the spool is empty")


@spool.command(name="verify")
def verify_(config: ConfigFile = None, folder: Folder = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Check every frame; exit 1 when a segment is damaged or a file is foreign.

    Example: edge-agent spool verify --folder /var/lib/edge-agent/spool/hub
    """
    try:
        found = verify(SystemDisk(), folder_of(config, folder))
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    if as_json:
        print(_as_json(found))
    else:
        for one in found:
            print(_sentence(one))
        if not found:
            print("every frame is whole")
    # What a running agent is writing just now looks unfinished from here, and is no finding.
    if any(one.what != "unfinished" for one in found):
        raise typer.Exit(1)


def _as_json(found: Sequence[Listed | Finding]) -> str:
    return orjson.dumps([asdict(one) for one in found], default=str, option=orjson.OPT_INDENT_2).decode()


def _sentence(found: Finding) -> str:
    damage = ", ".join(f"bytes {first} to {last}" for first, last in found.damage)
    lost = ", ".join(f"{first}..{last - 1}" for first, last in found.lost)
    parts = [f"{found.path}: {found.what}", damage, f"numbers {lost} are gone" if lost else ""]
    return "; ".join(part for part in parts if part)
