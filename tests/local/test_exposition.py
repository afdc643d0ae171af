"""Readings as Prometheus text."""

import pytest

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
