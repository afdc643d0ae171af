"""Keys: the secret that proves who this device is, read late, never shown.

A key is one line of printable ASCII without spaces, at most 4096 bytes, in a file that only its owner may read. It
is read when a request needs it and again when the file changed (inode, size or time of change), so that a rotated
key needs no restart; what is checked is the file that was opened, whatever its name stands for by then. No error, log
or `repr` holds it.

Which file it is (a path, a systemd credential) and whether it came from the environment is the config's to find out.
The mode is not checked for a credential: systemd shows its access list as group bits, and guards the folder itself.

People paste the key itself where the path of its file belongs, and what they then show to others is a log, a table or
a screen. So a value that names neither a file nor a place below a folder that is there is told by its length alone. The
folder of the file itself need not be there yet: of `/etc/edge-agent/hub_key` `/etc` is, and no key begins like that.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge_agent.model.failure import DeviceError

_MOST_BYTES = 4096
_FIRST_FOLDER = 2
"""Parts of the path of a folder in the root folder."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_HINT = "the file must hold the device's key on one line"

_State = tuple[int, int, int]


class Key(Protocol):
    """Where the key comes from."""

    def read(self) -> str:
        """The key as it is now; DeviceError with a hint when there is none."""

    def changed(self) -> bool:
        """Whether the key may have changed since it was last asked; cheap."""


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A key that the config holds in memory, such as one from the environment."""

    value: str = field(repr=False)

    def read(self) -> str:
        """The key."""
        return _checked(self.value, "the given key")

    def changed(self) -> bool:
        """Never: a new environment is a new process."""
        return False


class KeyFile:
    """A key in a file. Reads it when asked; each `read` and each `changed` costs one stat."""

    def __init__(self, path: Path, *, credential: bool = False) -> None:
        self._path = path
        self._credential = credential
        self._read_at: _State | None = None
        self._key = ""
        self._told_at: _State | None = None

    def read(self) -> str:
        """The key as it is now; DeviceError with a fix when the file is missing, open to others or holds no key."""
        try:
            if self._read_at != _state(self._path.stat()):
                self._key, self._read_at = self._opened()
        except OSError as error:
            raise DeviceError(
                f"the key file cannot be read: {error.strerror}: {shown(self._path)}", hint=self._hint(error)
            ) from error
        if self._told_at is None:
            self._told_at = self._read_at
        return self._key

    def _opened(self) -> tuple[str, _State]:
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            mode = stat.S_IMODE(found.st_mode)
            if mode & _OTHERS and not self._credential:
                raise DeviceError(
                    f"the key file {self._path} can be used by others (mode {mode:04o})",
                    hint=f"chmod 600 {self._path}",
                )
            text = file.read(_MOST_BYTES + 1)
        return _checked(text.decode("ascii", "replace"), f"the key file {self._path}"), _state(found)

    def changed(self) -> bool:
        """Whether the file is another one, or was written, since the last call (or the first `read`)."""
        try:
            state = _state(self._path.stat())
        except OSError:
            return False  # a file in the middle of being replaced: what takes its place will differ
        before, self._told_at = self._told_at, state
        return before != state

    def _hint(self, error: OSError) -> str:
        folder = self._path.parent
        if isinstance(error, FileNotFoundError) and shown(self._path) == str(self._path) and not _stands(folder):
            return f"there is no folder {folder} either: make it, and put the key into the file (mode 0600)"
        return "check that it exists and belongs to the user that the agent runs as"

    def __repr__(self) -> str:
        return f"KeyFile({shown(self._path)!r}, key=***)"


def shown(file: Path) -> str:
    """The path of a file that is there, or would be below a folder that is; of anything else what may be said."""
    above = file.parts[:_FIRST_FOLDER]
    if _stands(file) or (file.is_absolute() and len(file.parts) > _FIRST_FOLDER and _stands(Path(*above))):
        return str(file)
    return f"{len(str(file))} characters that name no file (not shown: they may be the key itself)"


def _stands(file: Path) -> bool:
    """Whether there is such a file, as far as this user may know."""
    try:
        os.stat(file)  # noqa: PTH116 - a name with a null character is a ValueError here and True nowhere
    except PermissionError:
        return True  # the folder above it is there, so it is a path
    except (OSError, ValueError):
        return False
    return True


def _state(found: os.stat_result) -> _State:
    # The time of change moves with the mode too: a key that was made private is tried again at once.
    return found.st_ino, found.st_size, found.st_ctime_ns


def _checked(text: str, place: str) -> str:
    key = text.strip()
    if not key:
        raise DeviceError(f"{place} is empty", hint=_HINT)
    if len(key) > _MOST_BYTES:
        raise DeviceError(f"{place} holds more than {_MOST_BYTES} bytes", hint=_HINT)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise DeviceError(f"{place} holds spaces, line breaks or other characters that no key has", hint=_HINT)
    return key
