"""`edge-agent spool`: the buffer by hand. Reads only, with or without a running agent beside it.

Commands that change it (repair, export, replay, thin) are not here yet.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from edge_agent.cli.failure import tell
from edge_agent.cli.screen import console
from edge_agent.config.load import load
from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import DeviceError, EdgeError
from edge_agent.spool.inspect import Finding, Listed, listing, verify

spool = typer.Typer(
    help="The buffer by hand.", epilog="Example: edge-agent spool ls", no_args_is_help=True, add_completion=False
)

_Config = Annotated[Path | None, typer.Option(help="The config file; /etc/edge-agent/agent.toml when absent.")]
_Folder = Annotated[Path | None, typer.Option(help="A spool's folder, instead of the config's.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")]


@spool.command()
def ls(config: _Config = None, folder: _Folder = None, as_json: _Json = False) -> None:  # noqa: FBT002 - a flag of the command line
    """List the segments, oldest first.

    Example: edge-agent spool ls --json
    """
    try:
        found = listing(SystemDisk(), _folder(config, folder))
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
def verify_(config: _Config = None, folder: _Folder = None, as_json: _Json = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Check every frame; exit 1 when a segment is damaged or a file is foreign.

    Example: edge-agent spool verify --folder /var/lib/edge-agent/spool/hub
    """
    try:
        found = verify(SystemDisk(), _folder(config, folder))
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


def _folder(config: Path | None, folder: Path | None) -> Path:
    where = folder or load(config, {}).settings.state.folder / "spool" / "hub"
    if not where.is_dir():
        raise DeviceError(f"there is no spool in {where}", hint="name its folder with --folder")
    return where


def _as_json(found: Sequence[Listed | Finding]) -> str:
    return orjson.dumps([asdict(one) for one in found], default=str, option=orjson.OPT_INDENT_2).decode()


def _sentence(found: Finding) -> str:
    damage = ", ".join(f"bytes {first} to {last}" for first, last in found.damage)
    lost = ", ".join(f"{first}..{last - 1}" for first, last in found.lost)
    parts = [f"{found.path}: {found.what}", damage, f"numbers {lost} are gone" if lost else ""]
    return "; ".join(part for part in parts if part)
