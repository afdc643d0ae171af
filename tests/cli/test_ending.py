"""A command that is ended takes the programs beside it along, however silent they are and whatever ends it."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import anyio
import pytest

from edge_agent.agent.stopping import when_told_to_stop
from edge_agent.cli.ending import ended_with
from tests.agent.beside import HERE
from tests.cli.test_doctor import config
from tests.system.program import PATIENCE, ROOT, Site, free_port, started
from tests.system.until import until

SILENT = "import signal, sys; pipe = open(sys.argv[1], 'w'); print(flush=True, file=pipe); signal.pause()"
"""Says on a pipe of the test's that it began, holds that, and then neither writes nor looks at anything."""


@pytest.fixture
def heeded() -> Iterator[None]:
    """Programs begin with SIGINT and SIGHUP as in a terminal, also where these tests run behind `nohup` or `&`."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("sample", "--json"), signal.SIGINT),
        (("sample", "--json"), signal.SIGTERM),
        (("sample", "--once"), signal.SIGINT),
        (("sample", "--once"), signal.SIGHUP),
        (("doctor",), signal.SIGINT),
        (("doctor",), signal.SIGTERM),
        (("run",), signal.SIGHUP),
    ],
    ids=str,
)
def test_a_signal_that_ends_a_command_ends_its_silent_programs(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = json.dumps([*HERE, SILENT, str(pipe)])
    file = config(tmp_path, more=f'[collectors."jetson.tegrastats"]\nenabled = true\ncommand = {command}\n')
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    said = select.poll()
    said.register(reading, select.POLLIN)
    try:
        with started(tmp_path, "command", *words, "--config", str(file)) as program:
            assert said.poll(1000 * PATIENCE), "the silent program began"
            assert os.read(reading, 10) == b"\n"
            os.kill(program.pid, number)
            program.ends()
            assert said.poll(1000 * PATIENCE) == [(reading, select.POLLHUP)], "nobody holds its pipe any more"
            assert "Traceback" not in program.complained
    finally:
        os.close(reading)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_while_the_code_still_loads_ends_a_command_without_a_word(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "typer.py").write_text(f"open({str(pipe)!r}, 'w').close(); open({str(pipe)!r}).read()")
    begins = ("env", f"PYTHONPATH={tmp_path}")
    with started(tmp_path, "command", "sample", "--config", str(config(tmp_path)), before=begins) as program:
        pipe.read_text()
        os.kill(program.pid, signal.SIGINT)
        assert program.ends() == 128 + signal.SIGINT
        assert not program.complained


@pytest.mark.usefixtures("heeded")
def test_an_agent_and_a_hub_whose_terminal_was_closed_end_in_order(tmp_path: Path) -> None:
    site = Site(tmp_path, free_port(), free_port())
    site.configure()
    with site.hub() as hub, site.agent() as agent:
        os.kill(agent.pid, signal.SIGHUP)
        assert agent.ends() == 0, agent.complained
        until(lambda: [epoch["stored"] for epoch in site.epochs()] == [epoch["next"] for epoch in site.epochs()] != [])
        os.kill(hub.pid, signal.SIGHUP)
        assert hub.ends() == 0, hub.complained


@pytest.mark.usefixtures("heeded")
@pytest.mark.skipif(which("setsid") is None, reason="a program gets a terminal of its own by setsid")
def test_hub_and_agent_of_up_whose_terminal_was_closed_end_in_order_and_without_a_word(tmp_path: Path) -> None:
    terminal, its_side = os.openpty()
    places = ("--dir", str(tmp_path / "up"), "--port", str(free_port()), "--local-port", str(free_port()))
    with (tmp_path / "complaints").open("wb") as complaints:
        program = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "edge_agent", "up", *places],
            cwd=ROOT,
            stdin=its_side,
            stdout=its_side,
            stderr=complaints,
            env=os.environ | {"RUNTIME_DIRECTORY": str(tmp_path / "run")},
        )
    os.close(its_side)
    try:
        said = b""
        while b"all well" not in said:
            said += os.read(terminal, 1024)
        os.close(terminal)
        assert program.wait(PATIENCE) == 0, "what was sampled is stored"
    finally:
        program.kill()
        program.wait()
    assert (tmp_path / "complaints").read_text() == ""


def test_a_hangup_is_never_taken_for_haste_and_one_that_is_ignored_not_at_all() -> None:
    async def told(*numbers: signal.Signals) -> list[str]:
        heard: list[str] = []
        done = anyio.Event()
        when_told_to_stop(lambda: heard.append("stop"), again=lambda: heard.append("again"))
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, done.set)
        for number in (*numbers, signal.SIGUSR2):
            signal.raise_signal(number)
        await done.wait()
        return heard

    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert asyncio.run(told(signal.SIGHUP, signal.SIGHUP)) == ["stop"]
        assert asyncio.run(told(signal.SIGTERM, signal.SIGHUP)) == ["stop"]
        assert asyncio.run(told(signal.SIGTERM, signal.SIGTERM)) == ["stop", "again"]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert asyncio.run(told(signal.SIGHUP)) == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_is_taken_within_the_block_alone_and_one_that_is_ignored_never() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_with(None):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
