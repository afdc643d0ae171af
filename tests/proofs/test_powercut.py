"""Short form of the row `powercut`: one machine, one cut; and that the disk under it forgets what it may forget."""

import random
import struct
from pathlib import Path

import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity
from tests.proofs.powercut import lacks, lead
from tests.proofs.vm.words import digest, sealed, settled
from tests.proofs.vmbuild import build
from tests.proofs.vmdisk import BLOCK, Disk, Port, cuts, last_cut
from tests.proofs.vmimage import promised

SIZE = 16 * BLOCK


def block(letter: bytes) -> bytes:
    return letter * BLOCK


def test_what_was_flushed_survives_every_cut_and_what_was_not_may_survive_in_any_part() -> None:
    disk = Disk(bytes(SIZE))
    disk.write(0, block(b"a"))
    disk.flush()
    disk.mark("one")
    disk.write(BLOCK, block(b"b") + block(b"c"))
    left = {last_cut(disk, random.Random(seed)).content for seed in range(200)}
    assert left == {
        block(b"a") + second + third + bytes(SIZE - 3 * BLOCK)
        for second in (bytes(BLOCK), block(b"b"))
        for third in (bytes(BLOCK), block(b"c"))
    }


def test_cuts_are_made_before_flushes_with_what_was_said_by_then() -> None:
    disk = Disk(bytes(SIZE))
    for at, letter in enumerate((b"a", b"b")):
        disk.write(at * BLOCK, block(letter))
        disk.flush()
        disk.mark(f"{at} is sure")
    made = [
        (cut.content[:1], cut.content[BLOCK : BLOCK + 1], list(cut.marks)) for cut in cuts(disk, random.Random(1), 99)
    ]
    assert (b"\0", b"\0", []) in made
    assert (b"a", b"\0", []) in made
    assert (b"a", b"\0", ["0 is sure"]) in made
    assert (b"a", b"b", ["0 is sure"]) in made
    assert not [cut for cut in made if cut[2] and cut[0] != b"a"]


def test_what_a_client_asks_in_pieces_of_a_byte_is_answered_like_in_one() -> None:
    option = struct.Struct(">8sII")
    request = struct.Struct(">IHHQQI")
    asked = struct.pack(">I", 3) + option.pack(b"IHAVEOPT", 8, 0) + option.pack(b"IHAVEOPT", 7, 6) + bytes(6)
    asked += request.pack(0x25609513, 0, 1, 77, BLOCK, 3) + b"xyz"
    asked += request.pack(0x25609513, 0, 3, 78, 0, 0) + request.pack(0x25609513, 0, 0, 79, BLOCK, 4)
    whole, torn = Disk(bytes(SIZE)), Disk(bytes(SIZE))
    port = Port(torn)
    answer = b"".join(port.take(asked[at : at + 1]) for at in range(len(asked)))
    assert answer == Port(whole).take(asked)
    assert answer.endswith(struct.pack(">IIQ", 0x67446698, 0, 79) + b"xyz\0")
    assert torn.log == whole.log
    assert len(torn.log) == 2


def test_a_promise_holds_until_the_batch_is_settled_and_none_is_made_in_the_dark() -> None:
    frames = [Frame(FrameKind.TELEMETRY, Identity(7, seq), 0, b"payload") for seq in range(3)]
    lines = [f"sealed telemetry {frame.identity} {digest(frame)}" for frame in frames]
    assert [sealed(line) for line in lines] == [(frame.identity, digest(frame)) for frame in frames]
    gone = f"settled telemetry {frames[0].identity}"
    assert settled(gone) == frames[0].identity
    before = {Identity(6, 1): "of an earlier life"}
    owed = promised([lines[0], lines[1], gone, "dark", lines[2]], before)
    assert owed == {**before, frames[1].identity: digest(frames[1])}


@pytest.mark.skipif(bool(lacks()), reason=lacks() or "nothing is lacking")
def test_a_power_cut_loses_no_sealed_batch(tmp_path: Path) -> None:
    line = lead(tmp_path, build(tmp_path), "writes", seed=1, lives=1, made_up=12)
    assert not line.violations
    assert line.real == 1
    assert line.made_up > 2
