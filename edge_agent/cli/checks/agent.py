"""The running agent: that it answers on its local port, that the port is its own, and which of its lamps are not ok."""

import errno
import socket
from collections.abc import Iterator

from edge_agent.cli.finding import Check, Finding, Patient

_ADDRESS = "127.0.0.1"


async def _look(patient: Patient) -> list[Finding]:
    local, running = patient.loaded.settings.local, patient.running
    if running is not None:
        return list(_lamps(patient, f"{_ADDRESS}:{local.port}"))
    if not local.enabled:
        return [Finding("ok", "the local endpoint is turned off", "[local]")]
    home = patient.home
    return [_port(local.port, "systemctl start edge-agent" if home is None else f"edge-agent up --dir {home}")]


def _lamps(patient: Patient, where: str) -> Iterator[Finding]:
    running, device = patient.running or {}, patient.loaded.settings.device.id
    is_named = patient.loaded.sources.origin(("device", "id")) != "system"
    if running.get("device") != device and (is_named or not patient.is_running):
        yield Finding(
            "fail",
            f"the agent there is {running.get('device')}, and this config is of {device}",
            where,
            "give each agent a port of its own: [local] port",
        )
        return
    yield Finding("ok", "the agent answers", where)
    for lamp in running.get("lamps", ()):
        if lamp["state"] in {"warn", "fail"}:
            yield Finding(lamp["state"], f"{lamp['part']}: {lamp['note']}", where, "`edge-agent status` tells more")


def _port(port: int, start: str) -> Finding:
    where = f"{_ADDRESS}:{port}"
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_ADDRESS, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Finding(
                    "fail", f"the port cannot be had: {error.strerror}", where, "choose another [local] port"
                )
            return Finding(
                "fail",
                "another program has the port",
                where,
                "choose another [local] port; `ss -ltnp` shows who has it",
            )
    return Finding("warn", "no agent is running; its port is free", where, f"start it: `{start}`")


CHECK = Check(80, _look)
