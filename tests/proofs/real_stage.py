"""A stage for wrong clocks: a hub that comes and goes, a device under a service manager, and who looks at both."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.proofs.real import PATIENCE, Camp, Device, said, wait_until_it_serves
from tests.proofs.real_time import HUB_ERROR, Account, Manager, wall
from tests.system.program import ROOT, Program, ask
from tests.system.until import until

_SIGNS = re.compile(r"^WatchdogSec=(\d+)$", re.MULTILINE)


@dataclass
class Stage:
    """A hub that comes and goes, a device, and who looks at it."""

    site: Camp
    manager: Manager
    account: Account = field(default_factory=Account)
    in_haste: bool = False
    """No life waits for the next sign of life that its watchdog gets."""
    hub: Program | None = None
    hubs: int = 0

    @property
    def device(self) -> Device:
        return self.site.devices[0]

    def let_hub_come(self) -> Program:
        """Start the hub, and wait until it serves."""
        self.hubs += 1
        config = self.site.folder / "hub.toml"
        config.write_text(f"clock_error = {HUB_ERROR}\n")
        self.hub = self.site.start_hub(f"hub-{self.hubs}", more=("--config", str(config)))
        wait_until_it_serves(self.hub)
        return self.hub

    def let_hub_go(self) -> None:
        """Stop the hub."""
        if self.hub is not None:
            self.hub.close()
        self.hub = None

    @contextmanager
    def life(self, *before: str) -> Iterator[Program]:
        """A life of the agent under a service manager, to its end in peace."""
        began = time.monotonic()
        told = ("env", f"NOTIFY_SOCKET={self.manager.address}")
        with self.device.alive((*before, *told)) as agent:
            yield agent
            if agent.lives and not self.in_haste:
                self.expect("the watchdog hears of it", agent, self._sign())
            if not agent.lives:
                self.account.wrong.append(f"the agent ended by itself: {said(agent)}")
            elif (code := agent.stop(PATIENCE)) != 0:
                self.account.wrong.append(f"the agent stopped with {code}: {said(agent)}")
            silence = self.manager.longest_silence(began, time.monotonic())
        if silence > watchdog_seconds():
            self.account.wrong.append(f"the watchdog heard nothing for {silence:.0f} s, and would have restarted it")

    def expect(self, what: str, agent: Program, condition: Callable[[], object]) -> None:
        """Wait until it is so."""
        try:
            until(lambda: condition() or not agent.lives, within=PATIENCE)
        except AssertionError as error:
            self.account.wrong.append(f"not seen: {what}: {error}")

    def ask_for_the_time(self, when: str) -> dict[str, Any]:
        """What the agent says of its clock; its true time is compared with the true one."""
        before = wall()
        answer = ask(self.device.local_port, "/status")
        after = wall()
        if answer is None or answer[0] != 200:
            self.account.wrong.append(f"{when}: the agent does not answer")
            return {}
        clock: dict[str, Any] = answer[1]["clock"]
        told, error = clock["true_time"], clock["error_ms"]
        if told is None or error is None:
            self.account.wrong.append(f"{when}: the agent does not know the true time: {clock}")
        elif not before - error <= told <= after + error:
            self.account.wrong.append(f"{when}: the agent says {told} ± {error}, it was in [{before}, {after}]")
        return clock

    def _sign(self) -> Callable[[], object]:
        """A condition: a sign of life that is not there yet."""
        known = len(self.manager.signs)
        return lambda: len(self.manager.signs) > known


def watchdog_seconds() -> int:
    """After how many seconds of silence the unit has the agent restarted."""
    found = _SIGNS.search((ROOT / "systemd/edge-agent.service").read_text())
    assert found is not None, "the unit has a watchdog"
    return int(found[1])
