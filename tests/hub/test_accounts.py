"""Who is let in: device keys, login tokens, sessions."""

import base64
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest

from edge_agent.hub.exchange import Caller, Reply
from edge_agent.model.failure import ConfigError
from tests.hub.house import House, opened, said
from tests.sim.loop import run

LOGIN, REFRESH, LOGOUT = (f"/api/v1/auth/{word}" for word in ("login", "refresh", "logout"))


def cookie_of(reply: Reply) -> dict[str, str]:
    return {"cookie": reply.headers["set-cookie"].partition(";")[0]}


async def logged_in(house: House, role: str = "viewer") -> Reply:
    token = await house.hub.logins.invite("vera", role)  # type: ignore[arg-type]
    return await house.ask("POST", LOGIN, {"token": token})


def test_a_key_names_its_device_and_is_kept_as_a_hash_only(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(database=tmp_path / "hub.sqlite") as house:
            accounts = house.hub.accounts
            key = await accounts.add_device("car-2")
            assert len(key) == len("edge_") + 43
            assert await accounts.identify(key) == await accounts.identify(key) == Caller("device", "car-2")
            for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), key[5:], "", "edge_", "\ud800"):
                assert await accounts.identify(wrong) is None
            secrets.extend((key.encode(), house.admin.encode()))

    secrets: list[bytes] = []
    run(scene())
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert kept
    assert not any(secret in kept for secret in secrets)


@pytest.mark.parametrize("wrong", ["", "-a", "a/b", "a b", "ä", "x" * 65])
def test_an_id_that_cannot_be_in_a_path_is_refused(wrong: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            with pytest.raises(ConfigError):
                await house.hub.accounts.add_device(wrong)

    run(scene())


def test_the_first_use_of_a_new_key_ends_the_old_one() -> None:
    async def scene() -> None:
        async with opened() as house:
            accounts = house.hub.accounts
            assert await accounts.identify(house.key)
            new = "edge_" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
            path = "/api/v1/devices/car-1/key"
            assert (await house.ask("POST", path, {"key": "edge_short"}, key=house.key)).status == 400
            assert (await house.ask("POST", path, {"key": new}, key=house.key)).status == 204
            assert (await house.ask("POST", path, {"key": new}, key=house.key)).status == 204
            assert await accounts.identify(house.key)
            assert await accounts.identify(new)
            assert await accounts.identify(house.key) is None

    run(scene())


def test_a_login_token_is_good_once_and_for_a_quarter_of_an_hour() -> None:
    async def scene() -> None:
        async with opened() as house:
            token = await house.hub.logins.invite("vera", "viewer")
            first = await house.ask("POST", LOGIN, {"token": token})
            assert (said(first)["role"], said(first)["user"]) == ("viewer", "vera")
            assert (await house.ask("POST", LOGIN, {"token": token})).status == 401
            late = await house.hub.logins.invite("vera", "viewer")
            await house.clock.sleep(15 * 60)
            assert (await house.ask("POST", LOGIN, {"token": late})).status == 401

    run(scene())


def test_an_access_token_runs_out_by_the_given_clock() -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 200
            await house.clock.sleep(899)
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 200
            await house.clock.sleep(1)
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 401

    run(scene())


def test_a_forged_access_token_is_refused() -> None:
    async def scene() -> None:
        async with opened() as house:
            claims = {"iss": "edge-hub", "sub": "eve", "role": "admin", "exp": 2**33}
            secret = house.hub.keyring.token_secret
            forged = [
                "",
                "a.b.c",
                "ä",
                jwt.encode(claims, bytes(32), algorithm="HS256"),
                jwt.encode(claims, "", algorithm="none"),
                jwt.encode({**claims, "role": "root"}, secret),
                jwt.encode({**claims, "iss": "other"}, secret),
                jwt.encode({**claims, "exp": 1}, secret),
                jwt.encode({name: claim for name, claim in claims.items() if name != "exp"}, secret),
            ]
            for token in forged:
                assert await house.hub.logins.identify(token) is None
            assert await house.hub.logins.identify(jwt.encode(claims, secret)) == Caller("admin", "eve")

    run(scene())


def test_a_refresh_cookie_changes_each_time_and_a_copy_ends_all_of_them() -> None:
    async def scene() -> None:
        async with opened() as house:
            first = await logged_in(house, "admin")
            assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
            second = await house.ask("POST", REFRESH, headers=cookie_of(first))
            assert said(second)["role"] == "admin"
            third = await house.ask("POST", REFRESH, headers=cookie_of(second))
            assert third.status == 200
            assert (await house.ask("POST", REFRESH, headers=cookie_of(first))).status == 401
            assert (await house.ask("POST", REFRESH, headers=cookie_of(third))).status == 401

    run(scene())


@pytest.mark.parametrize("cookie", ["", "edge_refresh=", "edge_refresh=x", "=;;=", 'edge_refresh="\\377"', "\x00"])
def test_a_strange_cookie_is_nobodys(cookie: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("POST", REFRESH, headers={"cookie": cookie})).status == 401
            assert (await house.ask("POST", LOGOUT, headers={"cookie": cookie})).status == 204

    run(scene())


def test_logout_ends_the_cookie() -> None:
    async def scene() -> None:
        async with opened() as house:
            session = await logged_in(house)
            out = await house.ask("POST", LOGOUT, headers=cookie_of(session))
            assert "Max-Age=0" in out.headers["set-cookie"]
            assert (await house.ask("POST", REFRESH, headers=cookie_of(session))).status == 401

    run(scene())


def test_a_cookie_is_secure_behind_tls() -> None:
    async def scene() -> None:
        async with opened() as house:
            token = await house.hub.logins.invite("vera", "viewer")
            reply = await house.ask("POST", LOGIN, {"token": token}, headers={"x-forwarded-proto": "https"})
            assert reply.headers["set-cookie"].endswith("; Secure")

    run(scene())


def test_a_peer_that_guesses_has_to_wait_and_others_do_not() -> None:
    async def scene() -> None:
        async with opened() as house:
            statuses = [(await house.ask("POST", LOGIN, {"token": "x"}, peer="eve")).status for _ in range(11)]
            assert statuses == [401] * 10 + [429]
            wait = int((await house.ask("POST", LOGIN, {"token": "x"}, peer="eve")).headers["retry-after"])
            assert 0 < wait <= 6
            assert (await house.ask("POST", LOGIN, {"token": "x"}, peer="bob")).status == 401
            await house.clock.sleep(wait)
            assert (await house.ask("POST", LOGIN, {"token": "x"}, peer="eve")).status == 401

    run(scene())


def test_secrets_survive_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        database = tmp_path / "hub.sqlite"
        async with opened(database=database) as first:
            ring = first.hub.keyring
            before = (ring.epoch, ring.token_secret, ring.public, ring.key_id)
            key = first.key
        async with opened(database=database, seed=8) as second:
            ring = second.hub.keyring
            assert (ring.epoch, ring.token_secret, ring.public, ring.key_id) == before
            assert await second.hub.accounts.identify(key) == Caller("device", "car-1")

    run(scene())


def test_the_key_of_a_new_device_is_shown_once() -> None:
    async def scene() -> None:
        async with opened() as house:
            reply = await house.ask("POST", "/api/v1/devices", {"id": "car-9"}, token=house.admin)
            assert reply.status == 201
            assert await house.hub.accounts.identify(said(reply)["key"]) == Caller("device", "car-9")
            listed = await house.ask("GET", "/api/v1/devices", token=house.viewer)
            assert [row["id"] for row in said(listed)["devices"]] == ["car-1", "car-9"]
            assert b"edge_" not in listed.body
            wrongs: list[Any] = [{"id": "a/b"}, {"id": "a", "x": 1}, {}, {"id": 3}, []]
            for wrong in wrongs:
                refused = await house.ask("POST", "/api/v1/devices", wrong, token=house.admin)
                assert (refused.status, orjson.loads(refused.body)["code"]) == (400, "bad_field")

    run(scene())
