"""What can be wrong with a file of a machine, each with whether any number can still be read in it."""

import errno
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

ERRNOS = (errno.EACCES, errno.EAGAIN, errno.EINVAL, errno.EIO, errno.ENODATA, errno.ENXIO, errno.EPERM, errno.ETIMEDOUT)
OUTSIDE = 424_242
"""The number in a file that is outside of the machine: no reading may ever be made of it."""

_HUGE = 5 * 2**20
_NUMBER = re.compile(rb"\d+")
_ODD = (
    b"N/A\n", b"unknown", b"\n", b"    \n", b"-", b"0x10\n", b"1_000\n", b"\xd9\xa3\n", b"nan\n", b"inf\n", b"1e999\n",
    b"99999999999999999999999999\n", b"-99999999999\n", b"-1\n", b"12 34\n", b"7\n8\n", b"3.5\n", b"+5\n",
)  # fmt: skip
Wound = Callable[[Path, Random], None]


def _missing(_path: Path, _chance: Random) -> None:
    """It is gone: whatever stood there was taken away already."""


def _empty(path: Path, _chance: Random) -> None:
    path.write_bytes(b"")


def _binary(path: Path, chance: Random) -> None:
    path.write_bytes(bytes(chance.randrange(128, 256) for _ in range(chance.choice((1, 7, 4096)))))


def _huge(path: Path, _chance: Random) -> None:
    path.touch()
    os.truncate(path, _HUGE)


def _folder(path: Path, _chance: Random) -> None:
    path.mkdir()


def _circle(path: Path, chance: Random) -> None:
    path.symlink_to(chance.choice((path.name, f"../{path.parent.name}/{path.name}")))


def _nowhere(path: Path, _chance: Random) -> None:
    path.symlink_to("no/such/file")


def _outside(path: Path, chance: Random) -> None:
    """A link out of the machine's root, to a file that is there."""
    root = next(above for above in path.parents if (above.parent / "outside").exists())
    up = "../" * len(path.relative_to(root).parts)
    path.symlink_to(chance.choice((str(root.parent / "outside"), f"{up}outside")))


def _pipe(path: Path, _chance: Random) -> None:
    os.mkfifo(path)


def _odd(path: Path, chance: Random) -> None:
    path.write_bytes(chance.choice(_ODD))


def _long(path: Path, chance: Random) -> None:
    path.write_bytes(chance.choice((b"9" * 5000, b"5\n" * 90_000, b"a b c\n" * 9000)))


def long_digits(whole: bytes, chance: Random) -> bytes:
    """A file with one of its numbers made longer than the kernel's are, than a float holds, or than an int may be."""
    start, end = chance.choice([number.span() for number in _NUMBER.finditer(whole)] or [(0, 0)])
    return whole[:start] + b"9" * chance.choice((21, 400, 5000)) + whole[end:]


SILENT: Mapping[str, Wound] = {
    "missing": _missing, "empty": _empty, "binary": _binary, "huge": _huge, "a folder": _folder, "a circle": _circle,
    "a link to nowhere": _nowhere, "a link outside": _outside, "a pipe": _pipe,
}  # fmt: skip
"""Nothing can be read there, least of all a number."""
WILD: Mapping[str, Wound] = {"odd": _odd, "long": _long}
"""There may be a number in it, right or wrong: nothing may break, and no other reading may move. So with `LONG`."""
LONG = "long digits"
LINKED = ("missing", "a circle", "a link to nowhere", "a link outside")
"""What a link may become."""


def _empty_folder(path: Path) -> None:
    path.mkdir()


def _ring(path: Path) -> None:
    path.symlink_to(path.name)


def _plain_file(path: Path) -> None:
    path.write_bytes(b"77\n")


def _nameless(path: Path) -> None:
    """It has numbers, and does not say what it is."""
    path.mkdir()
    for name in ("temp1_input", "temp", "cur_state", "cur_freq", "energy_uj", "in1_input", "oc1_event_cnt"):
        (path / name).write_bytes(b"77000\n")


def _numberless(path: Path) -> None:
    """It says what it is, and has no number; its texts are odd ones."""
    path.mkdir()
    for name in ("name", "type", "temp1_label", "in1_label"):
        (path / name).write_bytes(b"a stranger\n")
    (path / "temp1_input").mkdir()
    (path / "temp").symlink_to("temp")


STRANGERS: Mapping[str, Callable[[Path], None]] = {
    "an empty folder": _empty_folder, "a ring": _ring, "a plain file": _plain_file, "nameless": _nameless,
    "numberless": _numberless,
}  # fmt: skip
"""What may appear among the devices: no reading of another one may move for it."""
