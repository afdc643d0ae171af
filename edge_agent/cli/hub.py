"""`edge-agent hub`: the hub as a daemon, and what its operator needs at a shell.

    edge-agent hub                 serve until it is told to stop
    edge-agent hub device ID       a new key for a device, shown once, with the lines for its config
    edge-agent hub token           a one-time login link
    edge-agent hub backup FILE     the whole hub in one file
    edge-agent hub restore FILE    the hub of that file, put back

All but the first and the last work beside a running hub, too. Parsed by the standard library, to start light.
"""

import argparse
import asyncio
import os
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import orjson

from edge_agent.agent.logs import configure_logs
from edge_agent.agent.stopping import when_told_to_stop
from edge_agent.cli.failure import tell
from edge_agent.cli.hubbackup import back_up, restore
from edge_agent.hub.folder import database_of
from edge_agent.hub.settings import Settings, load
from edge_agent.hub.wiring import Hub, serve
from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.offload import Threads
from edge_agent.model.failure import ConfigError, DeviceError, EdgeError

_TYPES = '["config", "echo", "flush"]'


def main(argv: list[str]) -> int:
    """Serve, or do the one thing that was asked; 2 when the settings are wrong, with nothing touched."""
    told = _parser().parse_args(argv)
    flags = {name: getattr(told, name) for name in ("folder", "host", "port") if hasattr(told, name)}
    configure_logs("info" if sys.stderr.isatty() or not told.json else "warning")
    try:
        settings = load(getattr(told, "config", None), flags)
        if told.verb == "device":
            asyncio.run(_inside(settings, lambda hub: _device(hub, settings, told.id, alone=told.end_old)))
        elif told.verb == "token":
            asyncio.run(_inside(settings, lambda hub: _token(hub, settings)))
        elif told.verb == "backup":
            back_up(settings, told.file, as_json=told.json)
        elif told.verb == "restore":
            restore(settings, told.file, replace=told.replace, as_json=told.json)
        else:
            asyncio.run(_serve(settings, told))
    except EdgeError as error:
        return tell(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/edge-agent/hub.toml")
    shared.add_argument("--folder", type=Path, metavar="DIR", help="where the store lives")
    shared.add_argument("--host", metavar="ADDRESS", help="where it listens")
    shared.add_argument("--port", type=int, metavar="N", help="where it listens")
    parser = argparse.ArgumentParser(
        prog="edge-agent hub",
        description="Ingest, instruction stream, storage and page: until SIGTERM, SIGINT or SIGHUP.",
        epilog="example: edge-agent hub --folder /var/lib/edge-hub --port 8480",
        parents=[shared],
    )
    parser.add_argument(
        "--provision", action="append", default=[], metavar="ID=FILE", help="write a key for this device if FILE is new"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON once it serves, with a login link")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input ends")
    verbs = parser.add_subparsers(dest="verb", metavar="[device ID | token | backup FILE | restore FILE]")
    device = verbs.add_parser(
        "device",
        help="a new key for a device",
        description="A new key for a device, shown once, with the lines for its config.",
        epilog="example: edge-agent hub device car-3 --folder /var/lib/edge-hub",
        parents=[shared],
    )
    device.add_argument("id", metavar="ID")
    device.add_argument(
        "--end-old",
        action="store_true",
        help="end the keys it had at once; otherwise they hold until the new one is used",
    )
    verbs.add_parser(
        "token",
        help="a one-time login link",
        description="A login link, good once for 15 minutes.",
        epilog="example: edge-agent hub token --folder /var/lib/edge-hub",
        parents=[shared],
    )
    _add_backups(verbs, shared)
    return parser


def _add_backups(verbs: Any, shared: argparse.ArgumentParser) -> None:
    backup = verbs.add_parser(
        "backup",
        help="the whole hub in one file",
        description="The whole hub in one file, its keys too, while it serves. The file appears once it is checked.",
        epilog="example: edge-agent hub backup /mnt/usb/hub-monday.sqlite --folder /var/lib/edge-hub",
        parents=[shared],
    )
    restore = verbs.add_parser(
        "restore",
        help="the hub of a backup, put back",
        description="Put the hub of a backup into the folder, while no hub serves from it. People log in again, and"
        " devices come back to the configs of the backup.",
        epilog="example: edge-agent hub restore /mnt/usb/hub-monday.sqlite --folder /var/lib/edge-hub",
        parents=[shared],
    )
    restore.add_argument("--replace", action="store_true", help="set the hub that is there aside, under another name")
    for verb in (backup, restore):
        verb.add_argument("file", type=Path, metavar="FILE")
        verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one line of JSON")


async def _serve(settings: Settings, told: argparse.Namespace) -> None:
    serving = anyio.CancelScope()
    when_told_to_stop(serving.cancel)
    if told.until_stdin_ends:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), _end, loop, serving)

    async def announce(hub: Hub, address: str) -> None:
        for wish in told.provision:
            await _provision(hub, wish)
        login = await _link(hub, address)
        if told.json:
            said = {"address": address, "login": login, **_signing(hub)}
            sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()
        elif sys.stdout.isatty():
            print(f"hub      {address}\nlogin    {login} (once, within 15 minutes)", flush=True)
        else:
            print(f"hub      {address}\nlogin    run `edge-agent hub token` for a link", flush=True)

    with serving:
        await serve(settings, SystemClock(), system_chance(), Threads(), announce)


def _end(loop: asyncio.AbstractEventLoop, serving: anyio.CancelScope) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        serving.cancel()


async def _provision(hub: Hub, wish: str) -> None:
    device, _, name = wish.partition("=")
    if not name:
        raise ConfigError(f"--provision {wish}: a device and a file belong here", hint="write ID=FILE")
    if not os.path.exists(name):  # noqa: ASYNC240, PTH110 - once, before it serves
        _write_key(Path(name), await hub.accounts.add_device(device))


def _write_key(file: Path, key: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(key + "\n")
    except OSError as error:
        raise DeviceError(f"{file}: cannot be written: {error.strerror}", hint="name another file") from None


async def _inside(settings: Settings, work: Callable[[Hub], Awaitable[None]]) -> None:
    """Do one thing with an open hub that does not serve."""
    database = database_of(settings.folder)
    hub = Hub(settings, SystemClock(), system_chance(), Threads(), database)
    await hub.open()
    try:
        await work(hub)
    finally:
        await hub.close()


async def _device(hub: Hub, settings: Settings, device: str, *, alone: bool) -> None:
    key = await hub.accounts.add_device(device, alone=alone)
    signing = _signing(hub)
    print(f"# {device}'s key, shown this once: put it into a file of mode 0600 on the device\n{key}\n")
    print(f'# and into its agent.toml\n[device]\nid = "{device}"\n\n[hub]')
    print("# The address on which the hub listens: from elsewhere, name this machine or the proxy before it.")
    print(f'url = "{settings.address_at(settings.port)}"')
    print('key_file = "/etc/edge-agent/hub_key"\n')
    print(f'[trust.{signing["key_id"]}]\npublic = "{signing["public_key"]}"\ntypes = {_TYPES}')


async def _token(hub: Hub, settings: Settings) -> None:
    print(await _link(hub, settings.address_at(settings.port)))


async def _link(hub: Hub, address: str) -> str:
    # Behind the number sign, so that the token reaches no server log.
    return f"{address}/#token={await hub.logins.invite('admin', 'admin')}"


def _signing(hub: Hub) -> dict[str, Any]:
    return {"key_id": hub.keyring.key_id, "public_key": b64encode(hub.keyring.public).decode()}
