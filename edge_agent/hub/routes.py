"""The table: every path of the hub, who may ask for it, and what answers."""

from dataclasses import dataclass

from edge_agent.hub import forms
from edge_agent.hub.audit import Audit, Auditor
from edge_agent.hub.configs import Configs
from edge_agent.hub.devices import Devices
from edge_agent.hub.exchange import Handler
from edge_agent.hub.export import Exports, Order
from edge_agent.hub.exportlines import MEDIA
from edge_agent.hub.instructions import Instructions
from edge_agent.hub.live import Live
from edge_agent.hub.logins import Logins
from edge_agent.hub.metrics import Metrics
from edge_agent.hub.openapi import OpenApi
from edge_agent.hub.page import Page
from edge_agent.hub.parcels import FRAMES
from edge_agent.hub.query import Curves, History, Question
from edge_agent.hub.router import ADMIN, ANYONE, DEVICE, DEVICE_OR_ADMIN, DEVICE_OR_VIEWER, VIEWER, Route
from edge_agent.hub.series import Catalogue, OfDevice
from edge_agent.hub.streams import EVENT_STREAM, DeviceStreams
from edge_agent.hub.viewers import ViewerStreams

_API = "/api/v1"
_DEVICE = "/api/v1/devices/{id}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the table's rows call."""

    telemetry: Handler
    live: Live
    streams: DeviceStreams
    viewers: ViewerStreams
    configs: Configs
    instructions: Instructions
    devices: Devices
    logins: Logins
    catalogue: Catalogue
    history: History
    exports: Exports
    auditor: Auditor
    metrics: Metrics
    openapi: OpenApi
    page: Page


def table(parts: Parts) -> tuple[Route, ...]:
    """Every route."""
    return (*_of_devices(parts), *_of_viewers(parts), *_of_admins(parts), *_open(parts))


def _of_devices(parts: Parts) -> tuple[Route, ...]:
    return (
        Route("POST", f"{_API}/telemetry", DEVICE, parts.telemetry, "Store frames, or one batch",
              accepts=(FRAMES, forms.JSON), answer=forms.Receipt),
        Route("POST", f"{_DEVICE}/live", DEVICE, parts.live.show, "A heartbeat, and ticks while watched",
              body=forms.LiveForm, status=204),
        Route("GET", f"{_DEVICE}/stream", DEVICE, parts.streams.stream, "Words for a device",
              media=EVENT_STREAM),
        Route("POST", f"{_DEVICE}/key", DEVICE, parts.devices.change_key, "Change to a key that the device made",
              body=forms.KeyForm, status=204),
        Route("GET", f"{_DEVICE}/config", DEVICE_OR_ADMIN, parts.configs.get, "The newest config document",
              answer=forms.Envelope),
    )  # fmt: skip


def _of_viewers(parts: Parts) -> tuple[Route, ...]:
    return (
        Route("GET", f"{_API}/devices", VIEWER, parts.devices.listed, "Every device", answer=forms.DeviceList),
        Route("GET", _DEVICE, VIEWER, parts.devices.shown, "One device", answer=forms.DeviceRow),
        Route("GET", f"{_API}/series", VIEWER, parts.catalogue.series, "What a device has ever measured",
              query=OfDevice),
        Route("GET", f"{_API}/query", VIEWER, parts.history.query, "History", query=Question, answer=Curves),
        Route("GET", f"{_API}/export", VIEWER, parts.exports.export, "Every reading of a range, a line each",
              query=Order, media=MEDIA),
        Route("GET", f"{_API}/audit", DEVICE_OR_VIEWER, parts.auditor.audit, "Where every number is", query=OfDevice,
              answer=Audit),
        Route("GET", f"{_API}/telemetry/stream", VIEWER, parts.viewers.telemetry, "Live telemetry",
              query=forms.TelemetryFilter, media=EVENT_STREAM),
        Route("GET", f"{_API}/events/stream", VIEWER, parts.viewers.events, "What happens",
              query=forms.EventFilter, media=EVENT_STREAM),
        Route("POST", f"{_API}/auth/login", ANYONE, parts.logins.login, "Trade a one-time token for a session",
              body=forms.LoginForm, answer=forms.Session),
        Route("POST", f"{_API}/auth/refresh", ANYONE, parts.logins.refresh, "Trade the cookie for a session",
              answer=forms.Session),
        Route("POST", f"{_API}/auth/logout", ANYONE, parts.logins.logout, "End the session", status=204),
    )  # fmt: skip


def _of_admins(parts: Parts) -> tuple[Route, ...]:
    return (
        Route("POST", f"{_API}/devices", ADMIN, parts.devices.add, "Add a device, or give it its next key",
              body=forms.DeviceForm, answer=forms.DeviceKey, status=201),
        Route("POST", f"{_DEVICE}/instructions", ADMIN, parts.instructions.issue, "Instruct a device",
              body=forms.InstructionForm, answer=forms.InstructionRow, status=201),
        Route("GET", f"{_DEVICE}/instructions", ADMIN, parts.instructions.listed, "A device's instructions",
              answer=forms.InstructionList),
        Route("DELETE", f"{_DEVICE}/instructions/{{instruction}}", ADMIN, parts.instructions.cancel,
              "Cancel an instruction that was not taken yet", answer=forms.InstructionRow),
        Route("PUT", f"{_DEVICE}/config", ADMIN, parts.configs.put, "The next config of a device",
              body=forms.ConfigForm, answer=forms.ConfigRow),
    )  # fmt: skip


def _open(parts: Parts) -> tuple[Route, ...]:
    return (
        Route("GET", "/healthz", ANYONE, parts.metrics.live, "The loop turns", media="text/plain"),
        Route("GET", "/readyz", ANYONE, parts.metrics.ready, "The store answers", media="text/plain"),
        Route("GET", "/metrics", ANYONE, parts.metrics.show, "The hub's own numbers", media="text/plain"),
        Route("GET", "/openapi.json", ANYONE, parts.openapi.show, "This document"),
        Route("GET", "/", ANYONE, parts.page.index, "The page", media="text/html"),
        Route("GET", "/app.js", ANYONE, parts.page.script, "The page's script", media="text/javascript"),
    )  # fmt: skip
