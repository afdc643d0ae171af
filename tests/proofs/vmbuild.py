"""Builds the guest of the virtual machine: this machine's own kernel, interpreter and packages, and the tree as it is.

The guest is one kernel and one archive in its memory (cpio, "newc"): no root disk, no shell, no init system. The kernel
runs `/init`, a Python program (`vm.first`), which loads modules and mounts the disk under test. The archive has

    the interpreter and its standard library, as compiled code, where they are on this machine
    the packages that edge-agent needs, by their own metadata, below /packages
    `date`
    the shared libraries that all of these name, by `ldd`
    the kernel's modules, in the order of `/modules`
    edge_agent of this tree, and what of the tests the guest runs, below /tree

All but the last is kept below `.proofs/vm/` under a name that says what is in it; nothing is downloaded.

Not handled: processors other than x86-64, kernels whose modules are compressed, an interpreter without a C library.
"""

import os
import platform
import py_compile
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.proofs.ledger import ROOT
from tests.proofs.row import lacking
from tests.proofs.vm.timed import DATE

_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "dm_mod", "dm_flakey", "virtio_net")
_NOT_NEEDED = frozenset({"__pycache__", "site-packages", "dist-packages", "test", "tests"}) | frozenset(
    {"idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "distutils", "pydoc_data", "unittest", "venv"}
)
_TREE = ("edge_agent", "tests/__init__.py", "tests/proofs/__init__.py", "tests/proofs/beats.py", "tests/proofs/vm")
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "mnt", "dev/shm", "etc")
_INIT = """#!{python} -I
import sys
sys.path[:0] = ["/tree", "/packages"]
from tests.proofs.vm.first import main
main()
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """What a machine boots: two files."""

    kernel: Path
    archive: Path


def kernel() -> Path | None:
    """The newest kernel of this machine that has its modules beside it; None without one."""
    found = [file for file in Path("/boot").glob("vmlinuz-*") if (_modules_of(file) / "modules.dep").exists()]
    return max(found, key=_version, default=None)


def lacking_for_a_guest() -> str:
    """Why no guest can be built here; "" when one can."""
    if platform.machine() != "x86_64":
        return f"the guest is for x86-64, not for {platform.machine()}"
    if why := lacking(DATE.name):
        return why
    image = kernel()
    if image is None:
        return "no kernel in /boot with its modules in /lib/modules"
    if not os.access(image, os.R_OK):
        return f"{image} may not be read"
    try:
        _module_files(image)
    except LookupError as error:
        return str(error)
    return ""


def build(folder: Path, more: Mapping[str, bytes] | None = None) -> Guest:
    """The guest with the tree as it is, its archive in this folder; `more` are files of its own, by their paths."""
    image = kernel()
    assert image is not None, "lacking_for_a_guest said so"
    archive = folder / "guest.cpio"
    tree = _Archive()
    for part in _TREE:
        tree.add_code(ROOT / part, f"/tree/{part}")
    for path, content in (more or {}).items():
        tree.add_bytes(path, content, mode=0o600)
    archive.write_bytes(_ground(image).read_bytes() + tree.packed())
    return Guest(image, archive)


def _ground(image: Path) -> Path:
    """The part of the archive that does not change with the tree, made once."""
    packages = list(_needed("edge-agent"))
    says = [image.name, sys.version, Path(__file__).read_text(), *(f"{one.name} {one.version}" for one in packages)]
    kept = ROOT / ".proofs" / "vm" / f"{sha256(repr(says).encode()).hexdigest()[:16]}.cpio"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(_packed_ground(image, packages))
        new.replace(kept)
        for old in set(kept.parent.glob("*.cpio")) - {kept}:
            old.unlink(missing_ok=True)  # a hundred megabytes of another kernel, or of other packages
    return kept


def _packed_ground(image: Path, packages: Iterable[Distribution]) -> bytes:
    archive = _Archive()
    for folder in _FOLDERS:
        archive.add_folder(f"/{folder}")
    python = Path(sys.executable).resolve()
    archive.add_file(python, str(python))
    archive.add_file(Path(shutil.which(DATE.name) or DATE).resolve(), str(DATE))
    library = Path(sysconfig.get_path("stdlib"))
    archive.add_code(library, str(library))
    for package in packages:
        for file in package.files or ():
            where = Path(str(file.locate()))
            if ".." not in file.parts and where.is_file() and not _NOT_NEEDED & set(file.parts):
                archive.add_code(where, f"/packages/{file}")
    told = distribution("edge-agent")
    archive.add_bytes(
        f"/packages/edge_agent-{told.version}.dist-info/METADATA", (told.read_text("METADATA") or "").encode()
    )
    for module in (files := _module_files(image)):
        archive.add_file(module, str(module))
    archive.add_bytes("/modules", "".join(f"{file}\n" for file in files).encode())
    archive.add_bytes("/init", _INIT.format(python=python).encode(), mode=0o755)
    for shared in _shared_by(archive.programs):
        archive.add_file(Path(shared).resolve(), shared)
    return archive.packed()


def _needed(name: str) -> Iterator[Distribution]:
    """A package's dependencies and theirs, without itself, by what is installed."""
    seen, asked = {name}, [Requirement(text) for text in distribution(name).requires or ()]
    while asked:
        requirement = asked.pop()
        if requirement.name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(requirement.name)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # for another system; what is really missing shows when the guest imports it
        asked += [Requirement(text) for text in found.requires or ()]
        yield found


def _modules_of(image: Path) -> Path:
    return Path("/lib/modules") / image.name.removeprefix("vmlinuz-")


def _version(image: Path) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", image.name)]


def _module_files(image: Path) -> list[Path]:
    """The modules to load, each after those that it needs; LookupError names one that the kernel does not have."""
    folder = _modules_of(image)
    needs: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        file, _colon, others = line.partition(":")
        needs[file] = others.split()
    named = {Path(file).name.removesuffix(".ko").replace("-", "_"): file for file in needs}
    built_in = (folder / "modules.builtin").read_text().split()
    there = {Path(file).name.removesuffix(".ko").replace("-", "_") for file in built_in}
    order: dict[Path, None] = {}

    def load(file: str) -> None:
        for other in needs[file]:
            load(other)
        order[folder / file] = None

    for name in _MODULES:
        if name in named:
            load(named[name])
        elif name not in there:
            raise LookupError(f"the kernel {folder.name} has no module {name}")
    return list(order)


def _shared_by(programs: Iterable[Path]) -> list[str]:
    """The shared libraries that these name, the loader among them."""
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", said)))


@dataclass(slots=True)
class _Archive:
    """A cpio archive that grows; parents of a path come by themselves."""

    parts: list[bytes] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    programs: list[Path] = field(default_factory=list)
    """What was added that may need shared libraries."""

    def add_folder(self, path: str) -> None:
        """A folder and its parents."""
        if path not in {"", "/"} | self.names:
            self.add_folder(path.rpartition("/")[0])
            self._add(path, stat.S_IFDIR | 0o755, b"")

    def add_bytes(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A plain file with this content."""
        if path not in self.names:
            self.add_folder(path.rpartition("/")[0])
            self._add(path, stat.S_IFREG | mode, content)

    def add_file(self, file: Path, path: str) -> None:
        """A file of this machine; one that may be run stays so."""
        content = file.read_bytes()
        if content.startswith(b"\x7fELF"):
            self.programs.append(file)
        self.add_bytes(path, content, file.stat().st_mode & 0o755)

    def add_code(self, source: Path, path: str) -> None:
        """A file, or what a folder holds: Python compiled, without its source; what only tests need left out."""
        if source.is_dir():
            for entry in sorted(source.iterdir()):
                if entry.name not in _NOT_NEEDED and not entry.name.startswith(("config-", "_tkinter", "_test")):
                    self.add_code(entry, f"{path}/{entry.name}")
        elif source.suffix == ".py":
            self._add_compiled(source, path + "c")
        elif source.suffix != ".pyc":
            self.add_file(source, path)

    def packed(self) -> bytes:
        """The archive as it stands."""
        return b"".join([*self.parts, _entry("TRAILER!!!", 0, b"")])

    def _add_compiled(self, source: Path, path: str) -> None:
        new = ROOT / ".proofs" / "vm" / f"{os.getpid()}.pyc"
        new.parent.mkdir(parents=True, exist_ok=True)
        py_compile.compile(str(source), str(new), path.removesuffix("c"), doraise=True)
        self.add_bytes(path, new.read_bytes())
        new.unlink()

    def _add(self, path: str, mode: int, content: bytes) -> None:
        self.names.add(path)
        self.parts.append(_entry(path.lstrip("/"), mode, content))


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """One member: 13 numbers of 8 hex digits, the name, the content, each filled up to a multiple of four."""
    links, size, name_size = (2 if stat.S_ISDIR(mode) else 1), len(content), len(name.encode()) + 1
    numbers = (0, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-size % 4)
