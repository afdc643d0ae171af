"""The hub's folder: one database, and the lock of the hub that serves from it."""

from pathlib import Path

from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import DeviceError
from edge_agent.model.ports import OpenFile

FILE = "hub.sqlite"
LOCK = "lock"


def database_of(folder: Path) -> Path:
    """The database of the hub in this folder; DeviceError when there is none, or this user may not look."""
    database = folder / FILE
    try:
        database.stat()
    except PermissionError as error:
        raise DeviceError(f"{database}: {error.strerror}", hint="run this as the user of the hub, or as root") from None
    except OSError:
        raise DeviceError(
            f"there is no hub in {folder}", hint="name its folder with --folder, or start it once"
        ) from None
    return database


def locked(folder: Path) -> OpenFile:
    """The folder's lock, held until it is closed; the folder is made when it is new.

    DeviceError while another hub has it, or when it cannot be had.
    """
    disk = SystemDisk()
    try:
        disk.make_folder(folder)
        held = disk.lock(folder / LOCK)
    except OSError as error:
        raise DeviceError(
            f"{folder}: {error.strerror}", hint="name a folder that this user may write with --folder"
        ) from None
    if held is None:
        raise DeviceError(
            f"another hub serves from {folder}", hint="stop it, or give this one its own folder with --folder"
        )
    return held
