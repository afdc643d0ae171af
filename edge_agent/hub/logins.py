"""People: one-time login tokens, short access tokens, rotating refresh cookies. There is no password anywhere.

`hub token` (or the first start) makes a login token: 256 random bits, kept as a hash, good once and for 15 minutes.
Login trades it for an access token (JWT, HS256, 15 min) and a refresh cookie that each refresh replaces. A cookie
that comes a second time was copied: its whole family ends. Attempts are bounded for each peer. Access tokens are not
revoked one by one: logout ends the cookie, and the access token runs out by itself.
"""

import hmac
import sqlite3
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from types import ModuleType
from typing import Literal

from edge_agent.hub.accounts import drawn, hashed
from edge_agent.hub.exchange import Ask, Caller, Reply
from edge_agent.hub.forms import LoginForm, Session, read_body, reply
from edge_agent.hub.keys import Keyring
from edge_agent.hub.router import problem, refused
from edge_agent.hub.store import Store
from edge_agent.model.failure import DeviceError
from edge_agent.model.ports import Chance, Clock

SCHEMA = """
CREATE TABLE IF NOT EXISTS login_token (
    hash BLOB PRIMARY KEY, user TEXT NOT NULL, role TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS login_refresh (
    hash BLOB PRIMARY KEY, family BLOB NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL,
    expires_at INTEGER NOT NULL, spent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS login_refresh_family ON login_refresh (family);
"""

PersonRole = Literal["viewer", "admin"]

COOKIE = "edge_refresh"
ACCESS_SECONDS = 900
_INVITED_MS = 15 * 60_000
_REFRESH_SECONDS = 7 * 86_400
_ISSUER = "edge-hub"
_MOST_PEERS = 4096
_ATTEMPTS = 10
_ATTEMPT_MS = 6_000
"""A peer has ten attempts at hand and gets one back each six seconds."""


@dataclass(frozen=True, slots=True)
class _Person:
    user: str
    role: PersonRole


class Logins:
    """Knows people by their tokens, and gives them tokens."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, keyring: Keyring) -> None:
        self._store, self._clock, self._chance, self._keyring = store, clock, chance, keyring
        # Peer to the axis time at which all its attempts are back: one number is a whole token bucket.
        self._attempts: dict[str, int] = {}

    async def invite(self, user: str, role: PersonRole) -> str:
        """A one-time login token."""
        token, expires = drawn(self._chance, ""), self._clock.wall() + _INVITED_MS
        await self._store.write(
            lambda connection: connection.execute(
                "INSERT INTO login_token VALUES (?, ?, ?, ?)", (hashed(token), user, role, expires)
            )
        )
        return token

    async def identify(self, secret: str) -> Caller | None:
        """The person whose access token this is, while it is good."""
        jwt = _jwt()
        # Its age is judged by the clock that was given, not by the one that the library would find.
        options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "sub"]}
        try:
            claims = jwt.decode(
                secret, self._keyring.token_secret, algorithms=["HS256"], issuer=_ISSUER, options=options
            )
        except (jwt.PyJWTError, UnicodeError):
            return None
        role, user, expires = claims.get("role"), claims["sub"], claims["exp"]
        if role not in {"viewer", "admin"} or not isinstance(expires, int) or expires * 1000 <= self._clock.wall():
            return None
        return Caller(role, user)

    async def login(self, ask: Ask) -> Reply:
        """Trade a one-time token for an access token and a refresh cookie."""
        if (wait := self._hurry(ask.caller.name)) is not None:
            return wait
        form = read_body(LoginForm, ask.request)
        token, fresh, family = hashed(form.token), drawn(self._chance, ""), self._chance.randbytes(16)
        now = ask.received_at

        def traded(connection: sqlite3.Connection) -> _Person | None:
            person = _redeemed(connection, token, now)
            if person is not None:
                _keep(connection, hashed(fresh), family, person, now)
            return person

        person = await self._store.write(traded)
        if person is None:
            return refused(problem(401, "unauthorized", "This login token is not known, was used, or is too old."))
        self._attempts.pop(ask.caller.name, None)
        return self._session(ask, person, fresh)

    async def refresh(self, ask: Ask) -> Reply:
        """Trade the refresh cookie for a new one and a new access token."""
        if (wait := self._hurry(ask.caller.name)) is not None:
            return wait
        given, fresh, now = hashed(_cookie(ask)), drawn(self._chance, ""), ask.received_at

        def traded(connection: sqlite3.Connection) -> _Person | None:
            row = connection.execute(
                "SELECT family, user, role, expires_at, spent FROM login_refresh WHERE hash = ?", (given,)
            ).fetchone()
            if row is None:
                return None
            family, user, role, expires, spent = row
            if spent or expires <= now:
                connection.execute("DELETE FROM login_refresh WHERE family = ?", (family,))
                return None
            connection.execute("UPDATE login_refresh SET spent = 1 WHERE hash = ?", (given,))
            person = _Person(user, role)
            _keep(connection, hashed(fresh), family, person, now)
            return person

        person = await self._store.write(traded)
        if person is None:
            return refused(problem(401, "unauthorized", "Log in again."), {"set-cookie": _written("", 0, ask)})
        self._attempts.pop(ask.caller.name, None)
        return self._session(ask, person, fresh)

    async def logout(self, ask: Ask) -> Reply:
        """End the cookie and every one that came from the same login."""
        given = hashed(_cookie(ask))
        await self._store.write(
            lambda connection: connection.execute(
                "DELETE FROM login_refresh WHERE family = (SELECT family FROM login_refresh WHERE hash = ?)", (given,)
            )
        )
        return Reply(204, headers={"set-cookie": _written("", 0, ask)})

    def _session(self, ask: Ask, person: _Person, fresh: str) -> Reply:
        issued = ask.received_at // 1000
        claims = {
            "iss": _ISSUER,
            "sub": person.user,
            "role": person.role,
            "iat": issued,
            "exp": issued + ACCESS_SECONDS,
            "jti": self._chance.randbytes(8).hex(),
        }
        access = _jwt().encode(claims, self._keyring.token_secret, algorithm="HS256")
        session = Session(access_token=access, expires_in=ACCESS_SECONDS, role=person.role, user=person.user)
        made = reply(session)
        cookie = _written(fresh, _REFRESH_SECONDS, ask)
        return Reply(made.status, made.body, headers={**made.headers, "set-cookie": cookie})

    def _hurry(self, peer: str) -> Reply | None:
        """Count an attempt; the refusal when there were too many."""
        now = self._clock.now()
        if len(self._attempts) >= _MOST_PEERS:
            # The count must stay bounded. Forgetting it costs nothing that matters: a token cannot be guessed.
            self._attempts = {}
        full = max(self._attempts.get(peer, now), now) + _ATTEMPT_MS
        over = full - (now + _ATTEMPTS * _ATTEMPT_MS)
        if over > 0:
            wait = {"retry-after": str(-(-over // 1000))}
            return refused(problem(429, "unavailable", "Too many logins were tried."), wait)
        self._attempts[peer] = full
        return None


def _redeemed(connection: sqlite3.Connection, token: bytes, now: int) -> _Person | None:
    connection.execute("DELETE FROM login_token WHERE expires_at <= ?", (now,))
    row = connection.execute("SELECT hash, user, role FROM login_token WHERE hash = ?", (token,)).fetchone()
    if row is None or not hmac.compare_digest(row[0], token):
        return None
    connection.execute("DELETE FROM login_token WHERE hash = ?", (token,))
    return _Person(row[1], row[2])


def _keep(connection: sqlite3.Connection, digest: bytes, family: bytes, person: _Person, now: int) -> None:
    connection.execute("DELETE FROM login_refresh WHERE expires_at <= ?", (now,))
    connection.execute(
        "INSERT INTO login_refresh (hash, family, user, role, expires_at) VALUES (?, ?, ?, ?, ?)",
        (digest, family, person.user, person.role, now + _REFRESH_SECONDS * 1000),
    )


def _cookie(ask: Ask) -> str:
    try:
        found = SimpleCookie(ask.request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _written(value: str, seconds: int, ask: Ask) -> str:
    # A browser keeps a Secure cookie only over TLS, and a hub on loopback speaks plain http.
    secure = "; Secure" if ask.request.headers.get("x-forwarded-proto") == "https" else ""
    return f"{COOKIE}={value}; Max-Age={seconds}; Path=/api/v1/auth; HttpOnly; SameSite=Strict{secure}"


def _jwt() -> ModuleType:
    """The library of the `hub` extra, imported on first use."""
    try:
        import jwt  # noqa: PLC0415 - an extra: the error must say how to get it
    except ImportError:
        raise DeviceError("the hub needs PyJWT", hint="pip install 'edge-agent[hub]'") from None
    return jwt
