"""How long the machine has been running."""

from pathlib import Path

import pytest

from edge_agent.collectors.uptime import OFFER
from edge_agent.model.reading import Reading
from tests.collectors.tree import build, plant, table


def test_seconds_since_the_boot_are_read_with_their_two_decimals(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/uptime": "350735.47 234388.90\n"})
    assert list(build(OFFER, tmp_path).collect()) == [
        Reading("system.uptime", 350735.47, "s", digits=2, source="/proc/uptime")
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("nan 1.00\n", "malformed"),
        (b"\0\xff", "malformed"),
        ("-1.00 1", "malformed"),
    ],
)
def test_without_a_number_there_is_a_reason(tmp_path: Path, content: str | bytes | None, reason: str) -> None:
    if content is not None:
        plant(tmp_path, {"proc/uptime": content})
    assert table(build(OFFER, tmp_path).collect()) == {"system.uptime": reason}
