"""Waiting for what another process does: by looking, with a deadline, never by a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BETWEEN = 0.05


def until(condition: Callable[[], T], within: float = 20.0) -> T:
    """What the condition gives once that is true; AssertionError with its last word after so many seconds."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {condition.__qualname__}, the last: {found!r}"
        time.sleep(_BETWEEN)
    return found
