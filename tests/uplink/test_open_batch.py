"""The open batch's file: what was written is read back, torn and damaged at every byte too."""

import errno
import math
import zlib
from pathlib import Path

import pytest

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Identity
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.open_batch import OpenBatch, Opened, Seal, read
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
        batch.append(one)
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
    assert read(written(TICKS, seal)) == Opened(IDENTITY, "axis.1", {"device.id": "car-3"}, TICKS, seal)


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
    for end in range(head, len(whole) + 1):
        opened = read(whole[:end])
        assert opened.ticks == TICKS[: len(opened.ticks)]
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


@pytest.mark.parametrize("content", [b"", b"\n", b"00000000 {}\n", b"not this\n", b'\xff\xfe "open"\n'])
def test_a_file_without_its_first_line_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed, match="first line"):
        read(content)


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
    batch.append(tick(1, 2))
    assert disk.paths(FOLDER) == [FOLDER / "0000000000abcdef-12.open"]
    batch.seal(Seal(2, None, {}))
    assert disk.calls["sync"] == 0


@pytest.mark.parametrize(("call", "at"), [("create", 1), ("append", 1), ("append", 2)])
def test_after_a_failure_nothing_more_is_written(call: str, at: int) -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    disk.fail(call, errno.ENOSPC, at)
    batch = OpenBatch(disk, FOLDER, IDENTITY, "axis.1", {})
    for at_ms in (1, 2, 3):
        batch.append(tick(at_ms, 2))
    batch.seal(Seal(4, None, {}))
    assert isinstance(batch.failure, OSError)
    assert batch.failure.errno == errno.ENOSPC
    if at == 2:
        assert read(disk.content(batch.path)).ticks == [tick(1, 2)]
