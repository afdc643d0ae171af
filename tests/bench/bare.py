"""The bare limits that the hub is held against, with the same bytes and none of its work.

    python -m tests.bench.bare PORT     an aiohttp server that reads the body and answers a small JSON object

`group_commits` is the other: SQLite as the hub sets it up, a table of payloads, one COMMIT a group.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

from aiohttp import web

from edge_agent.hub.store.engine import connect

_ANSWER = b'{"results":[{"epoch":"0000000000000000","seq":0,"status":"stored"}],"hub_time":1700000000000}'
_MOST = 2 * 2**20


def group_commits(folder: Path, payloads: Sequence[bytes], group: int, seconds: float) -> float:
    """Payloads a second that SQLite commits durably in groups of this size."""
    with closing(connect(folder / "bare.sqlite", None)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS frame (id INTEGER PRIMARY KEY, payload BLOB)")
        source, count, began = cycle(payloads), 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            count += _commit(connection, list(islice(source, group)))
        return count / (time.perf_counter() - began)


def _commit(connection: sqlite3.Connection, payloads: Sequence[bytes]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO frame (payload) VALUES (?)", ((payload,) for payload in payloads))
    connection.execute("COMMIT")
    return len(payloads)


async def main(port: int) -> None:
    """Serve until killed."""

    async def taken(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=_ANSWER, content_type="application/json")

    server = web.Server(taken, access_log=None, client_max_size=_MOST)
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
