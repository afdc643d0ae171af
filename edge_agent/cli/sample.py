"""`edge-agent sample`: what the collectors see on this machine, or below another root. Needs no hub.

The real sampler runs, with its time limits; what it says goes to a table instead of a batch. Absent readings are shown
by name with their reason. A foreign root never touches live sources.

Each tick is shown with its time by this machine's clock, and how far that may be off by what the kernel says: the hub
is not asked. As JSON `ts` is Unix ms, `ts_err` ms or null, and `time_source` is `kernel` or `unsynchronised`; `at`
stays ms on the axis.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import anyio
import orjson
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from edge_agent.agent.machine import real_ports
from edge_agent.agent.plan import Plan, build_plan
from edge_agent.cli.failure import tell
from edge_agent.cli.moment import UNSYNCHRONISED, Moment, moment_of
from edge_agent.cli.root import checked_root
from edge_agent.cli.screen import console
from edge_agent.config.load import load
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.scopes import running
from edge_agent.model.failure import EdgeError
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sampler import Sampler

_BEATS_OF_ONCE = 2
"""Ratios are differences between two reads: the first beat has none."""

Show = Callable[[Tick, Moment], None]
"""Told each tick and when it was."""


def sample(
    config: Annotated[
        Path | None, typer.Option(help="The config file; /etc/edge-agent/agent.toml when absent.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Read the machine's files below this folder.")] = Path("/"),
    once: Annotated[bool, typer.Option("--once", help="Print one beat of each collector and end.")] = False,  # noqa: FBT002 - a flag of the command line
    seconds: Annotated[float | None, typer.Option("--for", help="End after so many seconds.")] = None,
    explain: Annotated[str | None, typer.Option(help="Only readings whose name holds this, with their source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a tick, one a line.")] = False,  # noqa: FBT002 - a flag of the command line
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC instead of local time.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Show what the collectors see, absences by name and reason.

    Example: edge-agent sample --once --explain cpu
    """
    try:
        plan = build_plan(load(config, {}), Host(checked_root(root), live=root == Path("/")))
        with Shown(console(), explain, live=not once and not as_json, utc=utc) as shown:
            show = _as_line(explain) if as_json else shown.take
            asyncio.run(_watch(plan, root, show, once=once, seconds=seconds))
            if once and not as_json:
                shown.print()
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    except KeyboardInterrupt:
        pass


async def _watch(plan: Plan, root: Path, show: Show, *, once: bool, seconds: float | None) -> None:
    ports = real_ports(root)
    beats = {schedule.name: 0 for schedule in plan.schedules}
    done = anyio.Event()

    def take(tick: Tick) -> None:
        beats[tick.collector] += 1
        moment = moment_of(tick.at, ports.clock)
        if not once:
            show(tick, moment)
        elif beats[tick.collector] == _BEATS_OF_ONCE:
            show(tick, moment)
            if all(count >= _BEATS_OF_ONCE for count in beats.values()):
                done.set()

    lamps = LampBoard(ports.clock, lambda _lamp: None)
    sampler = Sampler(plan.schedules, ports.clock, ports.offload, lamps, take, lambda _missed: None)
    longest = max(schedule.interval + schedule.timeout for schedule in plan.schedules) * _BEATS_OF_ONCE
    with anyio.move_on_after(seconds if seconds is not None else longest if once else None):
        async with running(sampler):
            await done.wait()


def _as_line(explain: str | None) -> Show:
    def show(tick: Tick, moment: Moment) -> None:
        readings = [reading._asdict() for reading in _chosen(tick.readings, explain)]
        line = {
            "collector": tick.collector,
            "at": tick.at,
            "ts": moment.ts,
            "ts_err": moment.error,
            "time_source": UNSYNCHRONISED if moment.error is None else "kernel",
            "readings": readings,
        }
        sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()

    return show


def _chosen(readings: Iterable[Reading], explain: str | None) -> list[Reading]:
    return [reading for reading in readings if explain is None or explain in reading.name]


class Shown:
    """The latest tick of each collector as one table, live on a terminal."""

    def __init__(self, console: Console, explain: str | None, *, live: bool, utc: bool) -> None:
        self._console, self._explain, self._utc = console, explain, utc
        self._ticks: dict[str, tuple[Tick, Moment]] = {}
        self._live = Live(console=console, refresh_per_second=4) if live else None

    def __enter__(self) -> "Shown":  # noqa: PYI034 - there is no Self in the oldest Python that this runs on
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._live:
            self._live.stop()

    def take(self, tick: Tick, moment: Moment) -> None:
        """Show this tick in place of its collector's last."""
        self._ticks[tick.collector] = (tick, moment)
        if self._live:
            self._live.update(self._table())

    def print(self) -> None:
        """Print the table once."""
        self._console.print(self._table())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("reading", "attributes", "value", "unit"):
            table.add_column(column, justify="right" if column == "value" else "left", no_wrap=column != "attributes")
        if self._explain is not None:
            table.add_column("source")
        for name, (tick, moment) in sorted(self._ticks.items()):
            chosen = _chosen(tick.readings, self._explain)
            if chosen:
                table.add_row(f"[bold]{name}[/bold]", moment.written(utc=self._utc))
            for reading in chosen:
                attributes = " ".join(
                    f"{name.rpartition('.')[2]}={value}" for name, value in reading.attributes.items()
                )
                absent = reading.value is None
                value = f"[dim]{reading.reason}[/dim]" if absent else _written(reading)
                row = [reading.name, attributes, value, "" if absent else reading.unit]
                table.add_row(*row, *([reading.source] if self._explain is not None else []))
        return table


def _written(reading: Reading) -> str:
    return f"{reading.value:,.{reading.digits}f}" if reading.digits is not None else f"{reading.value:.6g}"
