"""A command whose reader has had enough ends without a word, as Unix tools do; no other error is swallowed by that."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.cli.reader import ENDED
from tests.cli.test_doctor import config
from tests.cli.test_spool import sealed
from tests.system.program import ROOT

MACHINE = ("--root", str(Path(__file__).parents[1] / "machines/nano-jp4"))


def unread(words: Sequence[str], code: str = "from edge_agent.__main__ import main; main()") -> tuple[int, str]:
    """The exit code and the complaints of a command that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--json"),
        ("sample", "--once", *MACHINE),
        ("sample", "--json", *MACHINE),
        ("sample", "--json", "--once", *MACHINE),
        ("doctor",),
        ("doctor", "--json"),
        ("spool", "ls"),
        ("spool", "verify"),
    ],
    ids=" ".join,
)
def test_a_command_that_nobody_reads_ends_without_a_word(words: Sequence[str], tmp_path: Path) -> None:
    file = config(tmp_path)
    (tmp_path / "state/spool/hub").mkdir(parents=True)
    sealed(file, 1)
    assert unread([*words, "--config", str(file)]) == (ENDED, "")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("sample", "--help")], ids=" ".join)
def test_help_that_nobody_reads_ends_without_a_word(words: Sequence[str]) -> None:
    assert unread(words) == (ENDED, "")


@pytest.mark.parametrize(
    ("broken", "code", "said"),
    [
        ("print('x')", ENDED, ""),
        ("raise ExceptionGroup('two', [BrokenPipeError(32, 'x'), BrokenPipeError(32, 'x')])", ENDED, ""),
        ("raise ExceptionGroup('two', [BrokenPipeError(32, 'x'), ValueError('an error of ours')])", 1, "error of ours"),
        ("raise ValueError('an error of ours')", 1, "an error of ours"),
        ("sys.exit(3)", 3, ""),
        ("pass", 0, ""),
    ],
)
def test_an_error_of_another_kind_is_told_also_when_nobody_reads(broken: str, code: int, said: str) -> None:
    group = "import sys\nif sys.version_info < (3, 11):\n    from exceptiongroup import ExceptionGroup\n"
    program = f"{group}from edge_agent.cli.reader import until_nobody_reads\nwith until_nobody_reads():\n    {broken}\n"
    ended, complained = unread((), program)
    assert ended == code
    assert said in complained
    assert bool(complained) == bool(said)


def test_a_broken_pipe_elsewhere_is_an_error_while_somebody_reads() -> None:
    program = (
        "from edge_agent.cli.reader import until_nobody_reads\n"
        "with until_nobody_reads():\n    raise BrokenPipeError(32, 'of a socket')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, text=True, check=False)
    assert done.returncode == 1
    assert "of a socket" in done.stderr
