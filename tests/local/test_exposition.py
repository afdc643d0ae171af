"""Readings as Prometheus text."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.local.exposition import labels_of, metric_name, render
from edge_agent.model.lamp import Lamp
from edge_agent.model.reading import Kind, Reading, Tick


@pytest.mark.parametrize(
    ("name", "unit", "kind", "metric"),
    [
        ("hw.power", "W", "gauge", "hw_power_watts"),
        ("hw.energy", "J", "counter", "hw_energy_joules_total"),
        ("hw.temperature", "Cel", "gauge", "hw_temperature_celsius"),
        ("system.memory.usage", "By", "gauge", "system_memory_usage_bytes"),
        ("system.network.io", "By", "counter", "system_network_io_bytes_total"),
        ("system.network.packet.count", "{packet}", "counter", "system_network_packet_count_total"),
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("system.events", "1", "counter", "system_events_total"),
        ("process.cpu.time", "s", "counter", "process_cpu_time_seconds_total"),
        ("vehicle.speed", "m/s", "gauge", "vehicle_speed_meters_per_second"),
        ("disk.rate", "By/s", "gauge", "disk_rate_bytes_per_second"),
        ("requests.rate", "{request}/s", "gauge", "requests_rate_per_second"),
        ("uptime_seconds", "s", "gauge", "uptime_seconds"),
        ("jobs_total", "1", "counter", "jobs_total"),
        ("_total", "", "counter", "__total"),
        ("io.bytes_total", "By", "counter", "io_bytes_total"),
        ("fan.speed", "rpm", "gauge", "fan_speed_rpm"),
        ("a..b-c/é", "", "gauge", "a_b_c_"),
        ("3d.load", "%", "gauge", "_3d_load_percent"),
    ],
)
def test_names_follow_the_mapping(name: str, unit: str, kind: Kind, metric: str) -> None:
    assert metric_name(Reading(name, 1, unit, kind=kind)) == metric


def test_attributes_that_become_one_label_are_joined() -> None:
    assert labels_of({"hw.id": "a", "hw-id": "b", "x": "c"}) == {"hw_id": "b;a", "x": "c"}


def test_the_text_shows_fresh_numbers_once_and_the_lamps() -> None:
    ticks = [
        Tick(
            "power",
            1_000_000,
            (
                Reading("hw.power", 4.5, "W", {"hw.id": 'a"b\\c\n'}),
                Reading("hw.power", None, "W", {"hw.id": "gone"}, reason="no_device"),
                Reading("hw-power", 9.0, "W", {"hw.id": 'a"b\\c\n'}),
                Reading("hw.power", 1.0, "W"),
                Reading("net.io", 7.0, "By", kind="counter"),
            ),
        ),
        Tick("hung", 600_000, (Reading("old", 1.0, "1"),)),
    ]
    kind, text = render(ticks, [Lamp("spool", "warn", 0, "full")], 1_000_500)
    assert kind.startswith("text/plain")
    assert text.decode().splitlines() == [
        "# HELP hw_power_watts hw.power in W",
        "# TYPE hw_power_watts gauge",
        'hw_power_watts{hw_id="a\\"b\\\\c\\n"} 4.5',
        "hw_power_watts 1.0",
        "# HELP net_io_bytes_total net.io in By",
        "# TYPE net_io_bytes_total counter",
        "net_io_bytes_total 7.0",
        "# HELP edge_agent_lamp Health of a part: 0 ok, 1 warn, 2 fail",
        "# TYPE edge_agent_lamp gauge",
        'edge_agent_lamp{part="spool"} 1.0',
    ]


def lines_of(*ticks: Tick) -> list[str]:
    _, text = render(ticks, [Lamp("spool", "ok", 0)], 1_000_000)
    return [line for line in text.decode().split("\n") if line and not line.startswith("# HELP")]


LAMPS = ["# TYPE edge_agent_lamp gauge", 'edge_agent_lamp{part="spool"} 0.0']


@pytest.mark.parametrize("name", ["edge_agent_lamp", "edge.agent.lamp", "edge_agent.anything"])
@pytest.mark.parametrize("kind", ["gauge", "counter"])
def test_no_reading_speaks_in_the_place_of_the_agent(name: str, kind: Kind) -> None:
    assert lines_of(Tick("local", 1_000_000, (Reading(name, 2, "", {"part": "hub"}, kind),))) == LAMPS


@pytest.mark.parametrize(
    "other", [Reading("x_watts_total", 2, ""), Reading("x_watts", 2, "1", {}, "counter"), Reading("x_total", 2, "W")]
)
def test_under_one_name_the_first_kind_and_unit_stands(other: Reading) -> None:
    counted = Reading("x", 1, "W", {}, "counter")
    labelled = other._replace(attributes={"a": "b"})
    shown = lines_of(Tick("power", 1_000_000, (counted, other, labelled)))
    assert shown[:2] == ["# TYPE x_watts_total counter", "x_watts_total 1.0"]
    assert sum("x_watts_total" in line for line in shown) == 2


def test_what_the_agent_measures_stands_before_what_a_program_posted() -> None:
    posted = Tick("local", 1_000_000, (Reading("hw_power_watts", 99, ""),))
    measured = Tick("power", 1_000_000, (Reading("hw.power", 4, "W"),))
    assert lines_of(posted, measured) == ["# TYPE hw_power_watts gauge", "hw_power_watts 4.0", *LAMPS]


def test_labels_in_another_order_are_the_same_labels() -> None:
    one, two = {"a-z": "2", "a.b": "1"}, {"a_b": "1", "a_z": "2"}
    shown = lines_of(Tick("local", 1_000_000, (Reading("x", 1, "", one), Reading("x", 2, "", two))))
    assert shown == ["# TYPE x gauge", 'x{a_b="1",a_z="2"} 1.0', *LAMPS]


def test_bytes_that_are_no_text_do_not_break_the_text() -> None:
    assert 'x{file="?.prom"} 1.0' in lines_of(Tick("t", 1_000_000, (Reading("x", 1, "", {"file": "\udcff.prom"}),)))


NAMES = st.sampled_from(
    [
        "x",
        "x_total",
        "x.total",
        "x_ratio",
        "x_watts",
        "x_watts_total",
        "x_created",
        "x_bucket",
        "x.count",
        "_total",
        "total",
    ]
) | st.text("aZ9_.-:é ", max_size=4)
UNITS = st.sampled_from(["", "1", "W", "W/s", "{x}", "{x}/s", "/", "!"]) | st.text("aZ9_/{}%!", max_size=4)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a.b", "a_b", "a-b", "le", "__name__"]) | st.text("aZ9_.", max_size=3),
    st.text(max_size=3) | st.sampled_from(['"', "\\", "\n", "#", "}", "\udcff", " # "]),
    max_size=3,
)
READINGS = st.lists(
    st.builds(
        Reading,
        NAMES,
        st.none() | st.floats() | st.integers(-(2**60), 2**60),
        UNITS,
        ATTRIBUTES,
        st.sampled_from(["gauge", "counter"]),
    ),
    max_size=8,
)


@given(READINGS, READINGS)
@example([Reading("edge_agent_lamp", 1, "")], [])
@example([Reading("x", 1, "", kind="counter"), Reading("x_total", 1, "")], [Reading("x", 1, "")])
def test_whatever_is_offered_the_text_stays_well_formed(measured: list[Reading], posted: list[Reading]) -> None:
    _, text = render(
        [Tick("power", 1_000_000, tuple(measured)), Tick("local", 1_000_000, tuple(posted))],
        [Lamp("spool", "ok", 0)],
        1_000_000,
    )
    lines = text.decode().split("\n")
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE ")]
    assert max(Counter(typed).values()) == 1
    families = list(text_string_to_metric_families(text.decode()))
    assert [f"{family.name}{'_total' * (family.type == 'counter')}" for family in families] == typed
    samples = [sample for family in families for sample in family.samples]
    assert len({(sample.name, frozenset(sample.labels.items())) for sample in samples}) == len(samples)
    assert len(samples) == sum(not line.startswith("#") for line in lines if line)
    assert [(sample.labels, sample.value) for sample in families[-1].samples] == [({"part": "spool"}, 0.0)]
