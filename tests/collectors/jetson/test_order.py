"""Sources in order: who gives a reading, and that its owner stays its owner."""

import json
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.order import Lower
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.jetson.spoken import Spoken

ALL = frozenset({"nvml", "tegrastats", "jtop"})
GPU = {"hw.id": "gpu", "hw.gpu.task": "general"}
LOAD = Reading("hw.gpu.utilization", None, "1", GPU, "gauge", 3, "/sys/x/load", "missing")
EMC = Reading("jetson.emc.utilization", None, "1", {}, "gauge", 3, "", "unreadable: EACCES")
NVML = json.dumps({"gpus": [{"name": "NVIDIA Thor", "utilization": 85, "clock": 1574}]}).encode()
OWN = "/sys/x/load", "missing"
TEGRA = b"EMC_FREQ 12%@204 GR3D_FREQ 39%@[305,0] NVENC 79%@166\n"
JTOP = json.dumps(
    {"gpu": {"load": 12.5, "clock": 1_300_500}, "emc": {"clock": 3_199_000}, "engines": {"VIC": {"clock": 1}}}
).encode()


def lower(spoken: Spoken, claimed: frozenset[str] = ALL) -> Lower:
    return Lower(Host(Path("/nowhere"), live=True, claimed=claimed, commands=spoken))


def all_speak() -> Spoken:
    spoken = Spoken()
    spoken.says = {"nvml": NVML, "tegrastats": TEGRA, "jtop": JTOP}
    return spoken


def test_a_reading_that_has_a_value_is_its_owners_and_asks_nobody() -> None:
    spoken = all_speak()
    reading = LOAD._replace(value=0.5, reason=None)
    assert lower(spoken).better(reading) is reading
    assert spoken.asked == []


def test_nothing_is_touched_when_it_is_built() -> None:
    spoken = all_speak()
    lower(spoken)
    assert (spoken.asked, spoken.offers) == ([], {})


def test_the_first_lower_source_that_has_a_value_gives_it_under_the_owners_name() -> None:
    spoken = all_speak()
    order = lower(spoken)
    assert order.better(LOAD) == LOAD._replace(value=0.85, digits=2, source="nvml", reason=None)
    assert order.tried(LOAD) == (OWN, ("nvml", "gave"))
    spoken.says["nvml"] = b'{"absent": "no driver"}'
    assert order.better(LOAD) == LOAD._replace(value=0.39, digits=2, source="tegrastats", reason=None)
    assert order.tried(LOAD) == (OWN, ("nvml", "no driver"), ("tegrastats", "gave"))
    spoken.says["tegrastats"] = b"GR3D_FREQ @[314,314,314]\n"
    assert order.better(LOAD) == LOAD._replace(value=0.125, digits=3, source="jtop", reason=None)
    assert order.tried(LOAD) == (OWN, ("nvml", "no driver"), ("tegrastats", "not told"), ("jtop", "gave"))


def test_where_none_has_one_the_absence_stays_the_owners() -> None:
    spoken = Spoken()
    spoken.says = {"nvml": b"[]", "tegrastats": None, "jtop": b"{"}
    order = lower(spoken)
    assert order.better(LOAD) is LOAD
    assert order.tried(LOAD) == (OWN, ("nvml", "malformed"), ("tegrastats", "missing"), ("jtop", "malformed"))
    assert order.tried(LOAD._replace(name="hw.x")) == (OWN,)
    assert order.tried(EMC._replace(value=0.5, reason=None)) == ()


def test_a_program_that_was_just_begun_is_starting() -> None:
    order = lower(Spoken())
    assert order.better(LOAD) is LOAD
    assert order.tried(LOAD) == (OWN, *((name, "starting") for name in ("nvml", "tegrastats", "jtop")))


def test_a_line_that_is_nothing_costs_its_source_only() -> None:
    spoken = all_speak()
    for line in (b"\xff\0", b"[" * 100_000, b'{"gpus":' * 100_000, b"9" * 60_000, b"null"):
        spoken.says["nvml"] = line
        order = lower(spoken)
        assert order.better(LOAD).source == "tegrastats"
        assert order.tried(LOAD)[1] == ("nvml", "malformed")


def test_only_sources_whose_collector_is_enabled_are_asked() -> None:
    spoken = all_speak()
    assert lower(spoken, frozenset({"jtop", "ina3221"})).better(LOAD).source == "jtop"
    assert lower(spoken, frozenset()).better(LOAD) is LOAD
    assert spoken.asked == ["jtop"]


def test_only_sources_that_can_know_are_asked() -> None:
    spoken = all_speak()
    zone = Reading("hw.temperature", None, "Cel", {"hw.id": "cpu"}, reason="missing")
    rail = Reading("hw.power", None, "W", {"hw.id": "VDD_IN"}, reason="missing")
    assert lower(spoken).better(zone) is zone
    assert lower(spoken).better(rail) is rail
    assert spoken.asked == ["tegrastats"]


@pytest.mark.parametrize("reason", ["missing", "EAGAIN", "unreadable: EACCES", "malformed"])
def test_what_its_own_file_never_gave_is_stood_in_for_at_once(reason: str) -> None:
    assert lower(all_speak()).better(LOAD._replace(reason=reason)).source == "nvml"


@pytest.mark.parametrize("reason", ["gone", "EAGAIN"])
def test_what_its_own_file_gave_is_stood_in_for_only_after_three_absences(reason: str) -> None:
    spoken = all_speak()
    order, absent = lower(spoken), LOAD._replace(reason=reason)
    for _time in range(2):
        order.better(LOAD._replace(value=0.5, reason=None))
        order.better(absent)
        order.better(absent)
        assert spoken.asked == []
        assert order.tried(absent) == (("/sys/x/load", reason),)
    order.better(LOAD._replace(value=0.5, reason=None))
    assert [order.better(absent).source for _time in range(4)] == ["/sys/x/load", "/sys/x/load", "nvml", "nvml"]


def test_the_memory_controller_is_asked_of_tegrastats_then_jtop() -> None:
    spoken = all_speak()
    order, clock = lower(spoken), Reading("jetson.emc.frequency", None, "Hz", reason="missing")
    assert (order.better(clock).value, order.better(clock).source) == (204_000_000, "tegrastats")
    spoken.says["tegrastats"] = b"EMC_FREQ 0% GR3D_FREQ 22%\n"
    assert (order.better(clock).value, order.better(clock).source) == (3_199_000_000, "jtop")
    assert "nvml" not in spoken.asked


def test_a_stale_line_gives_nothing_and_why_it_ended_is_told_at_any_age() -> None:
    spoken = all_speak()
    order = lower(spoken)
    spoken.says["nvml"], spoken.fresh = b'{"absent": "not installed"}', False
    assert order.better(LOAD) is LOAD
    assert order.tried(LOAD) == (OWN, ("nvml", "not installed"), ("tegrastats", "stale"), ("jtop", "stale"))
    assert order.ids("jetson.engine.frequency") == []


def test_a_series_that_a_lower_source_gave_stays_under_its_name_while_it_is_absent() -> None:
    spoken = all_speak()
    order, missing = lower(spoken), EMC._replace(reason="missing")
    given = order.better(missing)
    assert (given.source, given.value) == ("tegrastats", 0.12)
    spoken.says["jtop"] = b'{"absent": "service gone"}'
    spoken.says["tegrastats"] = b"RAM 1/2MB\n"
    assert order.better(missing) == given._replace(value=None, reason="not reported")
    spoken.says["tegrastats"] = b""
    assert order.better(missing) == given._replace(value=None, reason="starting")
    own = EMC._replace(value=0.5, reason=None)
    assert order.better(own) is own
    assert [order.better(missing) is missing for _time in range(3)] == [True, True, True]


def test_an_engine_that_is_off_says_so_whatever_kept_its_file_from_being_read() -> None:
    spoken = Spoken()
    spoken.says["tegrastats"] = b"NVENC off NVDEC 1%@115\n"
    order = lower(spoken)
    clock = Reading("jetson.engine.frequency", None, "Hz", {"engine": "nvenc0"}, digits=0, reason="missing")
    assert order.better(clock) == clock._replace(source="tegrastats", reason="off")
    assert order.tried(clock) == (("tegrastats", "off"), ("jtop", "starting"))


def test_what_no_file_could_tell_is_the_lower_sources_that_knows_of_it() -> None:
    spoken = Spoken()
    spoken.says["tegrastats"] = b"NVDEC0_FREQ @314\n"
    order = lower(spoken)
    load = Reading("hw.gpu.utilization", None, "1", {"hw.id": "nvdec0"}, digits=2, reason="missing")
    assert order.better(load) == load._replace(source="tegrastats", reason="not told")
    spoken.says["tegrastats"] = b"RAM 1/2MB\n"
    assert order.better(load) == load._replace(source="tegrastats", reason="not reported")


def test_the_ids_of_engines_come_from_those_who_speak_and_nvml_is_not_begun_for_them() -> None:
    spoken = all_speak()
    assert lower(spoken).ids("jetson.engine.frequency") == ["nvenc0", "vic"]
    assert lower(spoken).ids("jetson.engine.state") == ["nvenc0"]
    assert "nvml" not in spoken.asked


def test_the_ids_of_a_gpus_coders_come_from_nvml_where_it_is_asked_for_them() -> None:
    spoken = Spoken()
    spoken.says["nvml"] = b'{"gpus": [{"name": "Thor", "encoder": 3, "decoder": null}]}'
    assert lower(spoken).ids("hw.gpu.utilization", nvml=True) == ["encoder", "gpu"]


def test_without_commands_there_are_no_lower_sources() -> None:
    assert Lower(Host(Path("/nowhere"), live=False, claimed=ALL)).better(LOAD) is LOAD


def test_what_is_remembered_of_absent_series_is_bounded() -> None:
    order = lower(Spoken())
    for number in range(1000):
        order.better(LOAD._replace(attributes={"hw.id": f"gpu{number}"}))
    assert len(order._absences) == len(order._tried) == 256
