"""A bad network between the real agent and the real hub: loss, black hole, reset, a slow line, an unplugged cable.

Each is on its own host (`real_net`), and the fault comes and goes while data flows. A round: some batches arrive, the
fault stands for a while, it is healed, and what was sealed meanwhile arrives. A part is one fault, several rounds in
one life of agent and hub; the last one mixes them. In the end the reckoning of `real` holds: nothing missing or twice.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.proofs.real import PATIENCE, camp, said, scratch
from tests.proofs.real_net import FAULTS, HUB_HOST, two_hosts, why_no_hosts
from tests.proofs.row import Findings, Row, fewer_than, lacking, total, tried
from tests.system.until import until

_PARTS = (*FAULTS, "all")
_ROUNDS = 6
_LEAST, _MOST = 1.5, 5.0
"""Seconds for which a fault stands."""


def prove(part: int, rounds: int = _ROUNDS) -> Findings:
    """One part: so many rounds of one fault, or of all in turn."""
    chance = random.Random(part)
    faults = [FAULTS[number % len(FAULTS)] if _PARTS[part] == "all" else _PARTS[part] for number in range(rounds)]
    wrong: list[str] = []

    def expect(what: str, condition: Callable[[], object]) -> None:
        try:
            until(lambda: condition() or not agent.lives, within=PATIENCE)
        except AssertionError as error:
            wrong.append(f"not seen: {what}: {error}")
        if not agent.lives:
            wrong.append(f"the agent ended before: {what}: {said(agent)}")

    with scratch() as folder, two_hosts() as net:
        site = camp(folder, 1)
        device = site.devices[0]
        device.hub_host, device.hub_door = HUB_HOST, net.at_hub
        device.configure()
        with site.hub(before=net.entering_hub, more=("--config", str(_hub_config(folder)))) as hub:
            with device.alive(net.entering_device) as agent:
                for number, fault in enumerate(faults):
                    expect("it pushes", lambda: device.audit() and device.is_all_but_quiet())
                    net.break_by(fault, device.hub_port)
                    time.sleep(chance.uniform(_LEAST, _MOST))
                    expect(f"it samples on in round {number}, {fault}", device.beaten(1))
                    net.heal()
                    expect(f"all arrives after round {number}, {fault}", device.is_all_but_quiet)
                if agent.lives and (code := agent.stop(PATIENCE)) != 0:
                    wrong.append(f"the agent stopped with {code}: {said(agent)}")
            reckoning = device.reckon()
            if not hub.lives:
                wrong.append(f"the hub ended: {said(hub)}")
    violations = [f"{_PARTS[part]}: {one}" for one in (*wrong, *reckoning.violations)]
    if reckoning.lost:
        violations.append(f"{_PARTS[part]}: {reckoning.lost} batches were declared lost")
    return Findings(rounds, violations, {"beats": float(reckoning.given), "missed": float(reckoning.missed)})


def _hub_config(folder: Path) -> Path:
    file = folder / "hub.toml"
    file.write_text(f'host = "{HUB_HOST}"\nplain_http = true\n')
    return file


def _tell(parts: Sequence[Findings]) -> str:
    ticks = f"{total(parts, 'beats'):,.0f} ticks, {total(parts, 'missed'):,.0f} of them declared missed"
    return f"{tried(parts)} faults, {ticks}: 0 missing, 0 doubled"


ROW = Row(
    name="netns",
    promise="a bad network loses nothing and doubles nothing",
    least="two network namespaces: 30 % loss, black hole, reset, rate limit, link down: 0 missing, 0 doubled",
    parts=len(_PARTS),
    prove=prove,
    tell=_tell,
    unmet=fewer_than(len(_PARTS) * _ROUNDS),
    lacks=lambda: lacking("ip", "tc", "nft", "unshare", "nsenter") or why_no_hosts(),
    side_by_side=3,
)
