"""`edge-agent hub backup` and `restore`: a bar while it lasts, then what was copied, in words or as a line of JSON."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from edge_agent.hub.backup import Contents, Told, put_back, save
from edge_agent.hub.settings import Settings
from edge_agent.kit.clock import SystemClock


def back_up(settings: Settings, file: Path, *, as_json: bool) -> None:
    """Copy the hub of the folder to a file."""
    with _bar("copying pages") as told:
        contents = save(settings.folder, file, told)
    if as_json:
        _say({"file": str(file), **contents._asdict()})
        return
    print(f"{file}: {_words(contents)}")
    print("the hub's keys are in it: keep it where nobody else reads it")


def restore(settings: Settings, file: Path, *, replace: bool, as_json: bool) -> None:
    """Put the hub of a file into the folder."""
    with _bar("copying pages") as told:
        contents, aside = put_back(file, settings.folder, SystemClock().wall(), told, replace=replace)
    if as_json:
        _say({"folder": str(settings.folder), "aside": str(aside) if aside else None, **contents._asdict()})
        return
    print(f"{settings.folder}: {_words(contents)}")
    if aside:
        print(f"the hub that was there is kept as {aside}")
    print(
        "what devices delivered after the backup, and no longer hold, is named lost by the audit, but for those that\n"
        "began anew since: of what they numbered before that no sum tells; a device whose key\n"
        "was changed since needs a new one (`edge-agent hub device ID`); people log in again"
    )


def _say(said: dict[str, Any]) -> None:
    print(orjson.dumps(said).decode())


def _words(contents: Contents) -> str:
    until = ""
    if contents.newest is not None:
        newest = datetime.fromtimestamp(contents.newest / 1000, timezone.utc).astimezone()
        until = f" up to {newest.isoformat(timespec='seconds')}"
    return f"{contents.devices} devices, {contents.frames:,} frames{until}, {contents.size / 2**20:,.1f} MiB, checked"


@contextmanager
def _bar(what: str) -> Iterator[Told]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from edge_agent.cli.spoolfolder import bar  # noqa: PLC0415 - tables and colours, on a terminal only

    with bar() as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
