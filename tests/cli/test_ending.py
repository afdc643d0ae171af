"""A command that is ended takes the programs beside it along, however silent they are and whatever ends it."""

import json
import os
import select
import signal
from pathlib import Path

import pytest

from edge_agent.cli.ending import ended_with
from tests.agent.beside import HERE
from tests.cli.test_doctor import config
from tests.system.program import PATIENCE, started

SILENT = "import signal, sys; pipe = open(sys.argv[1], 'w'); print(flush=True, file=pipe); signal.pause()"
"""Says on a pipe of the test's that it began, holds that, and then neither writes nor looks at anything."""


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("sample", "--json"), signal.SIGTERM),
        (("sample", "--once"), signal.SIGHUP),
        (("doctor",), signal.SIGTERM),
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
    finally:
        os.close(reading)


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
