"""The page: one document and one script, from the package, with a policy that lets nothing else run or load."""

import base64
import hashlib
import re
from importlib import resources

from edge_agent.hub.exchange import Ask, Reply

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src '{style}'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"index.html": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8"}
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


class Page:
    """Serves the files, each with its hash as ETag: a browser asks every time, and is answered 304."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._policy = ""

    def open(self) -> None:
        """Read the files from the package; the policy names the one style that the document has by its hash."""
        folder = resources.files("edge_agent.hub") / "web"
        self._files = {name: (folder / name).read_bytes() for name in _TYPES}
        style = b"".join(_STYLE.findall(self._files["index.html"]))
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        self._policy = _POLICY.format(style=f"sha256-{digest}")

    async def index(self, ask: Ask) -> Reply:
        """GET /."""
        return self._file(ask, "index.html")

    async def script(self, ask: Ask) -> Reply:
        """GET /app.js."""
        return self._file(ask, "app.js")

    def _file(self, ask: Ask, name: str) -> Reply:
        body = self._files[name]
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": "no-cache", "content-security-policy": self._policy}
        if tag in ask.request.headers.get("if-none-match", ""):
            return Reply(304, content_type=_TYPES[name], headers=headers)
        return Reply(200, body, _TYPES[name], headers)
