"""Backups: the whole hub in one file, taken while it serves, and a hub put back from one.

`save` copies the database as it is at one moment: a read transaction holds that moment for as long as the copy takes,
so that a hub which stores all the while neither waits nor makes it begin anew (its log grows meanwhile). The file gets
its name only once it is whole, checked and synced; mode 0600, since the hub's keys are in it.

`put_back` gives a folder the database of such a file, while no hub serves from it. A hub that was put back is another
life of the same hub (`begin_anew`):

- Its journal has a new epoch: every stream begins with `reset`, and no id of the time after the backup is misread.
- People log in again: tokens that were spent or ended after the backup would be good once more.
- Instructions that waited become `unknown`: they may have been run, or cancelled, since.
- The newest config of each device is signed again under a version above any that was given since, so that devices
  come back to what the hub shows.

What devices were told to be stored after the backup is gone at both ends: their inventories no longer hold it, so the
audit names it lost, in every epoch that a device still numbers. Of one that ended meanwhile neither end knows how far
it went: what it numbered after the backup is in no sum. Does not handle: keys that devices changed after the backup
(`hub device` gives them new ones).
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import orjson

from edge_agent.hub.folder import FILE, LOCK, database_of, locked
from edge_agent.hub.keys import key_id_of
from edge_agent.hub.store import engine
from edge_agent.kit.disk import UNFINISHED, SystemDisk
from edge_agent.model.failure import DeviceError
from edge_agent.wire.envelope import sign

_STEP_PAGES = 1024
_LEAP = 1000
"""More config documents than a hub offers one device between two backups."""

_TABLES = frozenset({"account_device", "hub_secret", "frame", "payload", "epoch"})
_SIDES = ("", "-wal", "-shm", "-journal")
_NAME_A_BACKUP = "name a file that `edge-agent hub backup` made"

Told = Callable[[int, int], None]
"""Called after each step: pages that are copied, pages in all."""


class Contents(NamedTuple):
    """What a backup holds: `newest` is when its last frame came, in Unix ms, None without one; `size` in bytes."""

    devices: int
    frames: int
    newest: int | None
    size: int


def copy(source: sqlite3.Connection, target: sqlite3.Connection, told: Told = lambda _done, _all: None) -> None:
    """Copy a whole database as it is now, in steps; `target` is overwritten, and is in no transaction.

    A connection in memory is a source or a target like any other.
    """
    begun = not source.in_transaction
    if begun:
        source.execute("BEGIN")
    try:
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it stands still
        source.backup(target, pages=_STEP_PAGES, progress=lambda _, left, total: told(total - left, total))
    finally:
        if begun:
            source.execute("ROLLBACK")


def begin_anew(connection: sqlite3.Connection, now: int) -> None:
    """Make the database of a backup another life of its hub, before it is opened; `now` in Unix ms."""
    secrets = dict(connection.execute("SELECT name, value FROM hub_secret"))
    connection.execute("DELETE FROM hub_secret WHERE name IN ('epoch', 'token_secret')")
    connection.execute("DELETE FROM login_token")
    connection.execute("DELETE FROM login_refresh")
    connection.execute(
        "UPDATE instruction SET state = 'unknown', detail = 'the hub was restored from a backup', updated_at = ?"
        " WHERE state IN ('queued', 'sent')",
        (now,),
    )
    newest = connection.execute(
        "SELECT device, max(version), body, issued_by FROM config_document GROUP BY device"
    ).fetchall()
    for device, version, body, issued_by in newest:
        document = {**orjson.loads(body), "version": version + _LEAP, "issued_at": now}
        again = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        envelope = sign("config", again, key_id_of(secrets["private"]), secrets["private"])
        connection.execute(
            "INSERT INTO config_document (device, version, body, envelope, issued_by, issued_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (device, version + _LEAP, again, envelope, issued_by, now),
        )


def check(connection: sqlite3.Connection, where: Path) -> Contents:
    """Read all of a database; DeviceError when it is damaged, not a hub's, or of a version that is not known here."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not tables >= _TABLES or version < 1:
        raise DeviceError(f"{where}: not the database of a hub", hint=_NAME_A_BACKUP)
    if version > engine.VERSION:
        raise DeviceError(
            f"{where}: written by a newer hub (schema {version}, this one knows {engine.VERSION})",
            hint="install that version first",
        )
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise DeviceError(f"{where}: damaged: {found}", hint="take another backup")
    (devices,) = connection.execute("SELECT count(*) FROM account_device").fetchone()
    frames, newest = connection.execute("SELECT count(*), max(abs(arrived)) FROM frame").fetchone()
    pages, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return Contents(devices, frames, newest, pages * page)


def save(folder: Path, file: Path, told: Told) -> Contents:
    """Back up the hub of a folder, running or not, to a new file; DeviceError when that cannot be."""
    database = database_of(folder)
    if file.exists():
        raise DeviceError(f"{file} stands already", hint="name a new file; an older backup is never overwritten")
    contents = _copied(database, file, told, lambda _: None)
    _name(file)
    return contents


def put_back(file: Path, folder: Path, now: int, told: Told, *, replace: bool) -> tuple[Contents, Path | None]:
    """Give a folder the hub of a backup: what it holds, and where the hub that was there is kept.

    DeviceError when a hub serves from the folder, when it has one and `replace` does not allow that, or when the file
    is not a backup that this version can read. `now` is Unix ms.
    """
    with closing(locked(folder)):
        database = folder / FILE
        if database.exists() and not replace:
            raise DeviceError(
                f"{database} stands already", hint="add --replace: it is then kept beside, under another name"
            )
        contents = _copied(file, database, told, lambda target: begin_anew(target, now))
        _own(folder, (database.with_name(FILE + UNFINISHED), folder / LOCK))
        aside = _set_aside(database, now)
        _name(database)
        return contents, aside


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database to be read only; DeviceError when it is none."""
    try:
        opened = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise DeviceError(f"{path}: {error}", hint=_NAME_A_BACKUP) from None
    with closing(opened):
        try:
            opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            raise DeviceError(f"{path}: {error}", hint=_NAME_A_BACKUP) from None
        yield opened


def _copied(file: Path, to: Path, told: Told, prepare: Callable[[sqlite3.Connection], None]) -> Contents:
    """Copy, check and prepare under a name that is not the target's yet."""
    new, whole = to.with_name(to.name + UNFINISHED), False
    _clear(new)
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as target:
            with _opened(file) as source:
                copy(source, target, told)
            # One file, that can be read where nothing can be written.
            target.execute("PRAGMA journal_mode = DELETE").fetchone()
            contents = check(target, file)
            target.execute("BEGIN")
            prepare(target)
            target.execute("COMMIT")
            whole = True
    except sqlite3.Error as error:
        raise DeviceError(f"{new}: {error}", hint="look at the room and the permissions there") from None
    except OSError as error:
        raise DeviceError(f"{new}: {error.strerror}", hint="name a place that this user may write") from None
    finally:
        if not whole:
            _clear(new)
    return contents


def _name(file: Path) -> None:
    """Give the finished copy its name, durably."""
    file.with_name(file.name + UNFINISHED).replace(file)
    SystemDisk().sync_folder(file.parent)


def _set_aside(database: Path, now: int) -> Path | None:
    """Give what stands there another name, with its log, which holds what was stored last.

    The folder is never without a database, which the next start would take for a new hub; and none ever stands beside
    the log of another.
    """
    if not database.exists():
        return None
    stamp = datetime.fromtimestamp(now // 1000, timezone.utc)
    aside = database.with_name(f"{FILE}.before-{stamp:%Y%m%dT%H%M%S}.{now % 1000:03}Z")
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as old:
        # The log goes into the database. Where that cannot be done it goes along under its own name.
        old.execute("PRAGMA journal_mode = DELETE").fetchone()
    for side in _SIDES[1:]:
        with suppress(FileNotFoundError):
            Path(f"{database}{side}").rename(f"{aside}{side}")
    try:
        aside.hardlink_to(database)
    except OSError:  # a file system without links
        database.rename(aside)
    SystemDisk().sync_folder(database.parent)
    return aside


def _clear(file: Path) -> None:
    for side in _SIDES:
        with suppress(OSError):
            Path(f"{file}{side}").unlink()


def _own(folder: Path, files: tuple[Path, ...]) -> None:
    """What root makes in the folder of the hub's own user is that user's."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for file in files:
            os.chown(file, owner.st_uid, owner.st_gid)
