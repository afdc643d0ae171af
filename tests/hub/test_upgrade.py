"""A database of an earlier version: it opens, keeps what it knows, and goes on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.hub.intake import SCHEMA
from edge_agent.hub.store import StoreBroken
from edge_agent.hub.store.engine import VERSION
from edge_agent.hub.timeline import claims
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Holding
from edge_agent.wire.headers import format_inventory
from tests.hub.deliveries import batch, frame, hub, ticks
from tests.sim.loop import run

EPOCH = 0x77
ONE = batch(ticks(0, 10))
FIRST = """
CREATE TABLE epoch (
    sender INTEGER NOT NULL, epoch INTEGER NOT NULL, lane TEXT NOT NULL, next INTEGER NOT NULL,
    readings INTEGER NOT NULL, stored TEXT NOT NULL, thinned TEXT NOT NULL, lost TEXT NOT NULL, held TEXT NOT NULL,
    PRIMARY KEY (sender, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE axis (
    id INTEGER PRIMARY KEY, sender INTEGER NOT NULL, name TEXT NOT NULL,
    longest INTEGER NOT NULL, ceiling INTEGER NOT NULL, UNIQUE (sender, name)
) STRICT;
CREATE TABLE anchor (
    axis INTEGER NOT NULL, bucket INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (axis, bucket)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""Tables as version 1 had them, where a later one has them otherwise."""

SECOND = """
ALTER TABLE epoch ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE epoch ADD COLUMN thinned_readings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE epoch ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;
"""
"""What version 2 made of them."""

CLAIMS = (Anchor(90, 110, 5), Anchor(95, 125, 700_000))


def earlier(path: Path, version: int) -> None:
    """A database as an earlier hub left it: two frames of an epoch stored, one lost, one held, one nowhere."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
        connection.execute("INSERT INTO epoch VALUES (1, ?, 'telemetry', 5, 38, '[[0,2]]', '[]', ?, '[[3,4]]')",
                           (EPOCH, '{"quota":[[2,3]]}'))  # fmt: skip
        connection.execute("INSERT INTO axis VALUES (1, 1, 'boot-1', 9000, 70)")
        connection.executemany(
            "INSERT INTO anchor VALUES (1, ?, ?, ?, ?)", [(one.at // 600_000, *one) for one in CLAIMS]
        )
        if version == 2:
            connection.executescript(SECOND)
        tables = (part for part in SCHEMA.split(";") if "IF NOT EXISTS claim" not in part)
        connection.executescript(";".join(tables))
        connection.execute("INSERT INTO sender VALUES (1, 'car-3', 5, 5, '{}', 0, 0)")
        connection.commit()


@pytest.mark.parametrize("version", [1, 2])
def test_an_epoch_of_an_earlier_version_goes_on(tmp_path: Path, version: int) -> None:
    async def scene() -> None:
        earlier(tmp_path / "hub.db", version)
        async with hub(tmp_path / "hub.db") as at:
            found = await at.audit(EPOCH)
            assert (found["stored"], found["lost"], found["held"], found["told"]) == (2, {"quota": 1}, 1, 0)
            assert (found["missing_ranges"], found["readings"], found["thinned_readings"]) == ([[4, 5]], 38, 0)
            spool = {"edge-spool": format_inventory([Holding("telemetry", EPOCH, 6, ((5, 6),))])}
            assert await at.results(frame(EPOCH, 3, ONE), extra=spool) == ["stored"]
        async with hub(tmp_path / "hub.db") as at:
            found = await at.audit(EPOCH)
            assert (found["stored"], found["lost"], found["told"]) == (3, {"quota": 1, "unaccounted": 1}, 6)
            (found_version,) = await at.store.read(lambda db: db.execute("PRAGMA user_version").fetchone())
            assert found_version == VERSION

    run(scene())


@pytest.mark.parametrize("version", [1, 2])
def test_what_was_known_of_time_stays_as_claims(tmp_path: Path, version: int) -> None:
    async def scene() -> None:
        earlier(tmp_path / "hub.db", version)
        async with hub(tmp_path / "hub.db") as at:
            assert await at.store.read(lambda db: claims(db, 1)) == list(CLAIMS)
            assert await at.rows("sqlite_master WHERE name = 'anchor'") == 0
            rows = await at.store.read(lambda db: db.execute("SELECT name, longest, ceiling, era FROM axis").fetchall())
            assert rows == [("boot-1", 9000, 70, 0)]

    run(scene())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("table", ["epoch", "axis", "claim"])
def test_an_upgraded_table_has_the_columns_of_a_new_one_in_their_order(
    tmp_path: Path, version: int, table: str
) -> None:
    async def scene() -> None:
        found = []
        earlier(tmp_path / "old.db", version)
        for name in ("old.db", "new.db"):
            async with hub(tmp_path / name) as at:
                rows = await at.store.read(lambda db: db.execute(f"PRAGMA table_info({table})").fetchall())
                found.append([row[1:] for row in rows])
        assert found[0] == found[1]

    run(scene())


def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        with closing(sqlite3.connect(tmp_path / "hub.db")) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        with pytest.raises(StoreBroken, match="newer hub"):
            async with hub(tmp_path / "hub.db"):
                pass

    run(scene())
