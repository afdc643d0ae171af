"""What the commands on a spool share: their options, where the spool is, and its doors for reading and for changing.

Where root changes the buffer of the service's own user, what it made there is given to that user: the agent could not
read it, and would put it away as a segment that the disk does not give.
"""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge_agent.config.load import load
from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.failure import DeviceError
from edge_agent.spool.spool import Spool

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The config; /etc/edge-agent/agent.toml when absent.")
]
Folder = Annotated[Path | None, typer.Option(help="A spool's folder, instead of the config's.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


def folder_of(config: Path | None, folder: Path | None) -> Path:
    """Where the spool is; DeviceError when there is none, ConfigError when the config is wrong."""
    where = folder or load(config, {}).settings.state.folder / "spool" / "hub"
    if not where.is_dir():
        raise DeviceError(f"there is no spool in {where}", hint="name its folder with --folder")
    return where


@asynccontextmanager
async def opened(config: Path | None) -> AsyncIterator[tuple[Spool, str]]:
    """The config's spool, locked, and whose it is; DeviceError while an agent has it."""
    settings = load(config, {}).settings
    folder = folder_of(config, None)
    clock = SystemClock()
    lamps = LampBoard(clock, lambda _lamp: None)
    spool = Spool(
        settings.spool,
        folder,
        settings.device.id,
        SystemDisk(),
        Threads(),
        clock,
        system_chance(),
        lamps,
        Timekeeper(clock),
    )
    try:
        await spool.open()
        try:
            yield spool, settings.device.id
        finally:
            await spool.close()
    finally:
        if os.geteuid() == 0:
            _give(folder)


def _give(folder: Path) -> None:
    """Give what is root's in a folder to the owner of the folder."""
    owner = folder.stat()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            with suppress(FileNotFoundError):
                found = path.lstat()
                # A link of that user's may lead anywhere.
                plain = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
                if plain and found.st_uid == 0 != owner.st_uid:
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def bar() -> Progress:
    """A progress bar on standard error, where that is a terminal."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True)
