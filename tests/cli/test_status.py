"""The line of `status` that tells the clock."""

from typing import Any

import pytest

from edge_agent.cli.status import clock_line

KNOWN: dict[str, Any] = {
    "true_time": 1_800_000_000_000,
    "error_ms": 31,
    "source": "hub",
    "last_anchor_age_s": 4.0,
    "steps": 0,
    "disputes": 0,
    "wall_off_ms": 12,
}


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({}, "true time known to ± 31 ms from the hub, 4 s ago"),
        ({"true_time": None}, "true time unknown: neither the hub nor the kernel has told it"),
        ({"source": "guess", "error_ms": None}, "true time guessed from an unsynchronised hub, 4 s ago"),
        (
            {"source": "kernel", "steps": 2, "disputes": 1, "wall_off_ms": -90_000},
            "true time known to ± 31 ms from the kernel, 4 s ago; 2 steps; 1 dispute; the wall clock is 90 s behind",
        ),
        (
            {"source": "date", "steps": 1, "wall_off_ms": 315_360_000_000},
            "true time known to ± 31 ms from the hub's Date, 4 s ago; 1 step; the wall clock is 3650 d ahead",
        ),
        ({"error_ms": 5_000, "wall_off_ms": 4_000}, "true time known to ± 5000 ms from the hub, 4 s ago"),
    ],
)
def test_the_clock_is_told_in_one_line(said: dict[str, Any], line: str) -> None:
    assert clock_line({**KNOWN, **said}) == line
