"""Problem documents (RFC 9457): why a request was not done, as one JSON object with a stable `code`.

    {"type": "about:blank", "title": str, "status": int, "detail": str, "code": str, "field"?: str, ...extra members}

`code` is for programs and never changes its meaning; `title` and `detail` are for people; `field` names the part of the
request that is wrong. A document without a `code` is not one of ours and is read as None: whoever wrote it is a wrong
door. Further members are read where they are strings, numbers, booleans or null. `type` is not read; there are no
instance links and no translations.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

CONTENT_TYPE = "application/problem+json"

_MOST_BYTES = 64 * 1024
_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "field"})


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not done. `status` is the HTTP status; `extra` are further members, JSON values."""

    status: int
    code: str
    title: str
    detail: str = ""
    field: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def body(self) -> bytes:
        """The document as JSON, the same bytes for the same problem; own members win over extra ones."""
        document: dict[str, Any] = {
            **self.extra,
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field is not None:
            document["field"] = self.field
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


BAD_HTTP = Problem(400, "bad_http", "Not HTTP", "the request cannot be read; nothing of it is repeated or logged")
"""The answer to what no parser of HTTP takes; it may hold a key, so it says nothing about it."""


def parse_problem(content_type: str, body: bytes) -> Problem | None:
    """The problem that an answer states; None when its type or body is anything else."""
    if content_type.partition(";")[0].strip().lower() != CONTENT_TYPE or len(body) > _MOST_BYTES:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    status, code, field = document.get("status"), document.get("code"), document.get("field")
    title, detail = document.get("title", ""), document.get("detail", "")
    if not isinstance(status, int) or isinstance(status, bool) or not isinstance(code, str) or not code:
        return None
    if not isinstance(title, str) or not isinstance(detail, str) or not isinstance(field, str | None):
        return None
    extra = {
        name: value
        for name, value in document.items()
        if name not in _MEMBERS and isinstance(value, str | int | float | None)
    }
    return Problem(status, code, title, detail, field, extra)
