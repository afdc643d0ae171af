"""Wounds of a state folder: bits, sectors, cuts, swaps, files and folders in each other's place, strangers' files.

A wound is a function of an image and chance; it gives the image as it is afterwards, and how many sectors it took from
files that were there. A file is an entry by its path, as text from the root; what a wound does to it, it does to its
bytes alone, as a failing card, a broken tool or a curious hand would.
"""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.spool.segment import Name, Opening, opening_frame
from edge_agent.wire.frame import encode
from tests.sim.platter import SECTOR, Image

Tree = dict[str, bytes | None]
"""By path: the bytes of a file, None for a folder."""

STRANGER = b"another device's reading"
_JUNK = b"\x5a" * 3000


def spread(image: Image, below: str = "") -> Tree:
    """An image by paths."""
    tree: Tree = {}
    for name, content in image:
        path = f"{below}/{name}"
        if isinstance(content, bytes):
            tree[path] = content
        else:
            tree[path] = None
            tree |= spread(content, path)
    return tree


def gathered(tree: Tree) -> Image:
    """The image again; a folder for each path above one that is there, and nothing below a file."""
    nodes: dict[str, object] = {}
    for path in sorted(tree):
        node, parts = nodes, path.strip("/").split("/")
        for part in parts[:-1]:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                break
            node = below
        else:
            content = tree[path]
            if content is not None:
                node[parts[-1]] = content
            else:
                node.setdefault(parts[-1], {})
    return _image(nodes)


def wounded_files(tree: Tree) -> list[str]:
    """The paths that can be there together, parents first: nothing stands below a file."""
    files = tuple(f"{path}/" for path, content in tree.items() if content is not None)
    return [path for path in sorted(tree) if not path.startswith(files)]


def _image(nodes: dict[str, object]) -> Image:
    found = []
    for name in sorted(nodes):
        node = nodes[name]
        found.append((name, _image(node) if isinstance(node, dict) else node))
    return tuple(found)  # type: ignore[arg-type] # nodes are built of bytes and dicts alone


def bits(tree: Tree, chance: Random) -> int:
    """A few bits of one sector are flipped."""
    path = _file(tree, chance)
    data = bytearray(_bytes(tree, path))
    start = chance.randrange(0, len(data), SECTOR)
    for _ in range(chance.randrange(1, 9)):
        data[chance.randrange(start, min(start + SECTOR, len(data)))] ^= 1 << chance.randrange(8)
    tree[path] = bytes(data)
    return 1


def heads(tree: Tree, chance: Random) -> int:
    """A bit of a frame's header is flipped."""
    path = _file(tree, chance)
    data = bytearray(_bytes(tree, path))
    starts = [at.start() for at in re.finditer(b"EDGF", data)]
    if starts:
        at = min(chance.choice(starts) + chance.randrange(40), len(data) - 1)
        data[at] ^= 1 << chance.randrange(8)
    tree[path] = bytes(data)
    return 1


def _over(fill: Callable[[Random, int], bytes]) -> Callable[[Tree, Random], int]:
    def wound(tree: Tree, chance: Random) -> int:
        path = _file(tree, chance)
        data = bytearray(_bytes(tree, path))
        first = chance.randrange(0, len(data), SECTOR)
        count = chance.choice((1, 1, 1, 2, 8))
        end = min(first + count * SECTOR, len(data))
        data[first:end] = fill(chance, end - first)
        tree[path] = bytes(data)
        return -(-(end - first) // SECTOR)

    return wound


def stale(tree: Tree, chance: Random) -> int:
    """A sector holds what another one, perhaps of another file, holds too."""
    source, path = _bytes(tree, _file(tree, chance)), _file(tree, chance)
    data = bytearray(_bytes(tree, path))
    start, other = chance.randrange(0, len(data), SECTOR), chance.randrange(0, len(source), SECTOR)
    piece = source[other : other + SECTOR]
    data[start : start + len(piece)] = piece
    tree[path] = bytes(data)
    return 1


def swapped_sectors(tree: Tree, chance: Random) -> int:
    """Two sectors of one file are in each other's place."""
    path = _file(tree, chance)
    data = bytearray(_bytes(tree, path))
    if len(data) < 2 * SECTOR:
        return 0
    one, other = (chance.randrange(0, len(data) - SECTOR + 1, SECTOR) for _ in range(2))
    data[one : one + SECTOR], data[other : other + SECTOR] = data[other : other + SECTOR], data[one : one + SECTOR]
    tree[path] = bytes(data)
    return 2


def cut(tree: Tree, chance: Random) -> int:
    """A file ends early."""
    path = _file(tree, chance)
    data = _bytes(tree, path)
    size = chance.randrange(len(data))
    tree[path] = data[:size]
    return -(-(len(data) - size) // SECTOR)


def grown(tree: Tree, chance: Random) -> int:
    """Something stands behind a file's end."""
    path = _file(tree, chance)
    tail = chance.choice((bytes(700), chance.randbytes(700), _bytes(tree, path)[:900]))
    tree[path] = _bytes(tree, path) + tail
    return 0


def emptied(tree: Tree, chance: Random) -> int:
    """A file has nothing in it."""
    path = _file(tree, chance)
    size = len(_bytes(tree, path))
    tree[path] = b""
    return -(-size // SECTOR)


def swapped_files(tree: Tree, chance: Random) -> int:
    """Two files have each other's names."""
    one, other = _file(tree, chance), _file(tree, chance)
    tree[one], tree[other] = tree[other], tree[one]
    return _sectors(tree, one, other) if one != other else 0


def twice(tree: Tree, chance: Random) -> int:
    """A segment is there a second time, under another generation."""
    path = _file(tree, chance, ".seg")
    folder, _, name = path.rpartition("/")
    tree[f"{folder}/{chance.randrange(1, 10**8):08d}{name[8:]}"] = tree[path]
    return 0


def renamed(tree: Tree, chance: Random) -> int:
    """A segment has the name of another epoch, or number."""
    path = _file(tree, chance, ".seg")
    folder, _, name = path.rpartition("/")
    taken = _sectors(tree, path)
    tree[f"{folder}/00000003-{chance.getrandbits(62):016x}-{chance.randrange(9):010d}.seg"] = tree.pop(path)
    return taken if name else 0


def removed(tree: Tree, chance: Random) -> int:
    """A file is gone."""
    path = _file(tree, chance)
    taken = _sectors(tree, path)
    del tree[path]
    return taken


def folder_for_file(tree: Tree, chance: Random) -> int:
    """A folder stands where a file was, perhaps with something in it."""
    path = _file(tree, chance)
    taken = _sectors(tree, path)
    tree[path] = None
    if chance.random() < 0.5:
        tree[path + "/deeper"] = _JUNK
    return taken


def file_for_folder(tree: Tree, chance: Random) -> int:
    """A file stands where a folder was."""
    path = chance.choice([path for path, content in tree.items() if content is None and path.count("/") > 2])
    taken = _sectors(tree, *(below for below in tree if below.startswith(path + "/")))
    for below in [below for below in tree if below.startswith(path + "/")]:
        del tree[below]
    tree[path] = _JUNK
    return taken


def foreign(tree: Tree, chance: Random) -> int:
    """Files that are none of ours, with names short, long and misleading."""
    folder = chance.choice([path for path, content in tree.items() if content is None])
    name = chance.choice(
        (
            "notes.txt",
            "x.seg",
            "x" * 255,
            "\udcff\udcfe",
            "lost+found",
            "999999999999-0000000000000001-0000000000.seg",
            "00000001-ffffffffffffffff-0000000000.seg",
            "00000001-0000000000000001-9223372036854775807.seg",
            "00000001-0000000000000001-0000000000-0000000009-10s.seg",
            "probe.new",
            "reserve.new",
            "9" * 40 + "-0000000000000001-0.seg",
        )
    )
    tree[f"{folder}/{name}"] = chance.choice((b"", _JUNK, bytes(9000), chance.randbytes(2000)))
    return 0


def strangers(tree: Tree, chance: Random) -> int:
    """A segment of another device."""
    name = Name(chance.randrange(1, 5), 0, chance.getrandbits(62))
    frames = [
        opening_frame(name, Opening("car-9", "boot-1.0", 5, 5), "telemetry"),
        *(Frame(FrameKind.TELEMETRY, Identity(name.epoch, seq), seq, STRANGER) for seq in range(3)),
    ]
    tree[f"{_lane(tree)}/{name.file}"] = b"".join(map(encode, frames))
    return 0


def later(tree: Tree, chance: Random) -> int:
    """A segment with frames of a later version."""
    name = Name(chance.randrange(1, 5), 0, chance.getrandbits(62))
    body = b""
    for seq in range(2):
        head = struct.pack(">4sBBHIQQq8s", b"EDGF", 2, 1, 52, 9, name.epoch, seq, 0, bytes(8))
        body += head + struct.pack(">I", zlib.crc32(head)) + bytes(9) + bytes(4)
    tree[f"{_lane(tree)}/{name.file}"] = body
    return 0


@dataclass(frozen=True)
class Wound:
    """One kind of wound; `bytes_only`: names and files stay what they were."""

    name: str
    give: Callable[[Tree, Random], int]
    bytes_only: bool = True


_OFTEN: Sequence[tuple[int, Wound]] = (
    (6, Wound("bits", bits)),
    (3, Wound("a header's bit", heads)),
    (4, Wound("zeros", _over(lambda _chance, size: bytes(size)))),
    (4, Wound("noise", _over(lambda chance, size: chance.randbytes(size)))),
    (2, Wound("ones", _over(lambda _chance, size: b"\xff" * size))),
    (2, Wound("stale sector", stale)),
    (2, Wound("swapped sectors", swapped_sectors)),
    (2, Wound("cut", cut)),
    (1, Wound("grown", grown)),
    (1, Wound("emptied", emptied)),
    (1, Wound("swapped files", swapped_files, bytes_only=False)),
    (1, Wound("twice", twice, bytes_only=False)),
    (1, Wound("renamed", renamed, bytes_only=False)),
    (1, Wound("removed", removed, bytes_only=False)),
    (1, Wound("folder for file", folder_for_file, bytes_only=False)),
    (1, Wound("file for folder", file_for_folder, bytes_only=False)),
    (1, Wound("foreign file", foreign)),
    (1, Wound("another device's", strangers)),
    (1, Wound("later version", later)),
)
WOUNDS: Sequence[Wound] = tuple(wound for times, wound in _OFTEN for _ in range(times))
"""Every wound, as often as it is drawn."""


def _file(tree: Tree, chance: Random, suffix: str = "") -> str:
    """A file with something in it."""
    return chance.choice(sorted(path for path, content in tree.items() if content and path.endswith(suffix)))


def _bytes(tree: Tree, path: str) -> bytes:
    content = tree[path]
    assert content is not None, "a file"
    return content


def _sectors(tree: Tree, *paths: str) -> int:
    return sum(-(-len(tree[path] or b"") // SECTOR) for path in paths)


def _lane(tree: Tree) -> str:
    return next((path for path in sorted(tree) if path.endswith("/telemetry")), "/state/spool/hub/telemetry")
