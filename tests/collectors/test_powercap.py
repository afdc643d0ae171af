"""Energy that processors count: a counter that never falls, whatever its register does."""

import errno
import shutil
from pathlib import Path

import pytest

from edge_agent.collectors.powercap import OFFER, Powercap
from edge_agent.model.offers import NoOptions
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant, table

CLASS = "sys/class/powercap"


def domain(name: str, said: str, energy: str, whole: str | None = "1000000000\n") -> dict[str, str]:
    """The files of a domain."""
    files = {f"{CLASS}/{name}/name": f"{said}\n", f"{CLASS}/{name}/energy_uj": energy}
    return files if whole is None else files | {f"{CLASS}/{name}/max_energy_range_uj": whole}


def test_domains_are_joules_by_their_names(tmp_path: Path) -> None:
    plant(
        tmp_path,
        domain("intel-rapl:0", "package-0", "1500000\n")
        | domain("intel-rapl:0:0", "core", "500001\n")
        | domain("intel-rapl:0:1", "dram", "7\n")
        | domain("intel-rapl:1", "psys", "2000000\n")
        | domain("intel-rapl-mmio:0", "package-0", "1500000\n")
        | {f"{CLASS}/intel-rapl/enabled": "1\n"},
    )
    collector = build(OFFER, tmp_path)
    assert {one.value for one in collector.collect()} == {0}
    plant(
        tmp_path,
        domain("intel-rapl:0", "package-0", "3000000\n")
        | domain("intel-rapl:0:0", "core", "1000002\n")
        | domain("intel-rapl:0:1", "dram", "14\n")
        | domain("intel-rapl:1", "psys", "4000000\n"),
    )
    readings = list(collector.collect())
    assert {one.attributes["hw.id"]: (one.value, one.attributes["hw.type"]) for one in readings} == {
        "package-0": (1.5, "cpu"),
        "package-0/core": (0.500001, "cpu"),
        "package-0/dram": (0.000007, "memory"),
        "psys": (2, "enclosure"),
    }
    assert {(one.name, one.kind, one.unit, one.digits) for one in readings} == {("hw.energy", "counter", "J", 6)}


def counted(root: Path, whole: str | None, *registers: str) -> list[float | None]:
    """What is told of these numbers of the register, one after the other."""
    plant(root, domain("intel-rapl:0", "package-0", "0\n", whole))
    collector, told = build(OFFER, root), []
    for register in registers:
        plant(root, {f"{CLASS}/intel-rapl:0/energy_uj": register})
        (reading,) = collector.collect()
        told.append(reading.value)
    return told


def test_a_register_that_wraps_around_goes_on(tmp_path: Path) -> None:
    assert counted(tmp_path, "1000000000\n", "900000000", "100000000", "950000000", "0") == [0, 200, 1050, 1100]


def test_an_agent_that_is_started_again_after_a_wrap_tells_no_energy_that_nobody_used(tmp_path: Path) -> None:
    before = counted(tmp_path, "1000000000\n", "900000000", "100000000")
    after = counted(tmp_path, "1000000000\n", "150000000", "160000000")
    assert [*before, *after] == [0, 200, 0, 10]


def test_a_register_that_was_reset_adds_what_it_shows_since(tmp_path: Path) -> None:
    assert counted(tmp_path, "1000000000\n", "300000000", "1000000", "2000000") == [0, 1, 2]


@pytest.mark.parametrize("whole", [None, "much\n", "5\n"])
def test_without_a_known_range_the_counter_does_not_fall_either(tmp_path: Path, whole: str | None) -> None:
    assert counted(tmp_path, whole, "900000000", "100000000") == [0, 100]


def test_a_number_below_zero_and_a_word_are_absent_and_change_nothing(tmp_path: Path) -> None:
    assert counted(tmp_path, None, "900000000", "-1", "x", "901000000") == [0, None, None, 1]


def test_a_domain_that_was_gone_for_a_while_does_not_fall(tmp_path: Path) -> None:
    assert counted(tmp_path, "1000000000\n", "900000000", "100000000") == [0, 200]
    collector = build(OFFER, tmp_path)
    (first,) = collector.collect()
    assert first.value == 0
    plant(tmp_path, {f"{CLASS}/intel-rapl:0/energy_uj": "50000000"})
    assert [one.value for one in collector.collect()] == [50]
    shutil.rmtree(tmp_path / CLASS)
    assert [[one.reason for one in collector.collect()] for _beat in range(30)][-1] == ["gone"]
    plant(tmp_path, domain("intel-rapl:3", "package-0", "7000000\n"))
    assert [[one.value for one in collector.collect()] for _beat in range(30)][-1] == [57]


def test_what_only_root_may_read_is_absent_with_its_reason(tmp_path: Path) -> None:
    plant(tmp_path, domain("intel-rapl:0", "package-0", "1500000\n"))
    host = Host(tmp_path, live=False, errors={f"{CLASS}/intel-rapl:0/energy_uj": errno.EACCES})
    assert table(Powercap(NoOptions(), host).collect()) == {"hw.energy package-0 package-0 cpu": "unreadable: EACCES"}


def test_a_machine_without_it_yields_nothing(tmp_path: Path) -> None:
    assert table(build(OFFER, tmp_path).collect()) == {}
