"""Forms: what callers send and what they get, as pydantic models, and how a body or a query is read as one.

The same models validate requests, write replies and make the OpenAPI document, so that none of the three can drift.
Bodies are read strictly: no number in quotes, no infinity. Device forms ignore members that they do not know, so that
an older hub takes a newer agent; forms of people refuse them, so that a misspelt member is told. Whole numbers fit
SQLite. Does not handle: telemetry frames (`intake`), which are not JSON.
"""

from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Request

JSON = "application/json"
MOST_ARGS_BYTES = 32 * 1024

_SCALE = 2**53


def _bounded_json(value: dict[str, Any]) -> dict[str, Any]:
    """What can be written again as JSON, and is not too large to sign."""
    try:
        written = orjson.dumps(value)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if len(written) > MOST_ARGS_BYTES:
        raise ValueError(f"must be at most {MOST_ARGS_BYTES} bytes of JSON")
    return value


Millis = Annotated[int, Field(ge=0, le=_SCALE, description="Unix ms")]
AxisMillis = Annotated[int, Field(ge=-_SCALE, le=_SCALE, description="ms on the device's axis")]
Count = Annotated[int, Field(ge=0, le=_SCALE)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
DeviceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
JsonObject = Annotated[dict[str, Any], AfterValidator(_bounded_json)]


class _Said(BaseModel):
    """From a device: unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class _Asked(BaseModel):
    """From people and their tools: unknown members are refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class _Told(BaseModel):
    """From the hub."""

    model_config = ConfigDict(frozen=True)


FormT = TypeVar("FormT", bound=BaseModel)


def read_body(model: type[FormT], request: Request) -> FormT:
    """The body as a form; Malformed `unsupported_media_type`, `bad_json`, or `bad_field` with the member's path."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Malformed("unsupported_media_type", f"send {JSON}", field="content-type")
    try:
        # The model's own reader takes NaN, lone surrogates and numbers beyond all bounds within free members.
        orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Malformed("bad_json", str(error)) from None
    try:
        return model.model_validate_json(request.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Malformed("bad_json", first["msg"]) from None
        raise Malformed("bad_field", first["msg"], field=path_of(first["loc"])) from None


def read_query(model: type[FormT], ask: Ask) -> FormT:
    """The query as a form; values are text, so numbers are read from it. Malformed `bad_query`."""
    try:
        return model.model_validate(dict(ask.query), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Malformed("bad_query", first["msg"], field=path_of(first["loc"])) from None


def path_of(place: tuple[int | str, ...]) -> str | None:
    """`("ticks", 0, 2)` as `ticks[0][2]`; None for the whole."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path or None


def reply(form: BaseModel, status: int = 200) -> Reply:
    """A form as a JSON reply."""
    return Reply(status, form.model_dump_json().encode(), headers={"cache-control": "no-store"})


class LoginForm(_Asked):
    """A one-time login token."""

    token: Annotated[str, Field(min_length=1, max_length=128)]


class Session(_Told):
    """An access token for `Authorization: Bearer`, its life in seconds, and whose it is."""

    access_token: str
    expires_in: int
    role: Literal["viewer", "admin"]
    user: str


class LampRow(_Told):
    """The lamp of one part of an agent; `since` in ms on the device's axis."""

    part: str
    state: Literal["ok", "warn", "fail"]
    since: int
    note: str


class DeviceRow(_Told):
    """One device as the hub sees it now; times in Unix ms of the hub, None while unknown."""

    id: str
    state: Literal["online", "stale", "offline"]
    last_seen: int | None
    added_at: int
    stream: bool
    watched: bool
    twin: bool
    resource: dict[str, str]
    lamps: list[LampRow]


class StoreRow(_Told):
    """How the hub's store is, since when (Unix ms), and why."""

    state: Literal["ok", "full", "broken"]
    since: int
    note: str


class DeviceList(_Told):
    """Every device, sorted by id. `clock_error` is how far off the hub's time may be in ms; None: not synchronised."""

    devices: list[DeviceRow]
    store: StoreRow
    hub_time: int
    clock_error: int | None


class DeviceForm(_Asked):
    """A device to be added."""

    id: DeviceId


class DeviceKey(_Told):
    """A new key of a device: shown once, kept only as a hash."""

    id: str
    key: str


LiveReading = tuple[
    Annotated[str, Field(max_length=256)],
    dict[str, str],
    Annotated[str, Field(max_length=64)],
    float | None,
    Annotated[str, Field(max_length=256)] | None,
]
LiveTick = tuple[Name, AxisMillis, list[LiveReading]]
LiveLamp = tuple[Name, Literal["ok", "warn", "fail"], AxisMillis, Annotated[str, Field(max_length=1024)]]


class LiveForm(_Said):
    """How a device is now: a heartbeat, and its latest ticks while it is watched. Times on its axis in ms."""

    axis: Name
    now: AxisMillis
    anchor: tuple[AxisMillis, AxisMillis, AxisMillis] | None = None
    ticks: Annotated[list[LiveTick], Field(max_length=512)] = []
    lamps: Annotated[list[LiveLamp], Field(max_length=64)] = []


class InstructionForm(_Asked):
    """An instruction to be signed and sent. It may run from `not_before` (now) and for `expires_in` seconds."""

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
    args: JsonObject = {}
    not_before: Millis | None = None
    expires_in: Annotated[float, Field(gt=0, le=30 * 86400)] = 3600.0


class InstructionRow(_Told):
    """An instruction and how far it came; times in Unix ms."""

    id: str
    device: str
    type: str
    args: dict[str, Any]
    state: Literal[
        "queued", "sent", "received", "running", "done", "failed", "refused", "expired", "unknown", "cancelled"
    ]
    code: str | None
    detail: str | None
    result: dict[str, Any] | None
    issued_by: str
    issued_at: int
    not_before: int
    expires_at: int
    updated_at: int


class InstructionList(_Told):
    """Instructions of one device, newest first."""

    instructions: list[InstructionRow]


class ConfigForm(_Asked):
    """The values of a device's next config document."""

    values: JsonObject


class ConfigRow(_Told):
    """A config document as the hub keeps it and how far the device came with it."""

    device: str
    version: int
    values: dict[str, Any]
    issued_by: str
    issued_at: int
    state: str
    detail: str | None


class TelemetryFilter(_Asked):
    """Comma-separated device ids and names of metrics; a name also means what is below it (`gpu` and `gpu.power`)."""

    device: str = ""
    name: str = ""


class EventFilter(_Asked):
    """Comma-separated device ids and types of events."""

    device: str = ""
    type: str = ""


class KeyForm(_Asked):
    """A key that a device made for itself: `edge_` and 256 random bits in URL-safe base64."""

    key: Annotated[str, Field(pattern=r"^edge_[A-Za-z0-9_-]{43}$")]


class ProblemForm(_Told):
    """Why a request was not done (RFC 9457); `code` is stable, further members depend on it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None


class Envelope(_Told):
    """A signed document: the signature is over the bytes of `body` with a domain prefix."""

    key_id: str
    body: str
    sig: str


class FrameResult(_Told):
    """How one frame was settled."""

    epoch: str
    seq: int
    status: Literal["stored", "duplicate", "thinned", "rejected"]
    code: str | None = None


class Receipt(_Told):
    """How each frame of a request was settled."""

    results: list[FrameResult]
    hub_time: int
