"""`edge-agent sample`: what the collectors see on this machine, or below another root. Needs no hub.

The real sampler runs, with its time limits; what it says goes to a table instead of a batch. Absent readings are shown
by name with their reason; a collector that hangs or breaks is told beside it (standard error). A foreign root never
touches live sources. `--explain` adds where each reading comes from and what was tried before (`cli.explain`).

On a terminal the table lives until it is ended. Where it goes into a pipe or a file it is printed once, unless `--for`
says how long to look.

Each tick is shown with its time by this machine's clock, and how far that may be off by what the kernel says: the hub
is not asked. As JSON `ts` is Unix ms, `ts_err` ms or null, and `time_source` is `kernel` or `unsynchronised`; `at`
stays ms on the axis.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import orjson
import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from edge_agent.agent.machine import Ports, real_ports
from edge_agent.agent.plan import Plan, build_plan
from edge_agent.cli.ending import ended_with
from edge_agent.cli.explain import Explained, is_starting, written
from edge_agent.cli.failure import tell
from edge_agent.cli.moment import UNSYNCHRONISED, Moment, moment_of
from edge_agent.cli.root import checked_root
from edge_agent.cli.screen import console
from edge_agent.config.load import load
from edge_agent.kit.lamps import LampBoard, printable
from edge_agent.kit.scopes import running
from edge_agent.model.failure import EdgeError
from edge_agent.model.lamp import Lamp
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sampler import Sampler

_BEATS_OF_ONCE = 2
"""Ratios are differences between two reads: the first beat has none."""
_MOST_BEATS_OF_ONCE = 6
"""A program that a collector asks takes a moment to begin: until it speaks, at most so many beats are taken."""
_MOST_TEXT = 500
"""Characters of a text from a device that are shown."""

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
        ports = real_ports(checked_root(root))
        plan = build_plan(load(config, {}), ports.host)
        explained = Explained(explain, {schedule.name: schedule.collector for schedule in plan.schedules})
        screen = console()
        once = once or not (as_json or screen.is_terminal or seconds is not None)
        shown = Shown(screen, explained, live=not once and not as_json, utc=utc)
        with ended_with(ports.host.commands), shown:
            show = _as_line(explained) if as_json else shown.take
            asyncio.run(_watch(plan, ports, show, once=once, seconds=seconds))
            if once and not as_json:
                shown.print()
        if once or seconds is not None:
            explained.check()
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    except KeyboardInterrupt:
        pass


async def _watch(plan: Plan, ports: Ports, show: Show, *, once: bool, seconds: float | None) -> None:
    collectors = {schedule.name: schedule.collector for schedule in plan.schedules}
    beats, waiting = dict.fromkeys(collectors, 0), set(collectors)
    last: dict[str, tuple[Tick, Moment]] = {}
    done = anyio.Event()

    def take(tick: Tick) -> None:
        name, moment = tick.collector, moment_of(tick.at, ports.clock)
        if not once:
            show(tick, moment)
            return
        beats[name] += 1
        tick = _with_earlier(tick, last[name][0] if name in last else None)
        last[name] = (tick, moment)
        enough = _MOST_BEATS_OF_ONCE if is_starting(collectors[name], tick.readings) else _BEATS_OF_ONCE
        if name in waiting and beats[name] >= enough:
            show(tick, moment)
            waiting.remove(name)
            if not waiting:
                done.set()

    sampler = Sampler(plan.schedules, ports.clock, ports.offload, LampBoard(ports.clock, _warn), take, lambda _: None)
    longest = max(schedule.interval + schedule.timeout for schedule in plan.schedules) * _BEATS_OF_ONCE
    with anyio.move_on_after(seconds if seconds is not None else longest if once else None):
        async with running(sampler):
            await done.wait()
    for name in sorted(waiting & last.keys()):
        show(*last[name])


def _with_earlier(tick: Tick, before: Tick | None) -> Tick:
    """A tick with what the one before told and this one did not: some numbers are read once in several beats."""
    if before is None:
        return tick
    told = {(reading.name, *sorted(reading.attributes.items())) for reading in tick.readings}
    kept = [one for one in before.readings if (one.name, *sorted(one.attributes.items())) not in told]
    return replace(tick, readings=(*tick.readings, *kept))


def _warn(lamp: Lamp) -> None:
    if lamp.state != "ok":
        print(f"edge-agent: {lamp.part}: {lamp.note}", file=sys.stderr)


def _as_line(explained: Explained) -> Show:
    def row(collector: str, reading: Reading) -> dict[str, Any]:
        told = reading._asdict()
        return told if explained.name is None else {**told, "tried": explained.tried(collector, reading)}

    def show(tick: Tick, moment: Moment) -> None:
        readings = [row(tick.collector, reading) for reading in explained.chosen(tick.readings)]
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


class Shown:
    """The latest tick of each collector as one table, live on a terminal."""

    def __init__(self, console: Console, explained: Explained, *, live: bool, utc: bool) -> None:
        self._console, self._explained, self._utc = console, explained, utc
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
        explains = self._explained.name is not None
        for column in ("source", "tried before") if explains else ():
            table.add_column(column)
        for name, (tick, moment) in sorted(self._ticks.items()):
            chosen = self._explained.chosen(tick.readings)
            if chosen:
                table.add_row(f"[bold]{name}[/bold]", moment.written(utc=self._utc))
            for reading in chosen:
                attributes = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in reading.attributes.items())
                absent = reading.value is None
                value = f"[dim]{_plain(reading.reason or '')}[/dim]" if absent else _written(reading)
                row = [_plain(reading.name), _plain(attributes), value, "" if absent else _plain(reading.unit)]
                if explains:
                    row += [_plain(reading.source), _plain("; ".join(written(self._explained.tried(name, reading))))]
                table.add_row(*row)
        return table


def _written(reading: Reading) -> str:
    return f"{reading.value:,.{reading.digits}f}" if reading.digits is not None else f"{reading.value:.6g}"


def _plain(text: str) -> str:
    """Text of a device as a table can take it: no marks, no controls."""
    return escape(printable(text, _MOST_TEXT))
