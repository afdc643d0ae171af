"""The hub as a child process of `up`: started, asked for its address and keys, started again when it dies.

The child prints one JSON line once it serves (`edge-agent hub --json`). It is ended with SIGTERM and given time to
close its store. It dies with its parent even if that is killed: its standard input is a pipe that ends then. In a
session of its own it hears nothing of a terminal's Ctrl-C or end: the agent beside it still pushes to it at its stop.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import anyio
import orjson

from edge_agent.model.failure import DeviceError

_START_LIMIT = 30.0
_STOP_LIMIT = 10.0


class HubChild:
    """A hub that lives as long as its block; `run` starts it again when it ends by itself."""

    def __init__(self, folder: Path, port: int, device: str, key_file: Path) -> None:
        self._command = [
            *(sys.executable, "-m", "edge_agent", "hub", "--json", "--until-stdin-ends"),
            *("--folder", str(folder), "--port", str(port), "--provision", f"{device}={key_file}"),
        ]
        self.key_file = key_file
        self._child: Process | None = None
        self.address = self.login = self.public_key = self.key_id = ""

    async def __aenter__(self) -> "HubChild":  # noqa: PYI034 - there is no Self in the oldest Python that this runs on
        """Start it and wait until it serves; DeviceError when it ends before (its own words are on standard error)."""
        await self._start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End it."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_STOP_LIMIT):
                await child.wait()
            if child.returncode is None:
                child.kill()
                await child.wait()

    def kill(self) -> None:
        """Kill -9, as a power cut of the hub would."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()

    async def run(self) -> NoReturn:
        """Start it again each time it ends; DeviceError when it cannot be."""
        while True:
            assert self._child is not None, "the block was entered"
            await self._child.wait()
            await self._start()

    async def _start(self) -> None:
        self._child = child = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        assert child.stdout is not None, "its output is a pipe"
        with anyio.move_on_after(_START_LIMIT):
            line = await child.stdout.readline()
            if line:
                said = orjson.loads(line)
                self.address, self.login = said["address"], said["login"]
                self.public_key, self.key_id = said["public_key"], said["key_id"]
                return
            await child.wait()
            raise DeviceError("the hub ended before it served", hint="its own words are above")
        raise DeviceError(f"the hub did not serve within {_START_LIMIT:.0f} s", hint="see its log above")
