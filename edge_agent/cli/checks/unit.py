"""The systemd unit: installed, started, started at boot, and not restarted again and again."""

from collections.abc import Iterator

from edge_agent.cli.finding import Check, Finding, Patient

UNIT = "edge-agent.service"
"""The unit that comes with the agent."""

_ASKED = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result"
_ENABLED = frozenset({"enabled", "enabled-runtime", "static", "alias", "generated"})


async def _look(patient: Patient) -> list[Finding]:
    if not (patient.root / "run/systemd/system").is_dir():
        return [Finding("ok", "no systemd here: who starts the agent restarts it", "the service manager")]
    said = patient.command(("systemctl", "show", UNIT, f"--property={_ASKED}"))
    if said is None:
        return [Finding("warn", "systemctl does not answer", UNIT, "run this on the machine itself, or as root")]
    pairs = (line.partition("=") for line in said.splitlines())
    return list(_state({name: value for name, _, value in pairs}))


def _state(shown: dict[str, str]) -> Iterator[Finding]:
    if shown.get("LoadState") != "loaded":
        yield Finding("warn", "not installed", UNIT, f"copy systemd/{UNIT} to /etc/systemd/system")
        return
    active = f"{shown.get('ActiveState')} ({shown.get('SubState')})"
    match shown.get("ActiveState"):
        case "active":
            yield Finding("ok", active, UNIT)
        case "failed":
            why = f"{active}: {shown.get('Result')}"
            yield Finding("fail", why, UNIT, "`journalctl --unit edge-agent` says why; then `systemctl restart` it")
        case "activating" | "reloading" | "deactivating":
            yield Finding("warn", active, UNIT, "`journalctl --unit edge-agent` says what it waits for")
        case _:
            yield Finding("warn", active, UNIT, "`systemctl enable --now edge-agent`")
    if shown.get("UnitFileState") not in _ENABLED:
        yield Finding("warn", "does not start at boot", UNIT, "`systemctl enable edge-agent`")
    restarts = shown.get("NRestarts", "0")
    if restarts.isdecimal() and int(restarts):
        yield Finding("warn", f"was restarted {restarts} times", UNIT, "`journalctl --unit edge-agent` says why")


CHECK = Check(90, _look)
