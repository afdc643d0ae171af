"""The page and what is open to the network."""

import base64
import hashlib
import re

import pytest

from tests.hub.house import OK, alive, opened
from tests.sim.loop import run


@pytest.mark.parametrize(("path", "kind"), [("/", "text/html"), ("/app.js", "text/javascript")])
def test_a_file_is_served_with_its_tag_and_asked_for_each_time(path: str, kind: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            reply = await house.ask("GET", path)
            assert (reply.status, reply.content_type) == (200, f"{kind}; charset=utf-8")
            assert reply.headers["cache-control"] == "no-cache"
            again = await house.ask("GET", path, headers={"if-none-match": reply.headers["etag"]})
            assert (again.status, again.body) == (304, b"")
            assert (await house.ask("GET", path, headers={"if-none-match": '"old"'})).status == 200

    run(scene())


def test_the_policy_lets_only_the_pages_own_script_and_style_in() -> None:
    async def scene() -> None:
        async with opened() as house:
            reply = await house.ask("GET", "/")
            policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
            style = re.findall(rb"<style>(.*?)</style>", reply.body, re.DOTALL)
            assert len(style) == 1
            digest = base64.b64encode(hashlib.sha256(style[0]).digest()).decode()
            assert policy["style-src"] == f"'sha256-{digest}'"
            assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == (
                "'none'",
                "'self'",
                "'self'",
            )
            assert policy["frame-ancestors"] == "'none'"
            # Nothing that the policy would stop: no script, handler or style inside, nothing from elsewhere.
            assert re.findall(rb"<script[^>]*>", reply.body) == [b'<script src="/app.js" defer>']
            assert not re.search(rb"https?://|\son[a-z]+=|\sstyle=|\ssrcset=|url\(|@import", reply.body)
            assert re.findall(rb"<link|<img|<iframe|<object|<base", reply.body) == []

    run(scene())


def test_the_script_puts_foreign_words_in_as_text_and_fetches_from_here_only() -> None:
    async def scene() -> None:
        async with opened() as house:
            script = (await house.ask("GET", "/app.js")).body
            for word in (
                b"innerHTML",
                b"outerHTML",
                b"insertAdjacent",
                b"document.write",
                b"eval(",
                b"://",
                b"Storage",
                b"setHTML",
                b"DOMParser",
                b"Function(",
                b"import(",
                b'"style"',
            ):
                assert word not in script
            paths = re.findall(rb"""["`](/api/v1/[a-z/]*)""", script)
            assert len(paths) >= 5
            for path in paths:
                assert (await house.ask("GET", path.decode().rstrip("/"))).status in {401, 405}

    run(scene())


def test_every_element_that_the_script_asks_for_is_in_the_document() -> None:
    async def scene() -> None:
        async with opened() as house:
            document = (await house.ask("GET", "/")).body.decode()
            script = (await house.ask("GET", "/app.js")).body.decode()
            ids = re.findall(r'\bid="([a-z]+)"', document)
            assert len(ids) == len(set(ids))
            assert set(re.findall(r'(?:byId|clone)\("([a-z]+)"\)', script)) == set(ids)
            classes = set(" ".join(re.findall(r'class="([a-z ]+)"', document)).split())
            sought = set(re.findall(r'querySelector\("\.([a-z]+)"\)', script))
            (parts,) = re.findall(r"const parts = \[(.*?)\]", script)
            assert sought | set(re.findall("[a-z]+", parts)) <= classes

    run(scene())


@pytest.mark.parametrize("path", ["/", "/app.js"])
def test_a_file_of_the_page_stays_small(path: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            lines = (await house.ask("GET", path)).body.decode().splitlines()
            assert len(lines) <= 400
            assert max(map(len, lines)) <= 120

    run(scene())


def test_metrics_name_no_device() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream("/api/v1/devices/car-1/stream", key=house.key) as reader:
            await reader.until("hello")
            await house.ask("BREW", "/api/v1/devices/car-1")
            text = (await house.ask("GET", "/metrics")).body.decode()
            assert "car-1" not in text
            lines = text.splitlines()
            assert "edge_hub_device_streams 1" in lines
            assert 'edge_hub_devices{state="online"} 1' in lines
            login = 'edge_hub_requests_total{method="POST",path="/api/v1/auth/login",status="200"} 2'
            assert login in lines
            assert all(
                re.fullmatch(r"# TYPE \w+ (gauge|counter)|\w+(\{[^{}]*(\{\w+\}[^{}]*)*\})? [-+.\de]+", one)
                for one in lines
            )

    run(scene())


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_open(path: str) -> None:
    async def scene() -> None:
        async with opened() as house:
            assert (await house.ask("GET", path)).body == OK

    run(scene())
