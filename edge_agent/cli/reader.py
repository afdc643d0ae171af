"""Who reads what a command prints, and may have had enough: `edge-agent check | head -1`.

A Unix tool whose reader went away is ended by SIGPIPE, without a word. Python ignores that signal (a broken socket must
not end a daemon) and raises BrokenPipeError wherever something is printed: out of a group of tasks, as the exit of a
library that took it for its own, or at the very last, when what is left is written. All of these become one end: no
words, and the exit code that a shell gives a tool which SIGPIPE ended. Sockets break with the same error, so standard
output itself is asked whether anybody reads it. What is meant to happen at the exit happens.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

ENDED = 128 + signal.SIGPIPE
"""What a shell calls a tool that SIGPIPE ended."""


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Run a command: SystemExit with `ENDED` when it broke off because its reader is gone."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit, BaseExceptionGroup) as error:
        if not (_is_exit(error) or (_is_of_a_pipe(error) and _is_unread())):
            raise
        let_go()
        raise SystemExit(ENDED) from None


def _is_exit(error: BaseException) -> bool:
    """Whether a library that prints ended the command for want of a reader; it may have let go of the pipe already."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)


def _is_of_a_pipe(error: BaseException) -> bool:
    """Whether an error is a broken pipe, or holds nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_a_pipe(one) for one in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _is_unread() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    asked = select.poll()
    try:
        asked.register(sys.__stdout__.fileno() if sys.__stdout__ is not None else -1, 0)
        return any(state & select.POLLERR for _file, state in asked.poll(0))
    except (OSError, ValueError):
        return False


def let_go() -> None:
    """What is still to be written to standard output goes nowhere: the interpreter writes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
