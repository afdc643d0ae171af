"""Backup and restore: a copy of one moment, and another life of the same hub."""

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.hub import backup
from edge_agent.hub.backup import Contents, put_back, save
from edge_agent.hub.folder import FILE, locked
from edge_agent.hub.settings import Settings
from edge_agent.hub.wiring import Hub
from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import Holding, Range
from edge_agent.wire.envelope import open_envelope
from edge_agent.wire.headers import format_inventory
from tests.hub.deliveries import batch, frame, ticks
from tests.hub.house import House, configure, instruct, opened, said
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

EPOCH = 0x51
STREAM = "/api/v1/devices/car-1/stream"
NOW = 1_800_000_000_000


def no_bar(_done: int, _all: int) -> None:
    """Nobody looks."""


async def deliver(house: House, numbers: Sequence[int], following: int, held: tuple[Range, ...] = ()) -> list[str]:
    """Push frames of these numbers, with what the device then holds; how each was settled."""
    headers = {
        "content-type": "application/vnd.edge.frames",
        "edge-spool": format_inventory([Holding("telemetry", EPOCH, following, held)]),
    }
    body = b"".join(frame(EPOCH, number, batch(ticks(number * 1000, 1))) for number in numbers)
    reply = await house.ask("POST", "/api/v1/telemetry", body, key=house.key, headers=headers)
    return [result["status"] for result in said(reply)["results"]]


async def audited(house: House) -> dict[str, Any]:
    reply = await house.ask("GET", "/api/v1/audit?device=car-1", key=house.key)
    (found,) = said(reply)["epochs"]
    parts = found["stored"] + found["thinned"] + sum(found["lost"].values()) + found["held"] + found["missing"]
    assert found["next"] == parts, found
    return dict(found)


async def reborn(kept: sqlite3.Connection, house: House) -> House:
    """Another life of a hub in memory, from its backup; opened, with the same key of its device."""
    clock = SimClock()
    backup.begin_anew(kept, clock.wall())
    kept.commit()
    hub = Hub(Settings(), clock, random.Random(99), InlineOffload())
    await hub.store.open()
    await hub.store.read(lambda connection: backup.copy(kept, connection))
    await hub.open()
    other = House(hub, clock)
    other.key = house.key
    other.admin = await other.let_in("ann", "admin")
    return other


def test_after_a_restore_the_sum_closes_and_only_what_was_acknowledged_since_is_lost() -> None:
    async def scene() -> None:
        with closing(sqlite3.connect(":memory:", check_same_thread=False)) as kept:
            async with opened() as house:
                assert set(await deliver(house, range(10), 10)) == {"stored"}
                await house.hub.store.read(partial(backup.copy, target=kept))
                # Of the later ones 17 to 19 were stored, and their answer was lost: the device still holds them.
                assert set(await deliver(house, range(10, 20), 20)) == {"stored"}
            later = await reborn(kept, house)
            assert await deliver(later, [22, 17, 3], 23, ((17, 23),)) == ["stored", "stored", "duplicate"]
            found = await audited(later)
            assert (found["stored"], found["lost"]) == (12, {"unaccounted": 7})
            assert (found["held"], found["missing"]) == (4, 0)
            assert await deliver(later, [18, 19, 20, 21], 23) == ["stored"] * 4
            found = await audited(later)
            assert (found["next"], found["stored"], found["lost"]) == (23, 16, {"unaccounted": 7})
            await later.hub.close()

    run(scene())


def test_a_restored_hub_resets_streams_ends_sessions_and_asks_nothing_again() -> None:
    async def scene() -> None:
        with closing(sqlite3.connect(":memory:", check_same_thread=False)) as kept:
            async with opened() as house:
                await configure(house, rate=1)
                waiting = await instruct(house)
                await house.hub.store.read(partial(backup.copy, target=kept))
                await configure(house, rate=2)
                async with house.stream(STREAM, key=house.key) as reader:
                    last = (await reader.until("instruction")).id
                epoch, private = house.hub.keyring.epoch, house.hub.keyring.public
            later = await reborn(kept, house)
            assert later.hub.keyring.epoch != epoch
            assert later.hub.keyring.public == private, "what devices pinned still holds"
            async with later.stream(STREAM, key=house.key, headers={"last-event-id": last}) as reader:
                assert [(await reader.next()).event for _ in range(2)] == ["hello", "reset"]
            assert (await later.ask("GET", "/api/v1/devices", token=house.viewer)).status == 401
            reply = await later.ask("GET", "/api/v1/devices/car-1/instructions", token=later.admin)
            (row,) = said(reply)["instructions"]
            assert (row["id"], row["state"]) == (waiting, "unknown")
            reply = await later.ask("GET", "/api/v1/devices/car-1/config", key=house.key)
            ring = later.hub.keyring
            _, body = open_envelope("config", reply.body, {ring.key_id: ring.public})
            assert orjson.loads(body)["values"] == {"rate": 1}
            assert orjson.loads(body)["version"] > 2
            assert await configure(later, rate=3) == orjson.loads(body)["version"] + 1
            await later.hub.close()

    run(scene())


async def furnished(folder: Path, count: int = 40) -> House:
    """A hub on a file that is full of something; open."""
    clock = SimClock()
    hub = Hub(Settings(), clock, random.Random(count), InlineOffload(), folder / FILE)
    await hub.open()
    house = House(hub, clock)
    await house.furnish()
    noise = random.Random(1)
    for number in range(count):
        body = batch(ticks(number * 1000, 2), resource={str(key): noise.randbytes(300).hex() for key in range(20)})
        reply = await house.ask(
            "POST",
            "/api/v1/telemetry",
            frame(EPOCH, number, body),
            key=house.key,
            headers={"content-type": "application/vnd.edge.frames"},
        )
        assert reply.status == 200
    return house


def frames_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("SELECT count(*) FROM frame").fetchone()[0])


def test_a_hub_that_stores_all_the_while_is_copied_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "kept"

    async def scene() -> Contents:
        house = await furnished(tmp_path)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as busy:
            busy.execute("INSERT INTO payload VALUES (99999, zeroblob(20000000))")
            steps: list[tuple[int, int]] = []

            def meanwhile(done: int, total: int) -> None:
                steps.append((done, total))
                busy.execute("INSERT INTO account_device VALUES (?, 1)", (f"new-{len(steps)}",))
                assert not file.exists()

            contents = save(tmp_path, file, meanwhile)
            assert len(steps) > 4
            assert steps == sorted(steps), "it never began anew"
            assert steps[-1][0] == steps[-1][1]
        await house.hub.close()
        return contents

    contents = run(scene())
    assert (contents.devices, contents.frames, contents.newest) == (1, 40, NOW)
    assert file.stat().st_mode & 0o777 == 0o600
    assert frames_in(file) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "kept"]


def test_a_copy_that_is_not_finished_has_no_name_and_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        house = await furnished(tmp_path)

        def stop(_done: int, _all: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, tmp_path / "kept", stop)
        await house.hub.close()

    run(scene())
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_an_older_backup_is_never_overwritten(tmp_path: Path) -> None:
    run(closed(tmp_path))
    save(tmp_path, tmp_path / "kept", no_bar)
    before = (tmp_path / "kept").read_bytes()
    with pytest.raises(DeviceError, match="stands already"):
        save(tmp_path, tmp_path / "kept", no_bar)
    assert (tmp_path / "kept").read_bytes() == before


async def closed(folder: Path, count: int = 40) -> None:
    """A hub that was furnished and stopped."""
    SystemDisk().make_folder(folder)
    house = await furnished(folder, count)
    await house.hub.close()


def test_where_no_hub_is_nothing_is_backed_up(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="there is no hub"):
        save(tmp_path, tmp_path / "kept", no_bar)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_makes_a_hub_where_none_was(tmp_path: Path) -> None:
    run(closed(tmp_path / "one"))
    save(tmp_path / "one", tmp_path / "kept", no_bar)
    contents, aside = put_back(tmp_path / "kept", tmp_path / "new" / "hub", NOW, no_bar, replace=False)
    assert (contents.frames, aside) == (40, None)
    database = tmp_path / "new" / "hub" / FILE
    assert (frames_in(database), database.stat().st_mode & 0o777) == (40, 0o600)


def test_a_hub_that_stands_is_replaced_only_on_demand_and_kept_with_all_it_stored(tmp_path: Path) -> None:
    folder = tmp_path / "hub"

    async def scene() -> Path:
        await closed(folder, 10)
        save(folder, tmp_path / "kept", no_bar)
        # One that never closed, as after kill -9: what it stored last is in its log.
        house = await furnished(folder, 30)
        with pytest.raises(DeviceError, match="stands already"):
            put_back(tmp_path / "kept", folder, NOW, no_bar, replace=False)
        assert (folder / f"{FILE}-wal").stat().st_size > 0
        _, aside = put_back(tmp_path / "kept", folder, NOW + 7, no_bar, replace=True)
        assert aside is not None
        assert not (folder / f"{FILE}-wal").exists(), "no database beside the log of another"
        assert frames_in(aside) == 30
        await house.hub.close()
        return aside

    aside = run(scene())
    assert aside.name == f"{FILE}.before-20270115T080000.007Z"
    assert (frames_in(aside), frames_in(folder / FILE)) == (30, 10)


def test_a_hub_that_serves_is_not_replaced(tmp_path: Path) -> None:
    run(closed(tmp_path))
    save(tmp_path, tmp_path / "kept", no_bar)
    with closing(locked(tmp_path)), pytest.raises(DeviceError, match="another hub serves"):
        put_back(tmp_path / "kept", tmp_path, NOW, no_bar, replace=True)


def make_foreign(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE song (name TEXT)")


def make_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")


def damage(file: Path) -> None:
    body = bytearray(file.read_bytes())
    for place in range(8 * 4096, len(body), 4096):
        body[place : place + 64] = b"\xa5" * 64
    file.write_bytes(body)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (make_foreign, "not the database of a hub"),
        (make_newer, "newer hub"),
        (damage, "damaged|malformed"),
        (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "damaged|malformed|not the database"),
        (lambda file: file.write_bytes(b"some words " * 1000), "not a database"),
        (lambda file: file.write_bytes(b""), "not the database of a hub"),
        (Path.unlink, "unable to open"),
    ],
)
def test_what_is_no_backup_is_refused_and_touches_nothing(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    folder, file = tmp_path / "hub", tmp_path / "kept"
    run(closed(folder))
    save(folder, file, no_bar)
    spoil(file)
    with pytest.raises(DeviceError, match=words) as found:
        put_back(file, folder, NOW, no_bar, replace=True)
    assert str(file) in str(found.value)
    assert found.value.hint
    assert frames_in(folder / FILE) == 40
    assert sorted(path.name for path in folder.iterdir()) == [FILE, "lock"]
