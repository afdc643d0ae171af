"""A sensor whose driver does not return, in a real agent: all else is sampled and delivered, and the exit waits not."""

import os
from itertools import pairwise
from pathlib import Path

from tests.system.program import Site, free_port
from tests.system.until import until

TIMEOUT = 0.5
ENOUGH = 8
"""Beats of another collector, a second apart: twice the four seconds that such a driver may well take."""


def test_a_sensor_that_does_not_return_delays_no_other_and_does_not_hold_the_exit(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    site = Site(tmp_path, free_port(), free_port())
    site.configure(f'[collectors."tests.system.silent"]\npipe = "{pipe}"\ntimeout = {TIMEOUT}\n')
    with site.hub() as hub, site.agent() as agent:
        until(lambda: site.lamp("collector.tests.system.silent").get("state") == "fail")
        until(lambda: sum(epoch["stored"] for epoch in site.epochs()) >= ENOUGH)
        lamps = {lamp["part"]: lamp["state"] for lamp in site.status()["lamps"]}
        assert {part for part, state in lamps.items() if part.startswith("collector.") and state != "ok"} == {
            "collector.tests.system.silent"
        }
        assert agent.stop() == 0, "nobody ever wrote into the pipe"
        hub.stop()
    instants = site.instants("load")
    assert max(after - before for before, after in pairwise(instants)) < 3 * 1000
    assert not site.instants("tests.system.silent")
