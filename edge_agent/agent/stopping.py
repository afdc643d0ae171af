"""What tells a daemon to stop in good order: SIGTERM, SIGINT, and SIGHUP when its terminal was closed.

By itself SIGHUP ends a process on the spot, and the programs beside it stay. One that is ignored (`nohup`) stays so. It
never means haste: the kernel and the shell each send one, and a session that ends sends it right after SIGTERM.
"""

import asyncio
import signal
from collections.abc import Callable


def when_told_to_stop(stop: Callable[[], object], again: Callable[[], object] | None = None) -> None:
    """Call `stop` in the running loop at the first of these signals, and `again` at each later one but SIGHUP."""
    loop = asyncio.get_running_loop()
    told: list[int] = []

    def hear(number: int) -> None:
        told.append(number)
        if len(told) == 1:
            stop()
        elif again is not None and number != signal.SIGHUP:
            again()

    loop.add_signal_handler(signal.SIGTERM, hear, signal.SIGTERM)
    loop.add_signal_handler(signal.SIGINT, hear, signal.SIGINT)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, hear, signal.SIGHUP)
