"""The buffer by hand: out into files, back in, and what is told when that cannot be."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.cli.spoolfolder import opened
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.verdict import Settlement
from edge_agent.wire.batch import BatchBuilder
from edge_agent.wire.frame import split

DEVICE = "car-3"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The config of a device whose state is in a folder of its own."""
    return config_of(DEVICE, tmp_path / "state", tmp_path / "agent.toml")


def config_of(device: str, state: Path, file: Path) -> Path:
    file.write_text(
        f'[device]\nid = "{device}"\n[hub]\nurl = "https://hub.example"\nkey_file = "/nowhere"\n'
        f'[state]\nfolder = "{state}"\n[spool]\nmin_free_bytes = 0\nmin_free_inodes = 0\n'
    )
    (state / "spool" / "hub").mkdir(parents=True)
    return file


def call(*words: str) -> tuple[int, str]:
    """The exit code of a command and all that it says."""
    result = CliRunner().invoke(app, ["spool", *words])
    return result.exit_code, result.output


def batch(number: int, device: str = DEVICE) -> bytes:
    builder = BatchBuilder("boot.0", {"device.id": device})
    builder.add(Tick("cpu", number * 1000, (Reading("cpu.load", number / 10, "1", digits=1),)))
    return builder.pack(None, {})


def sealed(config: Path, count: int, device: str = DEVICE) -> list[Identity]:
    """Seal so many batches into the spool; their identities."""

    async def scene() -> list[Identity]:
        async with opened(config) as (spool, _):
            lane, found = spool.lane("telemetry"), []
            for number in range(count):
                frame = Frame(FrameKind.TELEMETRY, lane.draw(), number, batch(number, device))
                assert await lane.append(frame)
                found.append(frame.identity)
            return found

    return asyncio.run(scene())


def held(config: Path) -> list[Identity]:
    """What the spool holds."""

    async def scene() -> Sequence[Frame]:
        async with opened(config) as (spool, _):
            return await spool.lane("telemetry").oldest(2**20, 1000)

    return [frame.identity for frame in asyncio.run(scene())]


def reject(config: Path, identities: Sequence[Identity]) -> None:
    """As after a hub's word on these."""

    async def scene() -> None:
        async with opened(config) as (spool, _):
            lane = spool.lane("telemetry")
            await lane.oldest(2**20, 1000)
            await lane.settle(dict.fromkeys(identities, Settlement("rejected", "bad_batch")))

    asyncio.run(scene())


def test_an_export_has_every_frame_as_it_was_sealed(config: Path, tmp_path: Path) -> None:
    numbers = sealed(config, 3)
    code, _said = call("export", str(tmp_path / "out.frames"), "--config", str(config))
    assert code == 0
    assert [frame.identity for frame in split((tmp_path / "out.frames").read_bytes())] == numbers


def test_an_export_as_json_has_a_document_a_line(config: Path, tmp_path: Path) -> None:
    sealed(config, 2)
    out = tmp_path / "out.json"
    assert call("export", str(out), "--form", "json", "--config", str(config))[0] == 0
    lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1]
    assert lines[0]["document"]["resource"] == {"device.id": DEVICE}


def test_an_export_never_writes_over_a_file(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept"
    out.write_bytes(b"something else")
    code, said = call("export", str(out), "--config", str(config))
    assert code == 1
    assert "is there already" in said
    assert out.read_bytes() == b"something else"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_has_no_room_for_an_export_is_named(config: Path) -> None:
    sealed(config, 1)
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - the descriptor is what is handed over
        command = [sys.executable, "-m", "edge_agent", "spool", "export", "-", "--config", str(config)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_exported_can_be_put_back_under_its_own_numbers(config: Path, tmp_path: Path) -> None:
    numbers = sealed(config, 3)
    out = tmp_path / "out.frames"
    assert call("export", str(out), "--config", str(config))[0] == 0
    other = config_of(DEVICE, tmp_path / "new", tmp_path / "new.toml")
    code, said = call("replay", str(out), "--config", str(other))
    assert (code, said.strip()) == (0, "3 of 3 frames are in the buffer")
    assert held(other) == numbers


def test_a_dead_letter_goes_back_into_the_buffer_and_leaves_its_folder(config: Path) -> None:
    numbers = sealed(config, 2)
    reject(config, numbers)
    assert held(config) == []
    assert "2 of 2 frames" in call("replay", "--config", str(config))[1]
    assert sorted(held(config)) == sorted(numbers)
    assert "0 of 0 frames" in call("replay", "--config", str(config))[1]


def test_another_devices_frames_are_not_taken_for_this_ones(config: Path, tmp_path: Path) -> None:
    sealed(config, 1, device="car-4")
    out = tmp_path / "out.frames"
    assert call("export", str(out), "--config", str(config))[0] == 0
    code, said = call("replay", str(out), "--config", str(config))
    assert code == 1
    assert "has frames of car-4, and this device is car-3" in said


def test_a_file_that_is_no_export_is_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of ours")
    code, said = call("replay", str(tmp_path / "notes.txt"), "--config", str(config))
    assert code == 1
    assert "notes.txt" in said


def test_a_spool_that_an_agent_has_is_not_changed(config: Path) -> None:
    async def scene() -> tuple[int, str]:
        async with opened(config):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, lambda: call("replay", "--config", str(config)))

    sealed(config, 1)
    code, said = asyncio.run(scene())
    assert code == 1
    assert "held by another process" in said
    assert os.linesep in said


def test_a_damaged_segment_is_written_anew_and_what_it_lost_is_declared(config: Path) -> None:
    numbers = sealed(config, 3)
    (segment,) = (config.parent / "state" / "spool" / "hub" / "telemetry").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 255
    segment.write_bytes(data)
    assert call("verify", "--config", str(config))[0] == 1
    assert call("repair", "--config", str(config)) == (0, "1 segments written anew; 1 batches lost\n")
    assert call("verify", "--config", str(config)) == (0, "every frame is whole\n")
    assert held(config) == [numbers[0], numbers[2]]
    assert call("repair", "--config", str(config)) == (0, "every segment is whole\n")
    (kept,) = (config.parent / "state" / "spool" / "hub" / "quarantine").iterdir()
    assert kept.read_bytes() == bytes(data)


def test_a_whole_buffer_is_thinned_to_a_size(config: Path) -> None:
    sealed(config, 300)
    code, said = call("thin", "--config", str(config))
    assert code == 0
    before, after = (float(word) for word in (said.split()[0], said.split()[3]))
    assert after <= before
    assert len(held(config)) < 300


def test_a_size_that_is_none_is_named(config: Path) -> None:
    sealed(config, 1)
    code, said = call("thin", "--to", "lots", "--config", str(config))
    assert code == 2
    assert "--to: a size is written as" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is another user's")
def test_what_root_makes_in_the_buffer_of_another_user_is_that_users(config: Path, tmp_path: Path) -> None:
    sealed(config, 800)
    state, foreign = tmp_path / "state", tmp_path / "foreign"
    foreign.write_bytes(b"")
    for path in (state, *state.rglob("*")):
        os.chown(path, 4321, 4321)
    hub = state / "spool" / "hub"
    (hub / "link").hardlink_to(foreign)
    (hub / "way").symlink_to(foreign)
    code, said = call("thin", "--config", str(config))
    assert code == 0, said
    (thinned,) = (hub / "telemetry").glob("*-10s.seg")
    assert thinned.stat().st_uid == 4321
    assert foreign.stat().st_uid == 0, "a link may lead anywhere"
