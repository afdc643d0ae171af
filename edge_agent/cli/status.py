"""`edge-agent status`: how the running agent fares, read from its local endpoint."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from edge_agent.cli.failure import tell
from edge_agent.cli.screen import console
from edge_agent.config.load import load
from edge_agent.model.failure import DeviceError, EdgeError

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_PATIENCE = 5.0


def status(
    config: Annotated[
        Path | None, typer.Option(help="The config file; /etc/edge-agent/agent.toml when absent.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the local endpoint, instead of the config's.")] = None,
    healthy: Annotated[bool, typer.Option("--healthy", help="Only exit 0 or 1, for health checks.")] = False,  # noqa: FBT002 - a flag of the command line
    as_json: Annotated[bool, typer.Option("--json", help="The whole state as JSON.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Show lamps, buffer, clock and cost of the running agent; exit 1 when a lamp is red or nobody answers.

    Example: edge-agent status --json
    """
    try:
        at = port if port is not None else load(config, {}).settings.local.port
        code, state = asyncio.run(_ask(at, "/healthz" if healthy else "/status"))
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    if healthy:
        raise typer.Exit(0 if code == 200 else 1)  # noqa: PLR2004 - OK
    if as_json:
        print(orjson.dumps(state, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(state, console())
    if any(lamp["state"] == "fail" for lamp in state["lamps"]):
        raise typer.Exit(1)


async def _ask(port: int, path: str) -> tuple[int, Any]:
    import aiohttp  # noqa: PLC0415 - a wrong config is told before this is loaded

    url = f"http://127.0.0.1:{port}{path}"
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status, orjson.loads(await answer.read())
    except (aiohttp.ClientError, TimeoutError, asyncio.TimeoutError) as error:
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number) if number else str(error) or type(error).__name__
        raise DeviceError(
            f"no agent answers on 127.0.0.1:{port}: {why}",
            hint="start it with `edge-agent run`, or name its port with --port",
        ) from None
    except orjson.JSONDecodeError:
        raise DeviceError(
            f"what answers on 127.0.0.1:{port} is not an agent", hint="name its port with --port"
        ) from None


def _show(state: dict[str, Any], console: Console) -> None:
    config, sampled, clock, cost, push = (state[name] for name in ("config", "sampled", "clock", "cost", "push"))
    changed = " (the file on disk differs from what runs)" if config["differs_on_disk"] else ""
    console.print(f"[bold]{state['device']}[/bold]  config {config['file'] or 'defaults'}{changed}")
    table = Table(box=None, pad_edge=False, show_header=False)
    for lamp in state["lamps"]:
        colour = _COLOURS[lamp["state"]]
        table.add_row(f"[{colour}]●[/{colour}] {lamp['part']}", lamp["state"], _long(lamp["for_s"]), lamp["note"])
    console.print(table)
    console.print(
        f"sampled  {sampled['readings']:,} readings of {sampled['series']} series, {sampled['absent']:,} absent, "
        f"{sampled['missed_beats']} beats missed"
    )
    for lane, held in state["buffer"].items():
        if held["frames"]:
            where = "" if held["durable"] else ", in memory only"
            oldest = "" if held["oldest_age_s"] is None else f", oldest {_long(held['oldest_age_s'])}"
            console.print(f"buffer   {lane}: {held['frames']:,} frames, {_mib(held['bytes'])}{oldest}{where}")
    if state["buffer_days_left"] is not None:
        console.print(f"room     {state['buffer_days_left']} days without a hub at the present rate")
    if push is not None:
        acked = "never" if push["last_ack_age_s"] is None else f"{_long(push['last_ack_age_s'])} ago"
        waiting = f"; waits {_long(push['waiting_s'] or 0)}: {push['waiting']}" if push["waiting"] else ""
        sent = _mib(push["bytes"])
        console.print(f"pushed   {push['frames']:,} frames settled, {sent} sent; last acknowledged {acked}{waiting}")
    console.print(f"clock    {clock_line(clock)}")
    console.print(
        f"cost     {cost['cpu_seconds']} s of processor, {cost['uss_mib']} MiB private, {cost['rss_mib']} MiB resident,"
        f" {_mib(cost['flash_bytes'])} to flash"
    )
    console.print(f"logs     {state['logs']}")


_SOURCES = {"hub": "the hub", "kernel": "the kernel", "date": "the hub's Date", "guess": "an unsynchronised hub"}
_WALL_OFF_MS = 1000
"""A wall clock that is further off than that is worth a word."""


def clock_line(clock: Mapping[str, Any]) -> str:
    """What the agent knows of true time, as one line; `clock` is that object of its state."""
    if "source" not in clock:
        return "an earlier version of the agent runs, which does not tell"
    if clock["true_time"] is None:
        return "true time unknown: neither the hub nor the kernel has told it"
    error = clock["error_ms"]
    known = "guessed" if error is None else f"known to ± {error} ms"
    parts = [f"true time {known} from {_SOURCES[clock['source']]}, {_long(clock['last_anchor_age_s'])} ago"]
    for one, count in (("step", clock["steps"]), ("dispute", clock["disputes"])):
        if count:
            parts.append(f"{count} {one}{'' if count == 1 else 's'}")
    off = clock["wall_off_ms"]
    if abs(off) > max(_WALL_OFF_MS, error or 0):
        parts.append(f"the wall clock is {_long(abs(off) / 1000)} {'ahead' if off > 0 else 'behind'}")
    return "; ".join(parts)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


def _long(seconds: float) -> str:
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
