"""Origins: the one place that the agent speaks to, and to which alone the key goes.

    http[s]://host[:port][/base/path]

Plain http is refused off loopback unless the config allows it, since the key would travel in the clear. User info,
query and fragment have no meaning here and are refused; what is refused is not repeated in full, as it may hold a
password. Host names are ASCII (an international name is written in its `xn--` form).
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import urlsplit

from edge_agent.model.failure import ConfigError

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_BASE = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*")
_PORTS = {"http": 80, "https": 443}
_HINT = "write the hub's address as https://hub.example.org or https://hub.example.org:8443/base"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the hub is. `host` is a name or a bare IP address, `base` is empty or starts with a slash."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    base: str = ""

    @classmethod
    def parse(cls, url: str, *, allow_plain_http: bool = False) -> "Origin":
        """The origin that a config names; ConfigError with a hint when it cannot be one."""
        if not url.isascii() or not url.isprintable() or " " in url:
            _refuse("holds spaces or characters beyond ASCII")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            _refuse("is not an address")
        scheme, base = parts.scheme, parts.path.rstrip("/")
        if scheme not in {"http", "https"}:
            _refuse("must start with https:// (or http:// on this machine)")
        if "@" in parts.netloc:
            _refuse("must not hold a user name or password", "keys come from a file, never from the address")
        if parts.query or parts.fragment or url.endswith(("?", "#")):
            _refuse("must not hold a query or a fragment")
        if not host or port == 0 or not (_HOST.fullmatch(host) or _address(host)):
            _refuse("names no host")
        if _BASE.fullmatch(base) is None or {".", ".."} & set(base.split("/")):
            _refuse(f"has a path that cannot be used: {base[:80]}")
        if scheme == "http" and not allow_plain_http and not _loopback(host):
            _refuse(
                f"is plain http to another machine ({host}): the key would travel in the clear",
                "use https://, or set hub.allow_plain_http = true where the network is trusted",
            )
        return cls("https" if scheme == "https" else "http", host, port or _PORTS[scheme], base)

    @property
    def netloc(self) -> str:
        """Host and port as they stand in an address, without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def url(self, path: str) -> str:
        """The address of a path, which starts with a slash and may carry a query."""
        assert path.startswith("/"), "a path that does not start with a slash could change the host"
        return f"{self}{path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.base}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _refuse(what: str, hint: str = _HINT) -> NoReturn:
    raise ConfigError(f"the hub's address {what}", hint=hint)
