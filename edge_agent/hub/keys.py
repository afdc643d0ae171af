"""The hub's own secrets: drawn at the first start, kept in the store, so that one backup holds everything.

`epoch` names this life of the journal (16 hex digits); `token_secret` signs access tokens; `private` is the Ed25519 key
that signs instructions and configs, and `key_id` is made of its public half. The store's file must be readable by
the hub's user only. Does not handle: keys of people who sign elsewhere; their public keys are pinned on devices.
"""

import hashlib
import sqlite3
from typing import Literal

from edge_agent.hub.store import Store
from edge_agent.model.ports import Chance
from edge_agent.wire.envelope import public_of, sign

SCHEMA = "CREATE TABLE IF NOT EXISTS hub_secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"

_SIZES = {"epoch": 8, "token_secret": 32, "private": 32}


class Keyring:
    """Holds the secrets once `open` has read or drawn them."""

    def __init__(self, store: Store, chance: Chance) -> None:
        self._store, self._chance = store, chance
        self._secrets: dict[str, bytes] = {}
        self.key_id = ""

    async def open(self) -> None:
        """Read the secrets; draw and keep those that are missing."""
        drawn = {name: self._chance.randbytes(size) for name, size in _SIZES.items()}

        def kept(connection: sqlite3.Connection) -> dict[str, bytes]:
            connection.executemany("INSERT OR IGNORE INTO hub_secret VALUES (?, ?)", list(drawn.items()))
            return dict(connection.execute("SELECT name, value FROM hub_secret"))

        self._secrets = await self._store.write(kept)
        self.key_id = key_id_of(self._secrets["private"])

    @property
    def epoch(self) -> str:
        """The name of this life of the journal, 16 hex digits."""
        return self._secrets["epoch"].hex()

    @property
    def token_secret(self) -> bytes:
        """What signs access tokens: 32 bytes."""
        return self._secrets["token_secret"]

    @property
    def public(self) -> bytes:
        """The public half of the signing key: 32 bytes, pinned on devices."""
        return public_of(self._secrets["private"])

    def sign(self, purpose: Literal["instruction", "config"], body: bytes) -> bytes:
        """The envelope of a body, signed by the hub's key."""
        return sign(purpose, body, self.key_id, self._secrets["private"])


def key_id_of(private: bytes) -> str:
    """The name of a signing key, made of its public half."""
    return f"hub-{hashlib.sha256(public_of(private)).hexdigest()[:8]}"
