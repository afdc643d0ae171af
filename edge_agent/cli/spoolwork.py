"""`edge-agent spool repair`, `replay` and `thin`: the buffer changed by hand, while no agent runs.

Each takes the spool's lock. What is done is what the agent itself does, with the same code, at a time that a person
chooses; stopped half way, it can be started again.
"""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import anyio
import typer

from edge_agent.cli.failure import tell
from edge_agent.cli.spoolfolder import ConfigFile, bar, folder_of, opened
from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import ConfigError, DeviceError, EdgeError, Malformed
from edge_agent.model.quantity import parse_bytes
from edge_agent.spool.letters import Letter, exported, letters, owner_of
from edge_agent.spool.thinner import WINDOWS


class Window(str, Enum):
    """How coarse."""

    TEN = "10s"
    SIXTY = "60s"


_MS = {Window.TEN: WINDOWS[0], Window.SIXTY: WINDOWS[1]}


def replay(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files that `export` made; the dead letters if none.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Put frames back into the buffer, so that they are pushed again.

    The hub knows each frame by its number: what it has already it calls a duplicate. A dead letter that is back in the
    buffer leaves its folder; a file that was named stays.

    Example: edge-agent spool replay
    """
    try:
        found = _exported(files) if files else letters(SystemDisk(), folder_of(config, None))
        kept = anyio.run(_replay, found, config, not files)
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    print(f"{kept} of {len(found)} frames are in the buffer")
    if kept < len(found):
        print("edge-agent: the disk did not take the rest; they are where they were", file=sys.stderr)
        raise typer.Exit(1)


def repair(config: ConfigFile = None) -> None:
    """Read every segment, declare what damage took, and write damaged ones anew; the files as they were are kept aside.

    A running agent reads around damage by itself. This gives what is left fresh sectors, and says what was lost.

    Example: edge-agent spool repair
    """
    try:
        mended, lost = anyio.run(_repair, config)
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    except OSError as error:
        raise typer.Exit(tell(_refused(error))) from None
    print(f"{mended} segments written anew; {lost} batches lost" if mended or lost else "every segment is whole")


def thin(
    to: Annotated[str, typer.Option(help="Stop once the buffer takes no more than this, as 100MiB.")] = "0",
    window: Annotated[Window, typer.Option(help="The coarsest windows to make.")] = Window.TEN,
    config: ConfigFile = None,
) -> None:
    """Thin the oldest segments: gauges to mean, least, greatest and count a window, counters to fewer real readings.

    Example: edge-agent spool thin --to 100MiB
    """
    try:
        size = _size(to)
        before, after = anyio.run(_thin, config, size, _MS[window])
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    except OSError as error:
        raise typer.Exit(tell(_refused(error))) from None
    print(f"{before / 2**20:.1f} MiB before, {after / 2**20:.1f} MiB now")


def _size(written: str) -> int:
    try:
        return parse_bytes(written)
    except ValueError as error:
        raise ConfigError(f"--to: {error}", hint="name a size, as 100MiB") from None


def _refused(error: OSError) -> DeviceError:
    return DeviceError(f"the disk refused: {error.strerror}", hint="what was done so far stands; start it again")


async def _repair(config: Path | None) -> tuple[int, int]:
    async with opened(config) as (spool, _device):
        with bar() as progress:
            task = progress.add_task("reading segments", total=None)
            mended = await spool.repair(lambda done, of: progress.update(task, completed=done, total=of))
        return mended, spool.lost


async def _thin(config: Path | None, to: int, widest: int) -> tuple[int, int]:
    async with opened(config) as (spool, _device):
        before = now = spool.lane("telemetry").depth().bytes
        with bar() as progress:
            task = progress.add_task("thinning", total=max(0, before - to))
            while now > to and await spool.thin(widest):
                now = spool.lane("telemetry").depth().bytes
                progress.update(task, completed=before - now)
        return before, now


def _exported(files: list[Path]) -> list[Letter]:
    return [letter for file in files for letter in _frames_in(file)]


def _frames_in(file: Path) -> list[Letter]:
    try:
        return exported(SystemDisk(), file)
    except OSError as error:
        raise DeviceError(f"{file}: {error.strerror}", hint="name a file that `spool export` made") from None
    except Malformed as error:
        raise DeviceError(f"{file}: {error}", hint="name a file that `spool export --form frames` made") from None


async def _replay(found: list[Letter], config: Path | None, dead: bool) -> int:  # noqa: FBT001 - what is found is one or the other
    """Adopt each; how many are durable now. A dead letter goes from its folder only then."""
    kept = 0
    async with opened(config) as (spool, device):
        _check_owner(found, device)
        with bar() as progress:
            for letter in progress.track(found, description="putting back frames"):
                durable = await spool.lane(letter.lane).adopt(letter.frame)
                kept += durable
                if durable and dead:
                    SystemDisk().unlink(letter.path)
    return kept


def _check_owner(found: list[Letter], device: str) -> None:
    """Another device's frames would become this one's at the hub."""
    for letter in found:
        owner = owner_of(letter.frame)
        if owner not in {None, device}:
            raise DeviceError(
                f"{letter.path} has frames of {owner}, and this device is {device}",
                hint="replay it on that device, or push the file to the hub with that device's key",
            )
