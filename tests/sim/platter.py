"""What a power cut may leave of files and folders: any part of what was not synced.

A file is seen by readers as its `cache`. Since its last sync it grew, and was perhaps cut, through some sizes; a cut of
the power leaves one of these sizes or the last synced one, and of each sector below that size one of the contents that
it had since then, or what the platter has: zeros where nothing was. A sync that failed leaves its sectors so for ever.

A folder is seen as its `names`. Each change since its last sync (a name made, moved or removed) is kept or lost by
itself, in any combination; a move is kept or lost as a whole. This is weaker than what journaling file systems do.

`worst` leaves nothing that was not synced. `drawn` draws one of the possible images, `images` goes through them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from typing import TypeVar, Union

from edge_agent.model.frame import Range
from edge_agent.model.ports import Chance

T = TypeVar("T")

SECTOR = 512

Image = tuple[tuple[str, Union[bytes, "Image"]], ...]
"""A folder as a value: its names in order, each with the bytes of a file or the image of a folder."""

_MOST_SIZES = 8
_MOST_CHANGES = 6
"""So many changes of names are combined in every way; more are drawn."""
_Names = dict[str, Union["File", "Folder"]]


@dataclass(eq=False)
class File:
    """What readers see, what a crash leaves at the least, and what it may leave besides."""

    cache: bytes | bytearray = b""
    platter: bytes | bytearray = b""
    tail: bytes = b""
    """What was cut off its end; it may come back."""
    sizes: list[int] = field(default_factory=list)
    """The sizes that it had since its last sync."""
    loose: list[Range] = field(default_factory=list)
    """Bytes that the platter may have as the cache has them."""
    doomed: int = 0
    """Bytes up to here were in a sync that failed."""
    locked: bool = False
    shapes: list[bytes] | None = None
    """What `possible` found, until something changes."""

    def grow(self, data: bytes, *, more: bool = False) -> None:
        """Bytes are appended; `more` of them than the last time, by the same call."""
        if more and self.sizes:
            self.sizes.pop()
        self.cache = _open(self.cache)
        self.cache += data
        self.sizes.append(len(self.cache))
        self.shapes = None

    def cut(self, size: int) -> None:
        """Nothing behind this many bytes is seen any more."""
        if size < len(self.cache):
            self.tail = bytes(self.cache[size:])
            self.cache = self.cache[:size]
            self.sizes.append(size)
            self.shapes = None

    def lay(self, offset: int, data: bytes) -> None:
        """Bytes are written over others, not synced yet."""
        self.cache = _open(self.cache)
        self.cache[offset : offset + len(data)] = data
        self.loose.append((offset, offset + len(data)))
        self.shapes = None

    def doom(self) -> None:
        """A sync failed: nobody knows what of this is on the platter, and no later sync writes it."""
        self.doomed = len(self.cache)

    def keep(self) -> None:
        """Everything is on the platter, but for what an earlier sync had lost."""
        kept = len(self.platter)
        lost = max(0, self.doomed - kept)
        self.platter = _open(self.platter)
        self.platter += bytes(lost) + self.cache[kept + lost :]
        del self.platter[len(self.cache) :]
        if lost:
            self.loose.append((kept, kept + lost))
        self.tail, self.sizes, self.shapes = b"", [], None

    def keep_part(self, offset: int, size: int) -> None:
        """So many bytes from an offset are on the platter."""
        end = offset + size
        self.platter = _open(self.platter)
        self.platter[offset:end] = self.cache[offset:end]
        self.loose = [pair for pair in self.loose if pair != (offset, end)]
        self.shapes = None

    def possible(self, sector: int, most: int, chance: Chance) -> list[bytes]:
        """The contents that a crash may leave, at most about so many; the worst comes first."""
        if self.shapes is None:
            self.shapes = list(dict.fromkeys(self._possible(sector, most, chance)))
        return self.shapes

    def drawn(self, sector: int, chance: Chance) -> bytes:
        """One of them."""
        size = _pick(self._sizes(sector), chance)
        return _content([_pick(choices, chance) for choices in self._choices(size, sector)], size)

    def fresh(self, data: bytes) -> None:
        """This is all that there is, after a crash."""
        self.cache = self.platter = data
        self.tail, self.sizes, self.loose, self.doomed, self.shapes = b"", [], [], 0, None

    def _possible(self, sector: int, most: int, chance: Chance) -> Iterator[bytes]:
        yield bytes(self.platter)
        if not self.sizes and not self.loose:
            return
        sizes = self._sizes(sector)
        for size in sizes:
            choices = self._choices(size, sector)
            ways = 1
            for some in choices:
                ways *= len(some)
            if ways <= max(2, most // len(sizes)):
                yield from (_content(parts, size) for parts in product(*choices))
                continue
            yield _content([some[0] for some in choices], size)
            yield _content([some[-1] for some in choices], size)
            for _ in range(most // len(sizes) - 2):
                yield _content([_pick(some, chance) for some in choices], size)

    def _sizes(self, sector: int) -> list[int]:
        """The sizes that it may have: those it had, and ends of sectors between them."""
        had = sorted({len(self.platter), *self.sizes})
        between = [end for end in range(had[0] // sector * sector + sector, had[-1], sector) if end not in had]
        step = max(1, len(between) // _MOST_SIZES)
        return sorted({*had, *between[::step]})

    def _choices(self, size: int, sector: int) -> list[list[bytes]]:
        """For each run of clean bytes and each sector that is not clean, below a size: what may stand there."""
        seen = bytes(self.cache) + self.tail
        had = sorted({end for end in (*self.sizes, len(self.platter)) if end >= len(self.platter)})
        dirty = set(range(len(self.platter) // sector, -(-size // sector)) if size > len(self.platter) else ())
        for start, end in self.loose:
            dirty |= set(range(start // sector, -(-end // sector)))
        choices: list[list[bytes]] = []
        clean = 0
        for number in sorted(dirty):
            start, end = number * sector, min(number * sector + sector, size)
            if start >= size:
                break
            choices.append([bytes(self.platter[clean:start])])
            versions = [bytes(self.platter[start:end])]
            versions += [seen[start : min(end, upto)] for upto in had if upto > start]
            choices.append(list(dict.fromkeys(version.ljust(end - start, b"\0") for version in versions)))
            clean = end
        choices.append([bytes(self.platter[clean:size])])
        return choices


@dataclass(eq=False)
class Change:
    """A change of names that is not synced: made (only `to`), removed (only `source`), or moved."""

    node: Union[File, "Folder", None]
    source: "tuple[Folder, str] | None" = None
    to: "tuple[Folder, str] | None" = None

    @property
    def folders(self) -> "list[Folder]":
        """Where it is seen."""
        return list(dict.fromkeys(place[0] for place in (self.source, self.to) if place is not None))

    def apply(self, names_of: "Mapping[Folder, _Names]") -> None:
        """Do it to these names, as far as they are there."""
        if self.source is not None:
            names_of[self.source[0]].pop(self.source[1], None)
        if self.to is not None and self.node is not None:
            names_of[self.to[0]][self.to[1]] = self.node


@dataclass(eq=False)
class Folder:
    """The names that are seen, those that a crash leaves at the least, and what happened between."""

    names: _Names = field(default_factory=dict)
    durable: _Names = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def put(self, name: str, node: "File | Folder") -> None:
        """A name is made, or taken over, and is durable."""
        self.names[name] = self.durable[name] = node
        for change in tuple(self.pending):
            if (self, name) in (change.source, change.to):
                for folder in change.folders:
                    folder.pending.remove(change)

    def add(self, name: str, node: "File | Folder") -> None:
        """A name is made, or taken over."""
        self.names[name] = node
        self.pending.append(Change(node, to=(self, name)))

    def remove(self, name: str) -> None:
        """A name is removed."""
        del self.names[name]
        self.pending.append(Change(None, source=(self, name)))

    def move(self, name: str, folder: "Folder", to: str) -> None:
        """A name becomes another one, here or elsewhere."""
        node = self.names.pop(name)
        folder.names[to] = node
        change = Change(node, (self, name), (folder, to))
        for place in change.folders:
            place.pending.append(change)

    def sync(self) -> None:
        """Its names are durable; a move is so on both sides."""
        for change in self.pending:
            for other in change.folders:
                if other is not self:
                    change.apply({folder: folder.durable for folder in change.folders})
                    other.pending.remove(change)
        self.durable = dict(self.names)
        self.pending.clear()


def worst(folder: Folder) -> None:
    """Back to what a crash leaves at the least."""
    folder.names = dict(folder.durable)
    folder.pending.clear()
    for node in folder.names.values():
        if isinstance(node, File):
            node.fresh(bytes(node.platter))
        else:
            worst(node)


def drawn(root: Folder, sector: int, chance: Chance) -> Image:
    """One of the images that a crash may leave."""
    names_of = _after([change for change in _pending(root) if chance.random() < 0.5])
    chosen = {file: file.drawn(sector, chance) for file in files(root, names_of)}
    return _frozen(root, names_of, chosen)


def images(root: Folder, sector: int, most: int, chance: Chance) -> Iterator[Image]:
    """The images that a crash may leave, every one where they are few; at most about so many."""
    subsets = list(_subsets(_pending(root), chance))
    share = max(1, most // len(subsets))
    for subset in subsets:
        names_of = _after(subset)
        left = list(files(root, names_of))
        contents = [file.possible(sector, share, chance) for file in left]
        ways = 1
        for some in contents:
            ways *= len(some)
        if ways <= share:
            combinations: Iterable[Sequence[bytes]] = product(*contents)
        else:
            ends = ([some[0] for some in contents], [some[-1] for some in contents])
            combinations = chain(ends, ([_pick(some, chance) for some in contents] for _ in range(share - 2)))
        for parts in combinations:
            yield _frozen(root, names_of, dict(zip(left, parts, strict=True)))


def grown(image: Image) -> Folder:
    """A folder from its image, all of it durable."""
    folder = Folder()
    for name, content in image:
        if isinstance(content, bytes):
            folder.names[name] = File(content, content, shapes=[content])
        else:
            folder.names[name] = grown(content)
    folder.durable = dict(folder.names)
    return folder


def seen(folder: Folder) -> Image:
    """A folder's image as readers see it."""
    return tuple(
        (name, bytes(node.cache) if isinstance(node, File) else seen(node))
        for name, node in sorted(folder.names.items())
    )


def files(folder: Folder, names_of: "Mapping[Folder, _Names] | None" = None) -> Iterator[File]:
    """Every file below as it is seen, or as these names have it, each once a name."""
    folders = [folder]
    while folders:
        one = folders.pop()
        for node in (one.names if names_of is None else names_of.get(one, one.durable)).values():
            if isinstance(node, File):
                yield node
            else:
                folders.append(node)


def _pending(folder: Folder) -> list[Change]:
    """Every change in or below a folder that is not synced, in order, as far as what is seen and durable goes."""
    found = dict.fromkeys(folder.pending)
    for node in dict.fromkeys((*folder.durable.values(), *folder.names.values())):
        if isinstance(node, Folder):
            found |= dict.fromkeys(_pending(node))
    return list(found)


def _subsets(changes: Sequence[Change], chance: Chance) -> Iterator[list[Change]]:
    if len(changes) <= _MOST_CHANGES:
        for kept in product((False, True), repeat=len(changes)):
            yield [change for change, keep in zip(changes, kept, strict=True) if keep]
        return
    yield []
    yield list(changes)
    for _ in range(2**_MOST_CHANGES - 2):
        yield [change for change in changes if chance.random() < 0.5]


def _after(changes: Sequence[Change]) -> dict[Folder, _Names]:
    """The names of all folders that these changes touch."""
    names_of = {folder: dict(folder.durable) for change in changes for folder in change.folders}
    for change in changes:
        change.apply(names_of)
    return names_of


def _frozen(folder: Folder, names_of: Mapping[Folder, _Names], chosen: Mapping[File, bytes]) -> Image:
    names = names_of.get(folder, folder.durable)
    nodes = sorted(names.items()) if len(names) > 1 else names.items()
    return tuple(  # from a list: most folders hold one name, and a generator costs more than that
        [(name, chosen[node] if isinstance(node, File) else _frozen(node, names_of, chosen)) for name, node in nodes]
    )


def _open(content: bytes | bytearray) -> bytearray:
    """Bytes that may be changed in place: what a disk was made from is shared until it is."""
    return content if isinstance(content, bytearray) else bytearray(content)


def _content(parts: Sequence[bytes], size: int) -> bytes:
    return b"".join(parts).ljust(size, b"\0")[:size]


def _pick(choices: Sequence[T], chance: Chance) -> T:
    return choices[min(int(chance.random() * len(choices)), len(choices) - 1)]
