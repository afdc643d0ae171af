"""`edge-agent doctor`: is all as it must be on this device, and if not, what to do.

Every check on the shelf `cli/checks` looks in turn (`cli.finding`), whether or not an agent runs, and changes nothing.
A config that is wrong is the first finding; one that cannot be read at all is the only one. Keys, and the passwords of
proxies, are in no finding.

Below another root only the sensors of the machine there are looked at: all else is of this one.
"""

import asyncio
import os
import pkgutil
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

import edge_agent.cli.checks
from edge_agent.agent.machine import real_ports
from edge_agent.cli.checks.unit import UNIT
from edge_agent.cli.ending import ended_with
from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.root import checked_root
from edge_agent.cli.screen import console
from edge_agent.config.load import KEY_VARIABLE, Loaded, load
from edge_agent.config.reach import Reach, reach_of
from edge_agent.kit.lamps import printable
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.failure import ConfigError, EdgeError

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_PATIENCE = 5.0
_ROOT = Path("/")
_ELSEWHERE = ("sensors",)
"""What there is to look at below another root."""
_MOST_TOLD = 500
_TOLD = (("lamps", list), ("config", dict), ("clock", dict))
"""What agents of every version tell."""
_GRANTED = re.compile(r"\bhub_key:(\S+)")

Found = list[tuple[str, Finding]]
"""Findings, each with the name of its check."""


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="The config file; /etc/edge-agent/agent.toml when absent.")
    ] = None,
    root: Annotated[
        Path, typer.Option(help="Only the sensors of the machine whose files are below this folder.")
    ] = _ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Look for what is wrong, each with its fix; exit 1 when something fails, 2 when it is the config.

    Example: sudo edge-agent doctor
    """
    where = str(config or "")
    try:
        loaded = _loaded(config)
        where = str(root)
        checked_root(root)
    except ConfigError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        found = [("config", Finding("fail", line, where, error.hint)) for line in lines]
        _tell(found, as_json=as_json)
        raise typer.Exit(2) from None
    patient = patient_of(loaded, _reach(loaded), root)
    with ended_with(patient.ports.host.commands):
        found = asyncio.run(examine(patient, None if patient.ports.host.live else _ELSEWHERE))
    _tell(found, as_json=as_json)
    if any(name == "config" and finding.state == "fail" for name, finding in found):
        raise typer.Exit(2)
    if any(finding.state == "fail" for _, finding in found):
        raise typer.Exit(1)


def patient_of(loaded: Loaded, reach: Reach | ConfigError, root: Path = _ROOT) -> Patient:
    """This machine with this config, and its sensors or those of the machine below another root."""
    ports = real_ports(root)
    running = _running(loaded.settings.local.port) if loaded.settings.local.enabled and ports.host.live else None
    return Patient(loaded, reach, ports, _ROOT, running, Timekeeper(ports.clock, ask_kernel=False), _command)


async def examine(patient: Patient, only: Collection[str] | None = None) -> Found:
    """What every check finds, or `only` these, in the order of their ranks."""
    checks = [(name, check) for name, check in shelf() if only is None or name in only]
    return [(name, finding) for name, check in checks for finding in await _looked(check, patient)]


async def _looked(check: Check, patient: Patient) -> Iterable[Finding]:
    try:
        return await check.look(patient)
    except OSError as error:
        why = f"cannot be looked at: {error.strerror or error}"
        return [Finding("warn", why, str(error.filename or ""), "run this as root")]
    except EdgeError as error:
        return [Finding("fail", str(error), "", error.hint)]


def shelf() -> list[tuple[str, Check]]:
    """Every check, by rank."""
    names = [module.name for module in pkgutil.iter_modules(edge_agent.cli.checks.__path__)]
    checks: list[Check] = [import_module(f"edge_agent.cli.checks.{name}").CHECK for name in names]
    return sorted(zip(names, checks, strict=True), key=lambda named: (named[1].rank, named[0]))


def _loaded(config: Path | None) -> Loaded:
    """The config; where it has no key, with the file that the unit hands to the service as its credential."""
    loaded = load(config, {})
    if loaded.settings.hub.key_file is not None or os.environ.get(KEY_VARIABLE):
        return loaded
    granted = _GRANTED.search(_command(("systemctl", "show", UNIT, "--property=LoadCredential")) or "")
    return loaded if granted is None else load(config, {"hub": {"key_file": granted[1]}})


def _reach(loaded: Loaded) -> Reach | ConfigError:
    try:
        return reach_of(loaded)
    except ConfigError as error:
        return error


def _running(port: int) -> Mapping[str, Any] | None:
    """What the agent on this port says of itself; None when no agent answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/status")
        said = orjson.loads(connection.getresponse().read())
    except (OSError, HTTPException, orjson.JSONDecodeError):
        return None
    finally:
        connection.close()
    return said if isinstance(said, dict) and all(isinstance(said.get(name), kind) for name, kind in _TOLD) else None


def _command(words: Sequence[str]) -> str | None:
    """What a command of the system prints; None when it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603 - fixed words, no shell
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _tell(found: Found, *, as_json: bool) -> None:
    if as_json:
        findings = [{"check": name, **asdict(finding)} for name, finding in found]
        print(orjson.dumps({"findings": findings}, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, finding in found:
        colour = _COLOURS[finding.state]
        what, where = (escape(printable(text, _MOST_TOLD)) for text in (finding.what, finding.where))
        if finding.fix and finding.state != "ok":
            what = f"{what}\n-> {escape(finding.fix)}"
        table.add_row(f"[{colour}]{finding.state}[/{colour}]", name, what, where)
    console().print(table)
    bad = sum(finding.state == "fail" for _, finding in found)
    odd = sum(finding.state == "warn" for _, finding in found)
    print(f"{bad} wrong, {odd} to look at" if bad or odd else "all is well")
