"""The daemons under test, started as an operator would, with their default settings wherever these are not varied."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.bench.place import Child, Place, ask, free_port, wait_until_it_serves

_COUNTED = ("-m", "tests.bench.profiled")


@dataclass(frozen=True, slots=True)
class HubProcess:
    """A hub that serves: its port, and each device's key file."""

    child: Child
    port: int
    folder: Path
    key_files: dict[str, Path]

    def key(self, device: str) -> str:
        """A device's key."""
        return self.key_files[device].read_text().strip()

    def audit(self, device: str) -> tuple[int, int]:
        """How many frames and how many readings of a device are stored."""
        said = ask(self.port, f"/api/v1/audit?device={quote(device)}", {"x-api-key": self.key(device)})
        telemetry = [epoch for epoch in said["epochs"] if epoch["lane"] == "telemetry"]
        return sum(epoch["stored"] for epoch in telemetry), sum(epoch["readings"] for epoch in telemetry)


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """An agent: its device, its local port, and its folder on tmpfs."""

    child: Child
    device: str
    port: int
    runtime: Path

    def status(self) -> dict[str, dict[str, int]]:
        """What it says of itself; asking costs it something."""
        said: dict[str, dict[str, int]] = ask(self.port, "/status", {})
        return said


def start_hub(place: Place, devices: Sequence[str], profile: Path | None = None) -> HubProcess:
    """Start a hub that knows these devices, on a new store; under a profiler when there is a file for it."""
    folder, port = place.folder("hub"), free_port()
    key_files = {device: folder / "keys" / device for device in devices}
    wishes = [part for device, file in key_files.items() for part in ("--provision", f"{device}={file}")]
    command = [*_profiling(profile), "-m", "edge_agent", "hub", "--folder", str(folder), "--port", str(port), *wishes]
    hub = HubProcess(place.start(*command), port, folder, key_files)
    wait_until_it_serves(hub.child, port)
    # Keys are written after the port opens, one after the other.
    last = key_files[devices[-1]]
    while not (last.exists() and last.read_text().endswith("\n")):
        wait_until_it_serves(hub.child, port)
    return hub


@dataclass(frozen=True, slots=True)
class Wish:
    """An agent to be started: what it reads, how often it seals, and where its state is."""

    device: str
    root: Path
    seal: float
    state: Path
    lines: str = ""


def start_agent(
    place: Place, hub: HubProcess, wish: Wish, settings: dict[str, str], profile: Path | None = None
) -> AgentProcess:
    """Start an agent that pushes to this hub; `settings` go into its environment."""
    runtime, port = place.memory / wish.state.name, free_port()
    file = wish.state / "agent.toml"
    file.write_text(
        f'[device]\nid = "{wish.device}"\n'
        f'[hub]\nurl = "http://127.0.0.1:{hub.port}"\nkey_file = "{hub.key_files[wish.device]}"\n'
        f'[state]\nfolder = "{wish.state / "state"}"\nruntime = "{runtime}"\n'
        f"[seal]\nevery = {wish.seal}\n[local]\nport = {port}\n{wish.lines}"
    )
    child = place.start(
        *_profiling(profile),
        "-m",
        "edge_agent",
        "run",
        "--config",
        str(file),
        "--root",
        str(wish.root),
        settings=settings,
    )
    return AgentProcess(child, wish.device, port, runtime)


def _profiling(file: Path | None) -> tuple[str, ...]:
    return () if file is None else (*_COUNTED, str(file))
