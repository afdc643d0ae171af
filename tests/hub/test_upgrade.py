"""A database of an earlier version: it opens, keeps what it knows, and goes on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.hub.intake import SCHEMA
from edge_agent.hub.store import StoreBroken
from edge_agent.hub.store.engine import VERSION
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
PRAGMA user_version = 1;
"""
"""The table of epochs as version 1 had it."""


def first_version(path: Path) -> None:
    """A database as a hub of version 1 left it: two frames of an epoch stored, one lost, one held, one nowhere."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST + SCHEMA)
        connection.execute("INSERT INTO sender VALUES (1, 'car-3', 5, 5, '{}', 0, 0)")
        connection.execute("INSERT INTO epoch VALUES (1, ?, 'telemetry', 5, 38, '[[0,2]]', '[]', ?, '[[3,4]]')",
                           (EPOCH, '{"quota":[[2,3]]}'))  # fmt: skip
        connection.commit()


def test_an_epoch_of_the_first_version_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        first_version(tmp_path / "hub.db")
        async with hub(tmp_path / "hub.db") as at:
            found = await at.audit(EPOCH)
            assert (found["stored"], found["lost"], found["held"], found["told"]) == (2, {"quota": 1}, 1, 0)
            assert (found["missing_ranges"], found["readings"], found["thinned_readings"]) == ([[4, 5]], 38, 0)
            spool = {"edge-spool": format_inventory([Holding("telemetry", EPOCH, 6, ((5, 6),))])}
            assert await at.results(frame(EPOCH, 3, ONE), extra=spool) == ["stored"]
        async with hub(tmp_path / "hub.db") as at:
            found = await at.audit(EPOCH)
            assert (found["stored"], found["lost"], found["told"]) == (3, {"quota": 1, "unaccounted": 1}, 6)
            (version,) = await at.store.read(lambda db: db.execute("PRAGMA user_version").fetchone())
            assert version == VERSION

    run(scene())


def test_an_upgraded_table_has_the_columns_of_a_new_one_in_their_order(tmp_path: Path) -> None:
    async def scene() -> None:
        found = []
        first_version(tmp_path / "old.db")
        for name in ("old.db", "new.db"):
            async with hub(tmp_path / name) as at:
                rows = await at.store.read(lambda db: db.execute("PRAGMA table_info(epoch)").fetchall())
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
