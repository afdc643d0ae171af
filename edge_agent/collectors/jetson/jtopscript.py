"""The client of jtop: a JSON object for each of its samples (the form is in `jtop`), until its output is closed.

It runs in a process of its own, as a file, under any Python from 3.6 on, and imports nothing of this package. Why it
has nothing is its last line: it ends then, since a client that lost its service must be a new process.

jtop raises its own error at a start, and what its pipes raise later; `ok` also says no, without an error, when nothing
came for three beats. Releases differ in what they hand out; one that is of another shape ends it, too.

A thread waits for the end of its input, so that it ends with an agent that was killed, also while jtop waits for ever
for a service that does not answer. Programs that jtop itself began end as they do.
"""

import json
import os
import select
import sys
import threading
from importlib import import_module
from queue import Empty
from typing import Any

_WORDS = (
    ("not active", "service not active"),
    ("access", "no permission"),
    ("ismatch version", "version mismatch"),
    ("python version", "python mismatch"),
    ("Lost connection", "service gone"),
)
"""What stands in jtop's own words (4.3 to 7.2), and ours; `refused` stands for others."""


def main() -> None:
    """Connect, and write what comes."""
    threading.Thread(target=_end_with_the_agent, daemon=True).start()
    try:
        library: Any = import_module("jtop")
    except ImportError:
        _write({"absent": "not installed"})
        return
    board = library.jtop(interval=1.0)
    try:
        board.start()
        while board.ok():
            _write(_snapshot(board))
    except library.JtopException as error:
        _write({"absent": next((ours for theirs, ours in _WORDS if theirs in str(error)), "refused")})
    except (OSError, EOFError, Empty):
        _write({"absent": "service gone"})
    except (AttributeError, KeyError, TypeError, ValueError):
        _write({"absent": "unknown version"})
    else:
        _write({"absent": "no samples"})


def _end_with_the_agent() -> None:
    """Wait until nobody holds the other end of the input: whatever the rest of this program hangs in, it ends."""
    ends = select.poll()
    ends.register(0, 0)
    ends.poll()
    os._exit(0)


def _snapshot(board: Any) -> "dict[str, Any]":
    gpus = list(_inside(board.gpu).values())
    gpu = _inside(gpus[0]) if len(gpus) == 1 else {}
    emc = _inside(_inside(board.memory).get("EMC"))
    engines = {}
    for group in _inside(board.engine).values():
        for name, engine in _inside(group).items():
            engines[str(name)] = {"clock": _inside(engine).get("cur")}
    return {
        "gpu": {"load": _inside(gpu.get("status")).get("load"), "clock": _inside(gpu.get("freq")).get("cur")},
        "emc": {"clock": emc.get("cur")},
        "engines": engines,
    }


def _inside(thing: Any) -> "dict[str, Any]":
    """The same as a plain mapping; an empty one when it is none."""
    try:
        return dict(thing)
    except (TypeError, ValueError):
        return {}


def _write(said: "dict[str, Any]") -> None:
    sys.stdout.write(json.dumps(said, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(0)  # jtop's threads would hold the exit
