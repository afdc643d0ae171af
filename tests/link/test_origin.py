"""Which addresses a hub may have."""

import pytest

from edge_agent.link.origin import Origin
from edge_agent.model.failure import ConfigError


@pytest.mark.parametrize(
    ("url", "origin", "written"),
    [
        ("https://hub.example", Origin("https", "hub.example", 443), "https://hub.example"),
        ("https://hub.example/", Origin("https", "hub.example", 443), "https://hub.example"),
        ("HTTPS://Hub.Example:443", Origin("https", "hub.example", 443), "https://hub.example"),
        ("https://hub:8480/base/", Origin("https", "hub", 8480, "/base"), "https://hub:8480/base"),
        ("https://lab_hub/a/b", Origin("https", "lab_hub", 443, "/a/b"), "https://lab_hub/a/b"),
        ("https://hub.example.", Origin("https", "hub.example.", 443), "https://hub.example."),
        ("https://10.0.0.7", Origin("https", "10.0.0.7", 443), "https://10.0.0.7"),
        ("https://[2001:db8::1]:8443", Origin("https", "2001:db8::1", 8443), "https://[2001:db8::1]:8443"),
        ("http://localhost:8480", Origin("http", "localhost", 8480), "http://localhost:8480"),
        ("http://127.9.9.9", Origin("http", "127.9.9.9", 80), "http://127.9.9.9"),
        ("http://[::1]:80", Origin("http", "::1", 80), "http://[::1]"),
    ],
)
def test_what_an_address_says(url: str, origin: Origin, written: str) -> None:
    assert Origin.parse(url) == origin
    assert str(origin) == written
    assert origin.url("/api?x=1") == f"{written}/api?x=1"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "must start with https"),
        ("hub.example", "must start with https"),
        ("ftp://hub.example", "must start with https"),
        ("file:///etc/passwd", "must start with https"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://:443", "names no host"),
        ("https://-x", "names no host"),
        ("https://x-.example", "names no host"),
        ("https://a..b", "names no host"),
        (f"https://{'a' * 64}.example", "names no host"),
        ("https://" + ".".join(["a" * 50] * 6), "names no host"),
        ("https://a b", "holds spaces"),
        ("https://a\r\nb", "holds spaces"),
        ("https://hüb.example", "holds spaces or characters beyond ASCII"),
        ("https://hub:99999", "is not an address"),
        ("https://hub:0", "names no host"),
        ("https://hub:x", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://user@hub.example", "user name or password"),
        ("https://user:geheim@hub.example", "user name or password"),
        ("https://hub.example?x=1", "query or a fragment"),
        ("https://hub.example/?", "query or a fragment"),
        ("https://hub.example/#top", "query or a fragment"),
        ("https://hub.example/a/../b", "a path that cannot be used"),
        ("https://hub.example//a", "a path that cannot be used"),
        ("https://hub.example/a\\b", "a path that cannot be used"),
        ("http://hub.example", "plain http to another machine"),
        ("http://localhost.example", "plain http to another machine"),
        ("http://0.0.0.0", "plain http to another machine"),
        ("http://2130706433", "plain http to another machine"),
    ],
)
def test_what_is_refused(url: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as refused:
        Origin.parse(url)
    assert refused.value.hint
    assert "geheim" not in str(refused.value) + refused.value.hint


def test_plain_http_elsewhere_is_taken_when_the_config_allows_it() -> None:
    assert str(Origin.parse("http://hub.lab:8480", allow_plain_http=True)) == "http://hub.lab:8480"
