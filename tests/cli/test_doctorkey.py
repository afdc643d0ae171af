"""The doctor and the key: what is wrong with it is told by itself, and it is never shown."""

import asyncio
from pathlib import Path

from edge_agent.cli.finding import Finding
from tests.cli.test_doctor import CHECKS, bad, call, config, hub, looked, patient
from tests.link.served import serving


def test_a_key_that_others_may_read_is_told_and_never_shown(tmp_path: Path) -> None:
    file = config(tmp_path)
    key = (tmp_path / "hub_key").read_text()
    assert bad(looked(CHECKS["key"], patient(file))) == []
    (tmp_path / "hub_key").chmod(0o644)
    (found,) = looked(CHECKS["key"], patient(file))
    assert (found.state, "chmod 600" in found.fix) == ("fail", True)
    code, said = call("--config", str(file), "--json")
    assert code == 1
    assert key not in said


def test_without_a_key_nothing_is_asked_and_the_network_is_not_blamed(tmp_path: Path) -> None:
    async def scene() -> list[Finding]:
        async with serving(hub()) as port:
            file = config(tmp_path, url=f"http://127.0.0.1:{port}")
            (tmp_path / "hub_key").chmod(0o644)
            return list(await CHECKS["hub"].look(patient(file)))

    found = asyncio.run(scene())
    assert bad(found) == []
    assert "connections" in found[-1].what
