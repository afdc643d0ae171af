"""Text files of other programs: good ones, and a table of wounds."""

import os
from pathlib import Path

import pytest

from edge_agent.collectors.textfile import OFFER
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.collectors.tree import build, plant, table

BOOT, UP = 1_700_000_000, 1000
CLOCK = {"proc/stat": f"cpu 1\nintr 1\nbtime {BOOT}\n", "proc/uptime": f"{UP}.00 1.00\n"}
CAR = """\
# HELP car_speed Speed.
# TYPE car_speed gauge
car_speed{wheel="left"} 12.5
# TYPE jobs_total counter
jobs_total 7
"""


def write(root: Path, name: str, content: str | bytes, age: float = 0) -> None:
    plant(root, {f"prom/{name}": content, **CLOCK})
    os.utime(root / "prom" / name, (BOOT + UP - age, BOOT + UP - age))


def test_files_give_readings_with_their_labels_and_kinds(tmp_path: Path) -> None:
    write(tmp_path, "car.prom", CAR)
    source = "/prom/car.prom"
    assert list(build(OFFER, tmp_path, folder="/prom").collect()) == [
        Reading("agent.textfile.samples", 2, "{sample}", {"file.name": "car.prom"}, source="/prom"),
        Reading("car_speed", 12.5, "1", {"wheel": "left"}, "gauge", None, source),
        Reading("jobs_total", 7, "1", {}, "counter", None, source),
    ]


def test_units_follow_from_names(tmp_path: Path) -> None:
    write(tmp_path, "a.prom", "stage_celsius 20\nbusy_seconds_total 3\nroom 1\n")
    units = {reading.name: reading.unit for reading in build(OFFER, tmp_path, folder="/prom").collect()}
    assert (units["stage_celsius"], units["busy_seconds_total"], units["room"]) == ("Cel", "s", "1")


def test_parts_of_histograms_count_and_quantiles_do_not(tmp_path: Path) -> None:
    histogram = '# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3\n'
    summary = '# TYPE s summary\ns{quantile="0.5"} 1\ns_count 4\n'
    write(tmp_path, "a.prom", histogram + summary)
    kinds = {reading.name: reading.kind for reading in build(OFFER, tmp_path, folder="/prom").collect()}
    counted = {name for name, kind in kinds.items() if kind == "counter"}
    assert counted == {"h_bucket", "h_count", "h_sum", "s_count"}


def test_without_a_folder_there_is_nothing(tmp_path: Path) -> None:
    assert list(build(OFFER, tmp_path).collect()) == []


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    assert table(build(OFFER, tmp_path, folder="/prom").collect()) == {"agent.textfile.samples": "missing"}


def test_a_broken_file_costs_its_own_readings_and_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, "car.prom", CAR)
    write(tmp_path, "other.prom", "other 1\n")
    collector = build(OFFER, tmp_path, folder="/prom")
    list(collector.collect())
    write(tmp_path, "car.prom", CAR + "what is this\n", age=-1)
    assert table(collector.collect()) == {
        "agent.textfile.samples car.prom": "car.prom:6: malformed",
        "car_speed left": "car.prom:6: malformed",
        "jobs_total": "car.prom:6: malformed",
        "agent.textfile.samples other.prom": 1,
        "other": 1,
    }
    write(tmp_path, "car.prom", CAR, age=-2)
    assert table(collector.collect())["car_speed left"] == 12.5


def test_a_stale_file_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, "car.prom", CAR, age=301)
    write(tmp_path, "new.prom", "new 1\n", age=299)
    shown = table(build(OFFER, tmp_path, folder="/prom").collect())
    assert shown["car_speed left"] == "car.prom: stale"
    assert shown["new"] == 1


@pytest.mark.parametrize("lost", ["proc/stat", "proc/uptime"])
def test_without_a_clock_nothing_is_stale(tmp_path: Path, lost: str) -> None:
    write(tmp_path, "car.prom", CAR, age=9999)
    (tmp_path / lost).unlink()
    assert table(build(OFFER, tmp_path, folder="/prom").collect())["jobs_total"] == 7


def test_a_repeated_series_costs_the_later_file(tmp_path: Path) -> None:
    write(tmp_path, "a.prom", CAR)
    write(tmp_path, "b.prom", "jobs_total 8\nmine 1\n")
    shown = table(build(OFFER, tmp_path, folder="/prom").collect())
    assert shown["jobs_total"] == 7
    assert shown["agent.textfile.samples b.prom"] == "b.prom: repeats jobs_total"
    assert shown["mine"] == "b.prom: repeats jobs_total"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe 1\n", "x.prom: not UTF-8"),
        (b"a" * 200 + b" 1\n", "x.prom: too large"),
        (b"a 1\nb{\n", "x.prom:2: malformed"),
        (b'a{b="c} 1\n', "x.prom:1: malformed"),
        (b"a one\n", "x.prom:1: malformed"),
        (b"{}\n", "x.prom:1: malformed"),
        (b'a 1\na{e="", ="y"} 2\n', "x.prom:2: malformed"),
    ],
)
def test_a_file_that_never_was_good_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    write(tmp_path, "x.prom", content)
    shown = table(build(OFFER, tmp_path, folder="/prom", most_bytes=150).collect())
    assert shown == {"agent.textfile.samples x.prom": reason}


def test_a_file_that_is_gone_takes_its_series_along(tmp_path: Path) -> None:
    write(tmp_path, "car.prom", CAR)
    collector = build(OFFER, tmp_path, folder="/prom")
    list(collector.collect())
    (tmp_path / "prom/car.prom").unlink()
    assert list(collector.collect()) == []


def test_what_is_no_regular_file_is_not_opened_and_links_to_files_are(tmp_path: Path) -> None:
    write(tmp_path, "car.prom", CAR)
    prom = tmp_path / "prom"
    (prom / "folder.prom").mkdir()
    os.mkfifo(prom / "pipe.prom")
    (prom / "endless.prom").symlink_to("/dev/zero")
    (prom / "lost.prom").symlink_to("nowhere")
    (prom / "speed.prom").symlink_to(tmp_path / "speed")
    (tmp_path / "speed").write_text("speed 2\n")
    shown = table(OFFER.build(OFFER.options(folder="/prom"), Host(tmp_path, live=True)).collect())
    for name in ("endless.prom", "folder.prom", "pipe.prom"):
        assert shown[f"agent.textfile.samples {name}"] == f"{name}: not a regular file"
    assert shown["agent.textfile.samples lost.prom"] == "lost.prom: missing"
    assert (shown["speed"], shown["jobs_total"]) == (2, 7)


@pytest.mark.parametrize("claims_nothing", ["/proc/self/environ", "/proc/self/maps"])
def test_a_file_is_cut_off_whatever_size_it_claims(tmp_path: Path, claims_nothing: str) -> None:
    write(tmp_path, "x.prom", "")
    (tmp_path / "prom/x.prom").unlink()
    (tmp_path / "prom/x.prom").symlink_to(claims_nothing)
    options = OFFER.options(folder="/prom", most_bytes=3)
    shown = table(OFFER.build(options, Host(tmp_path, live=True)).collect())
    assert shown == {"agent.textfile.samples x.prom": "x.prom: too large"}


def test_a_file_whose_name_is_no_text_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.prom", "a 1\n")
    Path(os.fsdecode(os.fsencode(tmp_path / "prom") + b"/\xff.prom")).write_text("b 1\n")
    assert table(build(OFFER, tmp_path, folder="/prom").collect()) == {"agent.textfile.samples a.prom": 1, "a": 1}
