"""The open batch's file: what was written is read back, torn and damaged at every byte too."""

import errno
import math
import zlib
from collections import Counter
from pathlib import Path

import orjson
import pytest

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Identity
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.open_batch import Beats, OpenBatch, Opened, Seal, read, unsealed
from tests.sim.disk import MemoryDisk

FOLDER = Path("/run/edge")
IDENTITY = Identity(0xABCDEF, 12)
LEFT, RIGHT = {"side": "left"}, {"side": "right"}


def tick(at: int, *values: float | None, collector: str = "car", reason: str | None = None) -> Tick:
    return Tick(
        collector,
        at,
        tuple(
            Reading("speed", value, "m/s", side, "gauge", 1, "bus", reason if value is None else None)
            for value, side in zip(values, (LEFT, RIGHT), strict=False)
        ),
    )


def written(ticks: list[Tick], seal: Seal | None = None) -> bytes:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {"device.id": "car-3"})
    for one in ticks:
        batch.append(one, Counter())
    if seal is not None:
        batch.seal(seal)
    assert batch.failure is None
    content = disk.content(batch.path)
    assert len(content) == batch.size
    return content


TICKS = [
    tick(1000, 1.5, 2),
    tick(1100, 3.25, collector="gps"),
    tick(2000, 1.5, None, reason="EAGAIN"),
    tick(3000, None, 2.5),
    tick(4000, 7),
]


def test_what_was_written_is_read_back() -> None:
    seal = Seal(4500, Anchor(-5, 5, 4400), {"missed": [["gps", 3, "hung"]]})
    assert read(written(TICKS, seal)) == Opened(IDENTITY, "axis.1", {"device.id": "car-3"}, TICKS, seal=seal)


def test_each_tick_says_what_was_missed_since_the_one_before() -> None:
    disk, missed, gps = MemoryDisk(), Beats(), ("gps", "hung")
    disk.make_folder(FOLDER)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {})
    for at in range(4):
        batch.append(tick(at, 1), missed)
        missed[gps] += at
    content = disk.content(batch.path)
    assert batch.missed == read(content).missed == {gps: 3}
    before_the_last = content[: content.rindex(b"\n", 0, -1) + 1]
    assert read(before_the_last).missed == {gps: 1}
    assert unsealed(3, batch.missed).stat == {"recovered": True, "missed": [["gps", 3, "hung"]]}


@pytest.mark.parametrize("told", [1, [1], [["gps", "hung"]], [["gps", 0, "hung"]], [["gps", 1, 2]], [["gps", 1.5, ""]]])
def test_a_tick_that_says_no_missed_beats_as_they_are_said_is_dropped(told: object) -> None:
    first, *_series, last = written([tick(1000, 1.5)]).splitlines(keepends=True)
    line = orjson.dumps(orjson.loads(last[9:]) | {"missed": told})
    opened = read(b"".join([first, *_series, b"%08x %b\n" % (zlib.crc32(line), line)]))
    assert (opened.ticks, opened.missed, opened.damaged) == ([], {}, 1)


def test_a_series_is_stated_once() -> None:
    many = written([tick(at, 1, 2) for at in range(0, 100_000, 1000)])
    assert many.count(b'"is":') == 2
    assert many.count(b'"layout":') == 1
    assert len(many) < 6500


@pytest.mark.parametrize(("value", "reason"), [(math.nan, "nan"), (math.inf, "infinite"), (-math.inf, "infinite")])
def test_a_value_that_is_no_number_is_absent_with_its_reason(value: float, reason: str) -> None:
    assert read(written([tick(1, value)])).ticks == [tick(1, None, reason=reason)]


def test_every_cut_leaves_the_ticks_before_it() -> None:
    whole = written(TICKS)
    head = whole.index(b"\n")
    kept = []
    for end in range(head + 1, len(whole) + 1):
        opened = read(whole[:end])
        lines = whole[: whole[:end].rindex(b"\n")].split(b"\n")
        assert len(opened.ticks) == sum(b'{"tick"' in line for line in lines), "a line stands once its end does"
        assert opened.ticks == TICKS[: len(opened.ticks)]
        assert opened.damaged == (not whole[:end].endswith(b"\n"))
        kept.append(len(opened.ticks))
    assert kept == sorted(kept)
    assert set(kept) == set(range(len(TICKS) + 1))


def test_every_damaged_byte_costs_only_lines_that_need_it() -> None:
    whole = written(TICKS)
    for place in range(whole.index(b"\n") + 1, len(whole)):
        wounded = bytearray(whole)
        wounded[place] ^= 0x20
        opened = read(bytes(wounded))
        assert all(tick in TICKS for tick in opened.ticks)
        assert len(opened.ticks) < len(TICKS)
        assert opened.damaged


@pytest.mark.parametrize("content", [b"", b"\n", b"00000000 {}\n", b"not this\n", b'\xff\xfe "open"\n', b"00000000 \n"])
def test_a_file_without_its_first_line_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed, match="first line"):
        read(content)


def sound(said: object) -> bytes:
    """A line whose CRC holds, whatever it says."""
    body = orjson.dumps(said)
    return b"%08x %b\n" % (zlib.crc32(body), body)


HEAD = {"open": 1, "epoch": "00000000000000ff", "seq": 1, "axis": "axis.1", "resource": {}}


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"open": 1},
        HEAD | {"epoch": "zz"},
        HEAD | {"epoch": "f" * 16},
        HEAD | {"epoch": 7},
        HEAD | {"seq": "1"},
        HEAD | {"seq": -1},
        HEAD | {"axis": None},
        HEAD | {"resource": []},
        HEAD | {"resource": {"a": 1}},
    ],
)
def test_a_first_line_that_somebody_else_wrote_is_refused(odd: object) -> None:
    with pytest.raises(Malformed, match="first line"):
        read(sound(odd))


@pytest.mark.parametrize(
    "odd",
    [
        [1],
        {},
        {"series": 1},
        {"series": 1, "is": [1, 2]},
        {"series": 1, "is": ["n", {"a": []}, "1", "gauge", 0, ""]},
        {"series": 1, "is": ["n", [], "1", "gauge", 0, ""]},
        {"series": 1, "is": ["n", {}, "1", "gauge", "0", ""]},
        {"series": [], "is": ["n", {}, "1", "gauge", 0, ""]},
        {"layout": 1, "collector": [], "of": [0]},
        {"layout": 1, "collector": "car", "of": 7},
        {"tick": 0, "at": "1", "values": [1]},
        {"tick": 0, "at": 1, "values": ["1"]},
        {"tick": 0, "at": 1, "values": [1, 2]},
        {"tick": 0, "at": 1, "values": [None], "why": [7]},
        {"tick": 0, "at": 1, "values": [None], "why": [[0, 7]]},
        {"tick": 0, "at": 2**63, "values": [1]},
        {"seal": 2**63, "anchor": None, "stat": {}},
        {"seal": 1, "anchor": [1], "stat": {}},
        {"seal": 1, "anchor": 1, "stat": {}},
        {"seal": 1, "anchor": None, "stat": []},
    ],
)
def test_a_line_that_somebody_else_wrote_is_dropped(odd: object) -> None:
    before, after = tick(1, 2), tick(2, 3)
    whole = written([before]) + sound(odd)
    opened = read(whole + sound({"tick": 0, "at": 2, "values": [3]}))
    assert opened == Opened(IDENTITY, "axis.1", {"device.id": "car-3"}, [before, after], damaged=1)


def test_a_later_version_is_refused_by_name() -> None:
    line = b'{"open":2}'
    with pytest.raises(Malformed) as caught:
        read(b"%08x %b\n" % (zlib.crc32(line), line))
    assert caught.value.code == "unsupported_version"


def test_the_file_is_made_with_the_first_tick_and_is_never_synced() -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {})
    assert disk.paths(FOLDER) == []
    batch.append(tick(1, 2), Counter())
    assert disk.paths(FOLDER) == [FOLDER / "0000000000abcdef-12.open"]
    batch.seal(Seal(2, None, {}))
    assert disk.calls["sync"] == 0


@pytest.mark.parametrize(("call", "at"), [("create", 1), ("append", 1), ("append", 2)])
def test_after_a_failure_nothing_more_is_written(call: str, at: int) -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    disk.fail(call, errno.ENOSPC, at)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {})
    seal = Seal(4, None, {})
    went_on = [batch.append(tick(at_ms, 2), Counter()) for at_ms in (1, 2, 3)]
    assert isinstance(batch.failure, OSError)
    assert batch.failure.errno == errno.ENOSPC
    if at == 1:
        assert went_on == [True, True, True]
        assert batch.in_memory
        assert batch.seal(seal) is seal
        assert not any(disk.content(path) for path in disk.paths(FOLDER))
    else:
        assert went_on == [True, False, False]
        assert not batch.in_memory
        assert batch.seal(seal) == Seal(1, None, {"recovered": True})
        assert read(disk.content(batch.path)) == Opened(IDENTITY, "axis.1", {}, [tick(1, 2)])


def test_a_file_that_cannot_take_its_seal_says_the_seal_of_one_without() -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {})
    assert batch.append(tick(1, 2), Counter())
    disk.fail("append", errno.ENOSPC)
    assert batch.seal(Seal(4, None, {})) == Seal(1, None, {"recovered": True})
    assert read(disk.content(batch.path)).seal is None
