"""Devices and their keys: a key is 256 random bits, shown once, kept as its SHA-256.

A device may hold two keys while it changes from one to the other: the first use of a newer key ends the older ones, so
that a lost answer never locks a device out; who wants a key ended at once (a card that was lost) says so. Known keys
are kept in memory for a minute, so that another process (`hub device`) may give a new one; `review` forgets those that
have ended meanwhile. A fast hash is right here: 256 random bits cannot be guessed. Devices cannot be removed here.
"""

import base64
import hashlib
import hmac
import re
import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from edge_agent.hub.exchange import Caller
from edge_agent.hub.store import Store
from edge_agent.model.failure import ConfigError
from edge_agent.model.ports import Chance, Clock

SCHEMA = """
CREATE TABLE IF NOT EXISTS account_device (id TEXT PRIMARY KEY, added_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account_key (
    hash BLOB PRIMARY KEY, device TEXT NOT NULL REFERENCES account_device (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS account_key_of ON account_key (device, number);
"""

_PREFIX = "edge_"
_KEY = re.compile(r"edge_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REMEMBERED_MS = 60_000
_MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    device: str
    until: int


def hashed(secret: str) -> bytes:
    """What the hub keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def drawn(chance: Chance, prefix: str) -> str:
    """A new secret of 256 random bits in URL-safe letters."""
    return prefix + base64.urlsafe_b64encode(chance.randbytes(32)).rstrip(b"=").decode()


class Accounts:
    """The devices that this hub knows."""

    def __init__(self, store: Store, clock: Clock, chance: Chance) -> None:
        self._store, self._clock, self._chance = store, clock, chance
        self._known: dict[bytes, _Known] = {}

    async def add_device(self, device: str, *, alone: bool = False) -> str:
        """A new key for a device, which is added when it is new; ConfigError for an id that cannot be one.

        `alone` ends every key that it had, at once.
        """
        if not _ID.fullmatch(device):
            raise ConfigError(
                f"{device!r} cannot be the id of a device",
                hint="use at most 64 letters, digits, dots, dashes and underscores",
            )
        key, now = drawn(self._chance, _PREFIX), self._clock.wall()

        def added(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO account_device VALUES (?, ?)", (device, now))
            if alone:
                connection.execute("DELETE FROM account_key WHERE device = ?", (device,))
            _give(connection, device, hashed(key))

        await self._store.write(added)
        return key

    async def review(self) -> AbstractSet[bytes]:
        """Forget the keys that have ended, by whatever process; the hashes of all that stand."""
        standing = await self._store.read(
            lambda connection: frozenset(digest for (digest,) in connection.execute("SELECT hash FROM account_key"))
        )
        self._known = {digest: known for digest, known in self._known.items() if digest in standing}
        return standing

    async def change_key(self, device: str, key: str) -> bool:
        """Take a key that the device made; the old one holds until this one is used. False when it is not one."""
        if not _KEY.fullmatch(key):
            return False
        await self._store.write(lambda connection: _give(connection, device, hashed(key)))
        return True

    async def devices(self) -> Sequence[tuple[str, int]]:
        """Every device and when it was added (Unix ms), sorted."""
        found: list[tuple[str, int]] = await self._store.read(
            lambda connection: connection.execute("SELECT id, added_at FROM account_device ORDER BY id").fetchall()
        )
        return found

    async def identify(self, secret: str) -> Caller | None:
        """The device whose key this is."""
        if not _KEY.fullmatch(secret):
            return None
        digest, now = hashed(secret), self._clock.now()
        known = self._known.get(digest)
        if known is not None and known.until > now and hmac.compare_digest(known.digest, digest):
            return Caller("device", known.device)
        found = await self._store.read(lambda connection: _owner(connection, digest))
        if found is None:
            self._known.pop(digest, None)
            return None
        device, used = found
        if not used:
            await self._store.write(lambda connection: _settle(connection, device, digest))
            self._known = {other: known for other, known in self._known.items() if known.device != device}
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = _Known(digest, device, now + _REMEMBERED_MS)
        return Caller("device", device)


def _give(connection: sqlite3.Connection, device: str, digest: bytes) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO account_key (hash, device, number)"
        " SELECT ?, ?, coalesce(max(number), 0) + 1 FROM account_key WHERE device = ?",
        (digest, device, device),
    )
    # Never used ones in between are replaced, so that a device that asks again and again holds two at most.
    connection.execute(
        "DELETE FROM account_key WHERE device = ? AND used = 0 AND hash <> ?"
        " AND EXISTS (SELECT 1 FROM account_key WHERE device = ? AND used = 1)",
        (device, digest, device),
    )


def _owner(connection: sqlite3.Connection, digest: bytes) -> tuple[str, bool] | None:
    row = connection.execute("SELECT hash, device, used FROM account_key WHERE hash = ?", (digest,)).fetchone()
    if row is None or not hmac.compare_digest(row[0], digest):
        return None
    return row[1], bool(row[2])


def _settle(connection: sqlite3.Connection, device: str, digest: bytes) -> None:
    connection.execute("UPDATE account_key SET used = 1 WHERE hash = ?", (digest,))
    connection.execute(
        "DELETE FROM account_key WHERE device = ? AND number < (SELECT number FROM account_key WHERE hash = ?)",
        (device, digest),
    )
