"""Interfaces: what is counted, what is skipped, what comes and goes."""

from pathlib import Path

import pytest

from edge_agent.collectors.network import OFFER
from tests.collectors.tree import build, plant, table

HEAD = """\
Inter-|   Receive                               |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
"""
ETH0 = "  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n"
VETH = "veth12:9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
WLAN = " wlan0:5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5\n"


def test_traffic_goes_each_way(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0})
    assert table(build(OFFER, tmp_path).collect()) == {
        "system.network.io eth0 receive": 1000,
        "system.network.io eth0 transmit": 2000,
        "system.network.packet.count eth0 receive": 10,
        "system.network.packet.count eth0 transmit": 20,
        "system.network.errors eth0 receive": 1,
        "system.network.errors eth0 transmit": 3,
        "system.network.packet.dropped eth0 receive": 2,
        "system.network.packet.dropped eth0 transmit": 4,
    }


def interfaces(collected: list[str]) -> set[str]:
    return {name.split()[1] for name in collected}


def test_interfaces_of_containers_are_skipped(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0 + VETH + WLAN})
    assert interfaces(list(table(build(OFFER, tmp_path).collect()))) == {"eth0", "wlan0"}
    assert interfaces(list(table(build(OFFER, tmp_path, exclude=("e*",)).collect()))) == {"veth12", "wlan0"}


def test_an_interface_that_went_is_absent_and_may_come_back(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0 + WLAN})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0})
    assert table(collector.collect())["system.network.io wlan0 receive"] == "gone"
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0 + WLAN})
    assert table(collector.collect())["system.network.io wlan0 receive"] == 5


def test_the_number_of_interfaces_is_bounded_and_those_that_went_make_room(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0 + WLAN})
    collector = build(OFFER, tmp_path, most=1)
    assert interfaces(list(table(collector.collect()))) == {"eth0"}
    plant(tmp_path, {"proc/net/dev": HEAD + WLAN})
    assert interfaces(list(table(collector.collect()))) == {"wlan0"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        (HEAD + "eth0: 1 2 3\n", "malformed"),
        *((HEAD + ETH0.replace("1000", "9" * long), "malformed") for long in (21, 400, 5000)),
    ],
)
def test_a_file_that_says_nothing_leaves_known_interfaces_absent(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    plant(tmp_path, {"proc/net/dev": HEAD + ETH0})
    collector = build(OFFER, tmp_path)
    collector.collect()
    (tmp_path / "proc/net/dev").unlink()
    if content is not None:
        plant(tmp_path, {"proc/net/dev": content})
    shown = table(collector.collect())
    assert len(shown) == 8
    assert set(shown.values()) == {reason}
