"""How a command ends that has programs beside it (`agent.children`): they are ended first, whatever ends the command.

A signal that is not taken ends a process on the spot, and a program that is silent and looks at no pipe would stay. So
SIGTERM, and SIGHUP of a terminal that was closed, are taken while the block runs: the programs are ended, and then the
signal does what it does. One that somebody else has taken, or that is to be ignored (`nohup`), is left as it is; SIGINT
is an exception in Python, and leaves the block as others do.

Not handled: SIGKILL, SIGQUIT.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edge_agent.model.ports import Commands

_TAKEN = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_with(commands: Commands | None) -> Iterator[None]:
    """Run a command whose programs end with it."""

    def end(number: int, _frame: FrameType | None) -> None:
        if commands is not None:
            commands.end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    taken = [number for number in _TAKEN if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        if commands is not None:
            commands.end()
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
