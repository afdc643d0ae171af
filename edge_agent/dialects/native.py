"""The native API: frames verbatim upward, an SSE stream of words downward.

    POST /api/v1/telemetry                  frames, back to back; Edge-Sent-At, Edge-Clock, Edge-Spool
      200 {"results":[{"epoch":"<16 hex>","seq":n,"status":"stored|duplicate|thinned|rejected","code"?}],"hub_time":ms}
    GET  /api/v1/devices/{id}/stream        hello instruction config watch keepalive bye reset
    GET  /api/v1/devices/{id}/config        the signed config document
    POST /api/v1/devices/{id}/live          {"axis","now","anchor","ticks":[...],"lamps":[...]}, not stored

A frame is settled by a `results` entry that names it, or by a problem with a code about frames that names the one
frame that was sent (members `epoch` and `seq`). `rejected` settles it only where the code is the frame's own fault, so
that each hub would say the same: bad_json, bad_batch, bad_gzip, and identity_conflict (which gives it a new number).
Any other code may be this hub's (`unsupported_version`: a later one knows it; `too_large`: another takes more) or the
line's (`frame_*`: the frame was read whole here, and arrived damaged): such a frame is kept, and the code told. A
problem about frames that names nothing was understood and settles nothing: the same frames come again, fewer at once.
Whatever else answers is a wrong door, and is quoted: status, content type, the first 80 printable characters of each; a
problem by its code, title and detail likewise.

Pure: values to requests, answers to verdicts. The link adds the key. There is no grant, registration, report or log
request: the key is the grant, the first push registers, reports and logs travel as frames.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson

from edge_agent.kit.lamps import printable
from edge_agent.model.frame import Frame, Identity
from edge_agent.model.http import Answer, Request
from edge_agent.model.offers import DialectOffer, Dispatch, LiveView
from edge_agent.model.reading import Reading
from edge_agent.model.verdict import (
    Delivered,
    Later,
    Refused,
    SettledStatus,
    Settlement,
    Skewed,
    TooLarge,
    Unauthorized,
    Verdict,
)
from edge_agent.model.word import Bye, ConfigChanged, Hello, Keepalive, Reset, Signed, Watch, Word
from edge_agent.wire.frame import encode
from edge_agent.wire.headers import (
    CLOCK,
    MOST_WAIT,
    SENT_AT,
    SPOOL,
    format_clocks,
    format_inventory,
    format_sent_at,
    passes,
    retry_after,
)
from edge_agent.wire.problem import Problem, parse_problem
from edge_agent.wire.track import fault_of

FRAMES = "application/vnd.edge.frames"
"""The content type of frames back to back."""

_QUOTED = 80
_STATUSES: Mapping[str, SettledStatus] = {
    "stored": "stored",
    "duplicate": "duplicate",
    "thinned": "thinned",
    "rejected": "rejected",
}
_OWN_FAULT = frozenset({"bad_json", "bad_batch", "bad_gzip", "identity_conflict"})
_ABOUT_FRAMES = _OWN_FAULT | {"too_large", "unsupported_version"}
_EPOCH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose."""


class Native:
    """The native API as one device speaks it. Implements the port `Dialect`."""

    def __init__(self, device: str) -> None:
        self._device = f"/api/v1/devices/{quote(device, safe='')}"

    def push(self, frames: Sequence[Frame], dispatch: Dispatch) -> Request:
        """The request that delivers these frames."""
        headers = {"content-type": FRAMES, "accept": "application/json"}
        if dispatch.sent_at is not None:
            headers[SENT_AT] = format_sent_at(dispatch.sent_at)
        if dispatch.clocks:
            headers[CLOCK] = format_clocks(dispatch.clocks)
        if dispatch.inventory:
            headers[SPOOL] = format_inventory(dispatch.inventory)
        return Request("POST", "/api/v1/telemetry", headers, b"".join(map(encode, frames)))

    def verdict(self, frames: Sequence[Frame], answer: Answer) -> Verdict:
        """What the answer to `push` means for them."""
        status = answer.status
        problem = parse_problem(answer.headers.get("content-type", ""), answer.body)
        if status == HTTPStatus.OK:
            results = _results(answer)
            return Refused(_quoted(answer)) if results is None else _delivered(frames, results)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Unauthorized(_named(answer, problem))
        if passes(status):
            return Later(_named(answer, problem), retry_after(answer.headers))
        if problem is not None and status >= HTTPStatus.BAD_REQUEST:
            if problem.code == "clock_skew":
                return Skewed(_whole(problem.extra.get("hub_time")))
            named = _delivered(frames, [{**problem.extra, "status": "rejected", "code": problem.code}])
            if _about_frames(problem.code) and (named.settled or named.kept) and len(frames) == 1:
                return named
            if _about_frames(problem.code) and status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                return Delivered({})
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLarge(None if problem is None else _whole(problem.extra.get("limit")) or None)
        return Refused(_quoted(answer))

    def stream(self, last_event_id: str) -> Request:
        """The request that opens the stream of words."""
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if last_event_id:
            headers["last-event-id"] = last_event_id
        return Request("GET", f"{self._device}/stream", headers)

    def word(self, event: str, data: str) -> Word | None:
        """What one event of the stream says; None when it is nothing to this agent."""
        match event:
            case "instruction":
                return Signed("instruction", data.encode())
            case "config":
                return ConfigChanged()
            case "keepalive":
                return Keepalive(twin=_members(data.encode()).get("twin") is True)
            case "reset":
                return Reset()
            case "hello" | "watch" | "bye":
                return _word_of(event, _members(data.encode()))
            case _:
                return None

    def config(self) -> Request:
        """The request that fetches the signed config document."""
        return Request("GET", f"{self._device}/config", {"accept": "application/json"})

    def live(self, view: LiveView) -> Request:
        """The request that shows ticks and lamps as they are now: not stored, lossy."""
        document = {
            "axis": view.axis,
            "now": view.now,
            "anchor": None if view.anchor is None else list(view.anchor),
            "ticks": [[tick.collector, tick.at, [_shown(reading) for reading in tick.readings]] for tick in view.ticks],
            "lamps": [[lamp.part, lamp.state, lamp.since, lamp.note] for lamp in view.lamps],
        }
        headers = {"content-type": "application/json", "accept": "application/json"}
        return Request("POST", f"{self._device}/live", headers, orjson.dumps(document))

    def grant(self, key: str) -> None:
        """The key itself is sent."""

    def registration(self, resource: Mapping[str, str]) -> None:
        """The first push makes the device known."""

    def report(self, identity: Identity, report: Mapping[str, Any]) -> None:
        """Reports travel as frames."""

    def logs(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Logs travel as frames."""


def _build(_options: Options, device: str) -> Native:
    return Native(device)


OFFER = DialectOffer(Options, _build)


def _results(answer: Answer) -> list[Any] | None:
    """The entries of a 200 that is really the hub's; None for any other."""
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None
    results = _members(answer.body).get("results")
    return results if isinstance(results, list) else None


def _delivered(frames: Sequence[Frame], results: Sequence[Any]) -> Delivered:
    """What entries say of the frames that were sent; entries of other shapes or other frames say nothing."""
    asked = {frame.identity for frame in frames}
    settled: dict[Identity, Settlement] = {}
    kept: dict[Identity, str] = {}
    for entry in results:
        if not isinstance(entry, dict):
            continue
        epoch, seq, given = entry.get("epoch"), _whole(entry.get("seq")), entry.get("code")
        status = _STATUSES.get(str(entry.get("status")))
        if status is None or seq is None or not isinstance(epoch, str) or _EPOCH.fullmatch(epoch) is None:
            continue
        identity, code = Identity(int(epoch, 16), seq), given if isinstance(given, str) else None
        if identity not in asked:
            continue
        if status == "rejected" and code not in _OWN_FAULT:
            kept[identity] = printable(code or "rejected without a code", _QUOTED)
        else:
            settled[identity] = Settlement(status, code)
    return Delivered(settled, kept)


def _word_of(event: str, members: Mapping[str, Any]) -> Word | None:
    if event == "hello":
        hub_epoch = members.get("hub_epoch")
        return Hello(hub_epoch) if isinstance(hub_epoch, str) else None
    if event == "watch":
        seconds = _seconds(members.get("seconds"))
        return None if seconds is None else Watch(seconds)
    why = members.get("why")
    return Bye(_seconds(members.get("after")) or 0.0, why if isinstance(why, str) else "")


def _shown(reading: Reading) -> list[Any]:
    value = reading.value
    if value is None or math.isfinite(value):
        return [reading.name, reading.attributes, reading.unit, value, reading.reason]
    return [reading.name, reading.attributes, reading.unit, None, fault_of(value)]


def _about_frames(code: str) -> bool:
    return code in _ABOUT_FRAMES or code.startswith("frame_")


def _members(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return min(max(float(value), 0.0), MOST_WAIT)


def _named(answer: Answer, problem: Problem | None) -> str:
    if problem is None:
        return _quoted(answer)
    return _told(answer.status, problem.code, problem.detail or problem.title)


def _quoted(answer: Answer) -> str:
    kind = answer.headers.get("content-type", "no content type")
    return _told(answer.status, kind, answer.body.decode("utf-8", "replace"))


def _told(status: int, kind: str, text: str) -> str:
    """What answered, in words that are all from outside: the first printable characters of each."""
    return f"{status} {printable(kind, _QUOTED)}: {printable(text, _QUOTED)}".rstrip(": ")
