"""Whom a session trusts, and through whom it goes."""

import asyncio
import datetime as dt
import ipaddress
import secrets
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.link.keyfile import GivenKey
from edge_agent.link.session import Options
from edge_agent.model.http import Answer, Unreachable
from tests.link.served import GET, gone, listening, serving, session


def certificate(folder: Path) -> Path:
    """A fresh key and self-signed certificate for 127.0.0.1, as one PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365 * 50))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{secrets.token_hex(4)}.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return pem


def test_only_a_hub_that_is_trusted_gets_the_key(tmp_path: Path) -> None:
    pem, stranger = certificate(tmp_path), certificate(tmp_path)
    seen: list[str] = []

    async def serve(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["x-api-key"])
        return await gone()

    async def scene() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(pem)
        url = "https://127.0.0.1:{port}"
        options = Options(ca_file=pem)
        async with serving(serve, tls) as port:
            for untrusting in (Options(), Options(ca_file=stranger)):
                async with session(port, untrusting, url=url) as link:
                    failed = await link.exchange(GET)
                    assert isinstance(failed, Unreachable)
                    assert failed.reason.startswith(f"the certificate of 127.0.0.1:{port} is not trusted")
            assert seen == []
            async with session(port, replace(options, client_cert=tmp_path / "absent"), url=url) as link:
                failed = await link.exchange(GET)
                assert isinstance(failed, Unreachable)
                assert "client_cert" in failed.reason
            async with session(port, options, GivenKey("k3y"), url=url) as link:
                assert isinstance(await link.exchange(GET), Answer)
        assert seen == ["k3y"]

    asyncio.run(scene())


def test_a_device_shows_its_certificate_where_one_is_asked_for(tmp_path: Path) -> None:
    hub, device = certificate(tmp_path), certificate(tmp_path)

    async def serve(_request: web.BaseRequest) -> web.Response:
        return await gone()

    async def scene() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=device)
        tls.load_cert_chain(hub)
        tls.verify_mode = ssl.CERT_REQUIRED
        async with serving(serve, tls) as port:
            bare = Options(ca_file=hub)
            url = "https://127.0.0.1:{port}"
            async with session(port, replace(bare, client_cert=device), url=url) as link:
                assert isinstance(await link.exchange(GET), Answer)

    asyncio.run(scene())


def test_a_proxy_is_asked_when_one_is_set_and_the_environment_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        asked: list[str] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
            writer.write(b"HTTP/1.1 403 No way\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        async def serve(_request: web.BaseRequest) -> web.Response:
            return await gone()

        async with listening(proxy) as door, serving(serve) as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{door}")
            async with session(port) as link:
                assert isinstance(await link.exchange(GET), Answer)
            assert asked == []
            through = Options(proxy=f"http://user:geheim@127.0.0.1:{door}")
            assert "geheim" not in repr(through)
            async with session(1, through, url="https://hub.example") as link:
                assert await link.exchange(GET) == Unreachable("the proxy refused the way to hub.example: 403 No way")
            assert asked == ["CONNECT hub.example:443 HTTP/1.1"]

    asyncio.run(scene())
