"""A hub whose store is full or broken: it says so, refuses to store, and goes on with everything else."""

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from edge_agent.hub.settings import Limits, Settings
from edge_agent.hub.wiring import Hub
from edge_agent.kit.scopes import running
from tests.hub.deliveries import batch, frame, ticks
from tests.hub.house import OK, House, alive, instruct, opened, push, said
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

MIB = 2**20
EPOCH = 0x77


def large(seq: int) -> bytes:
    """A frame of about 50 KiB, which packs no smaller."""
    noise = random.Random(seq)
    resource = {str(key): noise.randbytes(500).hex() for key in range(100)}
    return frame(EPOCH, seq, batch(ticks(seq * 1000, 1), resource=resource))


async def fill(house: House, first: int = 0) -> int:
    """Push until the hub takes no more; the number of the first frame that it refused."""
    for seq in range(first, first + 500):
        reply = await push(house, large(seq))
        if reply.status != 200:
            assert (reply.status, said(reply)["code"]) == (503, "store_full")
            assert int(reply.headers["retry-after"]) > 0
            return seq
    raise AssertionError("it is never full")


async def stored(house: House) -> int:
    reply = await house.ask("GET", "/api/v1/audit?device=car-1", key=house.key)
    return sum(epoch["stored"] for epoch in said(reply)["epochs"])


async def check_alive(house: House) -> None:
    """What a full hub still does: it lets people in, shows them all, and follows instructions."""
    token = await house.let_in("eve", "admin")
    assert (await house.ask("GET", "/api/v1/devices", token=token)).status == 200
    assert (await house.ask("GET", "/api/v1/series?device=car-1", token=token)).status == 200
    house.admin = token
    identity = await instruct(house)
    async with house.stream("/api/v1/devices/car-1/stream", key=house.key) as reader:
        assert identity in (await reader.until("instruction")).data
        await reader.until("keepalive")


async def told(house: House) -> tuple[str, str, str]:
    """The store as `/readyz`, `/metrics` and the page have it."""
    house.viewer = await house.let_in("vic", "viewer")
    ready = (await house.ask("GET", "/readyz")).body.decode()
    lines = (await house.ask("GET", "/metrics")).body.decode().splitlines()
    (counted,) = (
        line.partition('"')[2].partition('"')[0]
        for line in lines
        if line.startswith("edge_hub_store{") and line.endswith(" 1")
    )
    page = said(await house.ask("GET", "/api/v1/devices", token=house.viewer))["store"]
    return ready.splitlines()[0], counted, page["state"]


def test_a_full_hub_refuses_what_devices_send_and_goes_on_with_the_rest() -> None:
    async def scene() -> None:
        async with alive(Settings(clock_error=0.1, limits=Limits(store=4 * MIB))) as house:
            assert await told(house) == ("ok", "ok", "ok")
            first = await fill(house)
            assert await stored(house) == first
            await check_alive(house)
            began = house.clock.wall()
            ready, counted, page = await told(house)
            assert ready.startswith("store full since 2027-01-15T08:00:")
            assert (counted, page) == ("full", "full")
            await house.clock.sleep(3600)
            house.viewer = await house.let_in("vic", "viewer")
            found = said(await house.ask("GET", "/api/v1/devices", token=house.viewer))["store"]
            assert abs(found["since"] - began) <= 20_000
            assert "limits.store" in found["note"]
            assert (await push(house, large(first))).status == 503
            assert await stored(house) == first, "nothing by halves"

    with capture_logs() as logged:
        run(scene())
    assert [line["state"] for line in logged if line["event"] == "store"] == ["full"], "told once"


def test_what_is_past_its_time_makes_room_and_nothing_goes_sooner() -> None:
    async def scene() -> None:
        async with alive(Settings(clock_error=0.1, limits=Limits(store=4 * MIB), retention=3600.0)) as house:
            first = await fill(house)
            await house.clock.sleep(3500)
            assert (await push(house, large(first))).status == 503
            assert await house.hub.store.read(lambda db: db.execute("SELECT count(*) FROM payload").fetchone()) == (
                first,
            )
            await house.clock.sleep(120)
            assert (await push(house, large(first))).status == 200
            assert await stored(house) == first + 1
            assert (await told(house))[1:] == ("ok", "ok")

    with capture_logs():
        run(scene())


def test_where_the_oldest_may_go_sooner_the_newest_is_always_taken() -> None:
    async def scene() -> None:
        settings = Settings(clock_error=0.1, limits=Limits(store=4 * MIB), drop_oldest=True)
        async with alive(settings) as house:
            for seq in range(120):
                assert (await push(house, large(seq))).status == 200
                await house.clock.sleep(10)
            assert await stored(house) == 120
            kept = await house.hub.store.read(
                lambda db: db.execute("SELECT seq FROM payload JOIN frame ON frame.id = frame ORDER BY seq").fetchall()
            )
            assert [seq for (seq,) in kept] == list(range(120 - len(kept), 120))
            assert len(kept) > 30

    run(scene())


@asynccontextmanager
async def living(settings: Settings, database: Path) -> AsyncIterator[House]:
    """A hub on a file that lives."""
    async with opened(settings, database) as house, running(house.hub):
        yield house


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def take_all(folder: Path) -> Path:
    """What another program may do: take every byte that is left."""
    hog = folder / "hog"
    with suppress(OSError), hog.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    assert os.statvfs(folder).f_bavail == 0
    return hog


def test_a_full_disk_is_told_and_readers_are_served_and_what_comes_when_there_is_room_is_taken(
    small_disk: Path,
) -> None:
    async def scene() -> None:
        async with living(
            Settings(clock_error=0.1, limits=Limits(store=16 * MIB), retention=3600.0), small_disk / "hub.sqlite"
        ) as house:
            first = await fill(house)
            assert await stored(house) == first
            await check_alive(house)
            hog = take_all(small_disk)
            statuses = {(await push(house, large(first))).status for _ in range(3)}
            assert statuses == {503}
            await house.clock.sleep(60)
            assert (await house.ask("GET", "/api/v1/devices", token=house.admin)).status == 200
            assert b"store full" in (await house.ask("GET", "/readyz")).body
            assert await stored(house) == first
            hog.unlink()
            await house.clock.sleep(3700)
            assert (await push(house, large(first))).status == 200
            assert await stored(house) == first + 1
            assert (await told(house))[1:] == ("ok", "ok")

    with capture_logs():
        run(scene())


def test_a_hub_that_begins_on_a_full_disk_shows_what_it_has(small_disk: Path) -> None:
    settings, database = Settings(clock_error=0.1, limits=Limits(store=16 * MIB)), small_disk / "hub.sqlite"

    async def scene() -> None:
        async with living(settings, database) as house:
            first = await fill(house)
        shared = small_disk / "shared"
        shared.write_bytes(b"x" * 65536)  # what SQLite takes for its readers, whatever is written
        hog = take_all(small_disk)
        shared.unlink()
        clock = SimClock()
        hub = Hub(settings, clock, random.Random(8), InlineOffload(), database)
        await hub.open()
        again = House(hub, clock)
        again.key = house.key
        async with running(hub):
            assert await stored(again) == first
            assert (await push(again, large(first))).status == 503
            assert b"store full" in (await again.ask("GET", "/readyz")).body
            hog.unlink()
            await clock.sleep(60)
            assert (await again.ask("GET", "/readyz")).body == OK
            assert (await push(again, large(first))).status == 200
        await hub.close()

    with capture_logs():
        run(scene())


def set_trap(connection: sqlite3.Connection) -> None:
    """Make every frame, and whatever is tried instead, fail."""
    for table in ("frame", "probe"):
        connection.execute(f"CREATE TRIGGER break_{table} BEFORE INSERT ON {table} BEGIN SELECT missing(); END")


def lift_trap(connection: sqlite3.Connection) -> None:
    for table in ("frame", "probe"):
        connection.execute(f"DROP TRIGGER break_{table}")


def test_a_broken_store_is_told_until_it_can_be_written_again() -> None:
    async def scene() -> None:
        async with alive() as house:
            await house.hub.store.write(set_trap)
            reply = await push(house, large(0))
            assert (reply.status, said(reply)["code"]) == (503, "unavailable")
            await house.clock.sleep(60)
            ready = await house.ask("GET", "/readyz")
            assert (ready.status, ready.body.startswith(b"store broken since 2027-01-15T08:00:")) == (503, True)
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 200
            await house.hub.store.write(lift_trap)
            await house.clock.sleep(15)
            assert (await house.ask("GET", "/readyz")).body == OK
            assert (await push(house, large(0))).status == 200

    with capture_logs() as logged:
        run(scene())
    assert [line["state"] for line in logged if line["event"] == "store"] == ["broken", "ok"]


def test_even_what_is_small_is_refused_whole_once_nothing_is_left() -> None:
    async def scene() -> None:
        async with alive(Settings(clock_error=0.1, limits=Limits(store=400 * 1024))) as house:
            path, reply = "/api/v1/devices/car-1/config", None
            for number in range(100):
                body: Any = {"values": {"fill": "x" * 16_000, "number": number}}
                reply = await house.ask("PUT", path, body, token=house.admin)
                if reply.status != 200:
                    break
            assert reply is not None
            assert (reply.status, said(reply)["code"]) == (503, "store_full")
            assert (await house.ask("GET", path, key=house.key)).status in {200, 503}
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 200
            assert (await house.ask("GET", "/readyz")).status == 200
            async with house.stream("/api/v1/devices/car-1/stream", key=house.key) as reader:
                for _ in range(60):
                    sign = await reader.until("keepalive")
                assert orjson.loads(sign.data)["hub_time"] == house.clock.wall()

    with capture_logs():
        run(scene())
