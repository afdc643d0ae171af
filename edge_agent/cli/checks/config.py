"""The config: which file it is, that the service can read it, and whether it names a hub.

`edge-agent up` gives its agent the hub and the key when it starts it, so its file names none.
"""

import os
import stat
from collections.abc import Iterator

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.config.load import DEFAULT_FILE
from edge_agent.model.failure import ConfigError


async def _look(patient: Patient) -> list[Finding]:
    return [*_file(patient), *_reach(patient)]


def _file(patient: Patient) -> Iterator[Finding]:
    file = patient.loaded.sources.file
    for warning in patient.loaded.warnings:
        yield Finding("warn", warning, "the environment", "correct its name, or take it away")
    if file is None:
        yield Finding("ok", f"no file {DEFAULT_FILE}: defaults and the environment hold")
        return
    found = file.stat()
    owner_only = not found.st_mode & (stat.S_IROTH | stat.S_IRGRP)
    if owner_only and found.st_uid == 0 == os.geteuid():
        yield Finding(
            "warn", "only root can read it, and the service does not run as root", str(file), f"chmod 644 {file}"
        )
    else:
        yield Finding("ok", "valid", str(file))
    running = patient.running
    if running is not None and running.get("config", {}).get("differs_on_disk"):
        yield Finding("warn", "the running agent has another one", str(file), "restart the agent")


def _reach(patient: Patient) -> Iterator[Finding]:
    if not isinstance(patient.reach, ConfigError):
        return
    wrong, home = str(patient.reach).splitlines(), patient.home
    if not patient.loaded.settings.hub.url and (patient.is_running or home is not None):
        wrong = [line for line in wrong if not line.startswith("hub.")]
        if patient.is_running:
            yield Finding("ok", "names no hub: the running agent was given one when it was started", "[hub]")
        else:
            yield Finding(
                "warn",
                "names no hub: `edge-agent up`, which made this folder, gives hub and key when it runs",
                "[hub]",
                f"`edge-agent up --dir {home}` starts both; to send to another hub, set url and key_file under [hub]",
            )
    for line in wrong:
        yield Finding("fail", line, "[hub]", patient.reach.hint or "see deploy/agent.toml for an example")


CHECK = Check(10, _look)
