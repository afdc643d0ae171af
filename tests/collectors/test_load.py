"""Load averages."""

from pathlib import Path

import pytest

from edge_agent.collectors.load import OFFER
from tests.collectors.tree import build, plant, table

NAMES = [f"system.cpu.load_average.{span}" for span in ("1m", "5m", "15m")]


def test_three_averages_are_read(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/loadavg": "0.52 1.58 10.02 2/345 6789\n"})
    assert table(build(OFFER, tmp_path).collect()) == dict(zip(NAMES, (0.52, 1.58, 10.02), strict=True))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("a b c", "malformed"),
        ("inf nan 0.1 1/2 3\n", "malformed"),
        (f"{'9' * 400}.00 0.10 0.10 1/2 3\n", "malformed"),
    ],
)
def test_without_averages_there_is_a_reason(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        plant(tmp_path, {"proc/loadavg": content})
    assert table(build(OFFER, tmp_path).collect()) == dict.fromkeys(NAMES, reason)
