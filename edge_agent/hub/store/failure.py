"""The two ways in which a store fails its caller. In both nothing of the failed write is stored.

`StoreFull`: no room; readers are still served and a later write may succeed. `StoreBroken`: the disk or the file does
not do what it must. A request that meets either is answered 503 with Retry-After, so that the device keeps its
frames and comes back.
"""

import sqlite3

from edge_agent.hub.exchange import Reply
from edge_agent.model.failure import HubError
from edge_agent.wire.problem import CONTENT_TYPE, Problem

RETRY_AFTER_SECONDS = 30
"""How long a device is asked to wait before it offers the same frames again."""

_FULL = "database or disk is full"


class StoreFull(HubError):  # noqa: N818 - a name for what the store is
    """There is no room for this write."""


class StoreBroken(HubError):  # noqa: N818 - a name for what the store is
    """The disk or the database file failed."""


def no_room(where: str) -> StoreFull:
    """The store `where` has no room."""
    return StoreFull(
        f"{where}: no room left", hint="free disk space, raise limits.store, or shorten how long the hub keeps payloads"
    )


def mapped(error: sqlite3.Error | OSError, where: str) -> StoreFull | StoreBroken:
    """What an error of SQLite means; `where` is the database for people. The words are SQLite's own and fixed."""
    if _FULL in str(error):
        return no_room(where)
    return StoreBroken(f"{where}: {error}", hint="look at the disk and its permissions; `hub restore` brings a backup")


def refusal(error: StoreFull | StoreBroken) -> Reply:
    """The answer to a request that could not be stored: 503 `store_full` or `unavailable`, with Retry-After."""
    full = isinstance(error, StoreFull)
    problem = Problem(
        status=503,
        code="store_full" if full else "unavailable",
        title="The hub has no room left" if full else "The hub cannot store",
        detail="Nothing of this request was stored. Keep it and try again later.",
    )
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)}
    return Reply(status=503, body=problem.body(), content_type=CONTENT_TYPE, headers=headers)
