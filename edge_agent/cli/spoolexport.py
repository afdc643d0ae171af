"""`edge-agent spool export`: what the buffer holds, into a file. Reads only, with or without a running agent beside it.

    frames   the frames verbatim, one after the other: what `POST /api/v1/telemetry` of any hub takes as
             `application/vnd.edge.frames`, and what `edge-agent spool replay` puts back
    json     one line a frame: `{"lane", "epoch", "seq", "kind", "sealed_at", "document"}`, the document as it was
             sealed

A frame that is settled while the export runs may be in it; a hub that gets it again calls it a duplicate.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from edge_agent.cli.failure import tell
from edge_agent.cli.spoolfolder import ConfigFile, Folder, bar, folder_of
from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import DeviceError, EdgeError, Malformed
from edge_agent.model.frame import LANES, Frame
from edge_agent.spool.inspect import frames_of, listing
from edge_agent.spool.letters import letters
from edge_agent.wire.batch import unzip
from edge_agent.wire.frame import encode

_MOST_BODY = 64 * 2**20


class Form(str, Enum):
    """How frames are written."""

    FRAMES = "frames"
    JSON = "json"


def export(
    to: Annotated[Path, typer.Argument(help="The file to make, or - for standard output.")],
    form: Annotated[Form, typer.Option(help="Frames verbatim, or a line of JSON each.")] = Form.FRAMES,
    lane: Annotated[str | None, typer.Option(help=f"Only this lane: {', '.join(LANES)}.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="The dead letters instead.")] = False,  # noqa: FBT002 - a flag of the command line
    config: ConfigFile = None,
    folder: Folder = None,
) -> None:
    """Write what the buffer holds into a file.

    Example: edge-agent spool export --form json - | jq .document.tracks
    """
    try:
        if lane is not None and lane not in LANES:
            raise DeviceError(f"there is no lane {lane!r}", hint=f"there are {', '.join(LANES)}")
        where = folder_of(config, folder)
        found = _dead(where, lane) if dead else _held(where, lane)
        with ExitStack() as stack:
            out = sys.stdout.buffer if str(to) == "-" else stack.enter_context(_made(to))
            count = sum(out.write(_written(lane, frame, form)) > 0 for lane, frame in found)
            out.flush()
    except EdgeError as error:
        raise typer.Exit(tell(error)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has enough; the exit flushes again
        return
    except OSError as error:
        hint = "what is in the file so far is good; remove it and export again"
        raise typer.Exit(tell(DeviceError(f"{to}: {error.strerror}", hint=hint))) from None
    print(f"{count} frames", file=sys.stderr)


def _made(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError:
        raise DeviceError(f"{path} is there already", hint="name a new file, or remove that one") from None
    except OSError as error:
        raise DeviceError(f"{path}: {error.strerror}", hint="name a file that this user may write") from None


def _held(folder: Path, lane: str | None) -> Iterator[tuple[str, Frame]]:
    disk = SystemDisk()
    segments = [segment for segment in listing(disk, folder) if lane in {None, segment.lane}]
    with bar() as progress:
        for segment in progress.track(segments, description="exporting segments"):
            # One that goes meanwhile was delivered.
            with suppress(FileNotFoundError, Malformed):
                for frame in frames_of(disk, segment.path):
                    yield segment.lane, frame


def _dead(folder: Path, lane: str | None) -> Iterator[tuple[str, Frame]]:
    with bar() as progress:
        for letter in progress.track(letters(SystemDisk(), folder), description="exporting dead letters"):
            if lane in {None, letter.lane}:
                yield letter.lane, letter.frame


def _written(lane: str, frame: Frame, form: Form) -> bytes:
    if form is Form.FRAMES:
        return encode(frame)
    line = {
        "lane": lane,
        "epoch": f"{frame.identity.epoch:016x}",
        "seq": frame.identity.seq,
        "kind": frame.kind,
        "sealed_at": frame.sealed_at,
        "document": orjson.Fragment(_document(frame)),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _document(frame: Frame) -> bytes:
    """The payload's JSON as it is; null when it is none."""
    try:
        body = unzip(frame.payload, _MOST_BODY)
        orjson.loads(body)
    except (Malformed, orjson.JSONDecodeError):
        return b"null"
    return body
