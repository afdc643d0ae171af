"""The doctor finds what is wrong, says where and what to do, and finds nothing on a device that is well."""

import asyncio
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from typer.testing import CliRunner

from edge_agent.agent.machine import real_ports
from edge_agent.cli.app import app
from edge_agent.cli.checks.runtime import CHECK as RUNTIME
from edge_agent.cli.checks.unit import CHECK as UNIT
from edge_agent.cli.doctor import examine, shelf
from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.places import kind_of
from edge_agent.cli.status import clock_line
from edge_agent.config.load import load
from edge_agent.config.reach import reach_of
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.disk import SystemDisk
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.failure import ConfigError
from edge_agent.model.ports import Space, WallError
from edge_agent.wire.headers import HUB_TIME
from tests.cli.test_spool import sealed
from tests.link.served import Serve, serving
from tests.system.program import Site, free_port
from tests.system.until import until

DEVICE = "car-3"
CHECKS = dict(shelf())
STAMP = {HUB_TIME: "1800000000000;err=20"}


def config(folder: Path, *, url: str = "http://127.0.0.1:9", port: int = 0, more: str = "") -> Path:
    """A config, with a key, of a device whose state is in a folder of its own."""
    key, file = folder / "hub_key", folder / "agent.toml"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(16))
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    file.write_text(
        f'[device]\nid = "{DEVICE}"\n[hub]\nurl = "{url}"\nkey_file = "{key}"\n[state]\nfolder = "{folder / "state"}"\n'
        f"[local]\nport = {port or free_port()}\n[spool]\nmin_free_bytes = 0\nmin_free_inodes = 0\n{more}"
    )
    file.chmod(0o644)
    return file


def silent(_words: Sequence[str]) -> None:
    """A machine without commands."""


def patient(file: Path, **other: Any) -> Patient:
    """This machine with that config, without systemd and without a running agent."""
    loaded, ports = load(file, {}), real_ports()
    try:
        reach: Any = reach_of(loaded)
    except ConfigError as error:
        reach = error
    root = file.parent / "root"
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").write_text(Path("/proc/self/mountinfo").read_text())
    time = Timekeeper(ports.clock, ask_kernel=False)
    made = Patient(loaded, reach, ports, root, running=None, time=time, command=silent)
    return replace(made, **other)


def looked(check: Check, at: Patient) -> list[Finding]:
    """What one check finds."""

    async def scene() -> list[Finding]:
        return list(await check.look(at))

    return asyncio.run(scene())


def bad(findings: Sequence[Finding]) -> list[Finding]:
    """What is not ok; each says what to do."""
    found = [finding for finding in findings if finding.state != "ok"]
    assert all(finding.fix for finding in found), found
    return found


def call(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *words])
    return result.exit_code, result.output


# The hub.


def hub(health: int = 200, audit: int = 200, stamp: Mapping[str, str] = STAMP) -> Serve:
    """A hub that answers so."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        status = {"/healthz": health, "/api/v1/audit": audit}.get(request.path, 404)
        return web.Response(status=status, headers=stamp)

    return serve


def asked(tmp_path: Path, serve: Serve, path: str = "") -> list[Finding]:
    """What the check of the hub finds before such a server."""

    async def scene() -> list[Finding]:
        async with serving(serve) as port:
            return list(await CHECKS["hub"].look(patient(config(tmp_path, url=f"http://127.0.0.1:{port}{path}"))))

    return asyncio.run(scene())


def test_each_step_to_a_hub_that_is_well_is_told(tmp_path: Path) -> None:
    found = asked(tmp_path, hub())
    assert bad(found) == []
    said = [finding.what for finding in found]
    assert [word for line, word in zip(said, ("name", "connections", "answers", "key"), strict=True) if word in line]
    assert DEVICE in said[-1]


@pytest.mark.parametrize(
    ("status", "said"), [(401, "does not know the key"), (403, f"not {DEVICE}'s"), (503, "answers 503")]
)
def test_a_key_that_the_hub_does_not_take_is_told(tmp_path: Path, status: int, said: str) -> None:
    (found,) = bad(asked(tmp_path, hub(audit=status)))
    assert said in found.what


def test_a_portal_is_not_taken_for_a_hub_and_not_asked_further(tmp_path: Path) -> None:
    paths = []

    async def portal(request: web.BaseRequest) -> web.StreamResponse:
        paths.append(request.path)
        return web.Response(text="<html>log in\x1b[2J", content_type="text/html")

    (found,) = bad(asked(tmp_path, portal))
    assert "not a hub (200, text/html" in found.what
    assert found.state == "fail"
    assert paths == ["/healthz"]


def test_a_closed_door_and_a_name_that_nobody_has_are_told_apart(tmp_path: Path) -> None:
    (closed,) = bad(looked(CHECKS["hub"], patient(config(tmp_path, url=f"http://127.0.0.1:{free_port()}"))))
    assert "no connection" in closed.what
    assert "refused" in closed.what
    (nameless,) = looked(CHECKS["hub"], patient(config(tmp_path, url="https://hub.invalid")))
    assert (nameless.state, nameless.where) == ("fail", "hub.invalid")
    assert "does not resolve" in nameless.what


def test_a_proxy_is_looked_at_in_the_hubs_place_and_its_password_is_not_told(tmp_path: Path) -> None:
    proxy = f'[hub.link]\nproxy = "http://me:hunter2@127.0.0.1:{free_port()}"\n'
    found = looked(CHECKS["hub"], patient(config(tmp_path, url="https://hub.invalid", more=proxy)))
    assert "no connection to the proxy" in found[-1].what
    none = patient(config(tmp_path, more='[hub.link]\nproxy = "http://me:hunter2@127.0.0.1:99999"\n'))
    (no_address,) = bad(looked(CHECKS["hub"], none))
    assert (no_address.state, no_address.where) == ("fail", "[hub.link] proxy")
    assert "hunter2" not in str((found, no_address))


# The clock.


def test_an_agent_of_an_earlier_version_does_not_tell_its_clock(tmp_path: Path) -> None:
    running = {"device": DEVICE, "lamps": [], "clock": (clock := {"axis": "x.0", "now": 5, "error_ms": None})}
    found = looked(CHECKS["clock"], replace(patient(config(tmp_path)), running=running))
    assert [one.what for one in bad(found) if one.where == "the running agent"] == [clock_line(clock)]


def test_a_wall_clock_that_the_hub_contradicts_is_told_with_how_much(tmp_path: Path) -> None:
    async def scene() -> list[Finding]:
        async with serving(hub()) as port:
            at = patient(config(tmp_path, url=f"http://127.0.0.1:{port}"))
            await CHECKS["hub"].look(at)
            return list(await CHECKS["clock"].look(at))

    (found,) = [finding for finding in asyncio.run(scene()) if finding.where == "the hub"]
    off = (real_ports().clock.wall() - 1_800_000_000_000) / 1000
    assert found.state == "warn"
    told = float(found.what.partition(" s ")[0].rpartition(" ")[2].replace(",", ""))
    assert abs(told - abs(off)) < 30
    assert ("behind" if off < 0 else "ahead of") in found.what


def test_a_hub_that_does_not_know_the_time_is_told(tmp_path: Path) -> None:
    async def scene() -> list[Finding]:
        async with serving(hub(stamp={HUB_TIME: "1800000000000;unsync"})) as port:
            at = patient(config(tmp_path, url=f"http://127.0.0.1:{port}"))
            await CHECKS["hub"].look(at)
            return list(await CHECKS["clock"].look(at))

    assert "not synchronised" in next(one.what for one in asyncio.run(scene()) if one.where == "the hub")


def test_what_the_kernel_says_is_told(tmp_path: Path) -> None:
    at = patient(config(tmp_path))
    for error, state in ((None, "warn"), (120, "ok")):
        (found,) = looked(CHECKS["clock"], replace(at, ports=replace(at.ports, clock=Told(error))))
        assert (found.state, found.where) == (state, "the kernel")


class Told(SystemClock):
    """A clock whose kernel says this."""

    def __init__(self, error: int | None) -> None:
        super().__init__()
        self._said = error

    def wall_error(self) -> WallError | None:
        return None if self._said is None else WallError(self._said, self.now())


# The state folder, the spool, the key, the config.


def test_too_little_room_fails_and_little_room_warns(tmp_path: Path) -> None:
    at = patient(config(tmp_path, more="").rename(tmp_path / "other.toml"))
    spool = replace(at.loaded.settings.spool, min_free_bytes=1000, min_free_inodes=10)
    loaded = replace(at.loaded, settings=at.loaded.settings.model_copy(update={"spool": spool}))
    for free, states in ((Space(999, 9), ["fail", "fail"]), (Space(1999, 19), ["warn", "warn"]), (Space(2000, 20), [])):
        disk = Roomy(free)
        found = bad(looked(CHECKS["state"], replace(at, loaded=loaded, ports=replace(at.ports, disk=disk))))
        assert [finding.state for finding in found] == states


class Roomy(SystemDisk):
    """A disk with so much room."""

    def __init__(self, free: Space) -> None:
        self._free = free

    def space(self, _folder: Path) -> Space:
        return self._free


def test_a_state_folder_below_a_file_is_told(tmp_path: Path) -> None:
    at = patient(config(tmp_path))
    (tmp_path / "file").write_text("")
    state = at.loaded.settings.state.model_copy(update={"folder": tmp_path / "file/state"})
    loaded = replace(at.loaded, settings=at.loaded.settings.model_copy(update={"state": state}))
    found = bad(looked(CHECKS["state"], replace(at, loaded=loaded)))
    assert [finding.state for finding in found] == ["fail"]
    assert "is not a folder" in found[0].what


def test_a_damaged_buffer_a_strange_file_and_dead_letters_are_told(tmp_path: Path) -> None:
    at = patient(config(tmp_path))
    folder = tmp_path / "state/spool/hub"
    assert bad(looked(CHECKS["spool"], at)) == []
    for path in ("telemetry/notes.txt", "dead/one.frame", "quarantine/two"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    sealed(tmp_path / "agent.toml", 3)
    (segment,) = (folder / "telemetry").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 255
    segment.write_bytes(data)
    found = bad(looked(CHECKS["spool"], at))
    said = " ".join(finding.what + finding.where for finding in found)
    for word in ("notes.txt", "refused for ever", "could not be read", "damaged; 1 batches are gone"):
        assert word in said
    before = sorted(path.name for path in folder.rglob("*"))
    looked(CHECKS["spool"], at)
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_config_that_is_wrong_is_exit_2_in_both_forms(tmp_path: Path) -> None:
    file = config(tmp_path, more="colour = 3\n")
    code, said = call("--config", str(file), "--json")
    (found,) = orjson.loads(said)["findings"]
    assert (code, found["check"], found["state"]) == (2, "config", "fail")
    assert "colour" in found["what"]
    code, said = call("--config", str(file))
    assert (code, "colour" in said, "1 wrong" in said) == (2, True, True)


def test_a_config_without_a_hub_is_exit_2_and_all_else_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[state]\nfolder = "{tmp_path}"\n[local]\nport = {free_port()}\n')
    code, said = call("--config", str(file), "--json")
    checks = {found["check"] for found in orjson.loads(said)["findings"]}
    assert code == 2
    assert {"config", "state", "spool", "runtime", "clock", "agent", "unit"} <= checks


# The runtime folder, the port, the unit.


def test_a_runtime_folder_on_flash_is_told(tmp_path: Path) -> None:
    at = patient(config(tmp_path, more=""))
    mounts = at.root / "proc/self/mountinfo"
    for kind, state in (("tmpfs", "ok"), ("ext4", "warn"), ("overlay", "warn")):
        mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / /dev/shm rw shared:1 - {kind} none rw\n")
        (found,) = looked(RUNTIME, at)
        assert found.state == state
    assert "flash" in found.what


def test_the_kind_of_a_place_is_that_of_the_last_mount_above_it() -> None:
    mounts = (
        "1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /run rw master:3 - tmpfs b rw\n"
        "3 2 0:3 / /run/a\\040b rw - xfs c rw\n4 2 0:4 / /run rw - ramfs d rw\nnonsense\n"
    )
    assert [kind_of(Path(path), mounts) for path in ("/", "/runner", "/run/x", "/run/a b/c")] == [
        "ext4",
        "ext4",
        "ramfs",
        "xfs",
    ]
    assert kind_of(Path("/"), "") == ""


def test_a_port_that_another_program_has_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = patient(config(tmp_path, port=taken.getsockname()[1]))
        (found,) = looked(CHECKS["agent"], at)
    assert (found.state, "another program" in found.what) == ("fail", True)


def test_the_lamps_of_the_running_agent_are_told_and_another_devices_agent_is_named(tmp_path: Path) -> None:
    at = patient(config(tmp_path))
    lamps = [{"part": "hub", "state": "fail", "note": "no line"}, {"part": "spool", "state": "ok", "note": ""}]
    (found,) = bad(looked(CHECKS["agent"], replace(at, running={"device": DEVICE, "lamps": lamps})))
    assert (found.state, found.what) == ("fail", "hub: no line")
    (other,) = bad(looked(CHECKS["agent"], replace(at, running={"device": "car-4", "lamps": []})))
    assert "car-4" in other.what


@pytest.mark.parametrize(
    ("shown", "states"),
    [
        ("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=0", []),
        ("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=disabled\nNRestarts=7", ["warn"] * 2),
        ("LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\nResult=watchdog", ["fail"]),
        ("LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=enabled", ["warn"]),
        ("LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled", ["warn"]),
        ("LoadState=not-found\nActiveState=inactive", ["warn"]),
        ("", ["warn"]),
        (None, ["warn"]),
    ],
)
def test_the_state_of_the_unit_is_told(tmp_path: Path, shown: str | None, states: list[str]) -> None:
    at = patient(config(tmp_path), command=lambda _words: shown)
    assert bad(looked(UNIT, at)) == [], "without systemd there is none"
    (at.root / "run/systemd/system").mkdir(parents=True)
    assert [finding.state for finding in bad(looked(UNIT, at))] == states


# All of it.


def test_every_check_has_a_rank_of_its_own_and_the_shelf_is_in_their_order() -> None:
    ranks = [check.rank for _, check in shelf()]
    assert ranks == sorted(set(ranks))
    assert shelf()[0][0] == "config"


def test_a_check_that_the_machine_does_not_let_look_says_so(tmp_path: Path) -> None:
    at = patient(config(tmp_path))
    (at.root / "proc/self/mountinfo").unlink()
    found = asyncio.run(examine(at))
    (told,) = [finding for name, finding in found if name == "runtime"]
    assert told.state == "warn"
    assert "cannot be looked at" in told.what


def test_a_device_that_is_well_is_exit_0(tmp_path: Path) -> None:
    site = Site(tmp_path, free_port(), free_port())
    site.configure("[spool]\nmin_free_bytes = 0\nmin_free_inodes = 0\n")
    with site.hub(), site.agent():
        until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= 1)
        until(lambda: all(lamp["state"] == "ok" for lamp in site.status().get("lamps", ({"state": "no"},))))
        code, said = call("--config", str(site.config), "--json")
        found = orjson.loads(said)["findings"]
        assert code == 0, said
        assert [one for one in found if one["state"] == "fail"] == []
        whats = {one["check"]: [line["what"] for line in found if line["check"] == one["check"]] for one in found}
        assert any("knows the key" in what for what in whats["hub"])
        assert "the agent answers" in whats["agent"]
        assert any("true time" in what for what in whats["clock"])
        code, said = call("--config", str(site.config))
        assert (code, "fail" in said.split()) == (0, False)
