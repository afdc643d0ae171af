"""What was found so far, kept below `.proofs/` by what was tried and by what tried it.

    .proofs/<row>-<digest of what it runs>/<part>.json

What a row runs are the files of its own modules, and of all below `tests/` and `edge_agent/` that they import, or name
in a string as they start them; a row that starts the program, or copies the package, runs all of `edge_agent/`. The
shelves, whose modules are found by a computed name, lead to every dialect and handler. Not so to collectors: devices of
a simulation have all of them switched off, and load them for their options alone. To it come `pyproject.toml` and the
files of the package that are no modules. So a commit of the same content finds what was found before, and a change
begins those rows anew that it may touch. What a part loaded is compared with what its row is said to run (`strays`).
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson

from tests.proofs.row import Findings

ROOT = Path(__file__).resolve().parents[2]
_MODULE = re.compile(r"(tests|edge_agent)(\.\w+)+")
_PACKAGE = "edge_agent"
_SHELF, _ON_SHELVES = f"{_PACKAGE}/config/shelf.py", ("dialects", "handlers")
_SWITCHED_OFF = f"{_PACKAGE}.collectors"


class Ledger:
    """The findings about the product as the tree has it now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, row: str, part: int, found: Findings) -> None:
        """Keep what a part found."""
        folder = self._of(row)
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{part}.new"
        new.write_bytes(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2))
        new.replace(folder / f"{part}.json")

    def found(self, row: str) -> Mapping[int, Findings]:
        """What the parts of a row found so far."""
        return {int(file.stem): Findings(**orjson.loads(file.read_bytes())) for file in self._of(row).glob("*.json")}

    def _of(self, row: str) -> Path:
        return self._folder / f"{row}-{_digest_of(row)}"


def ledger_of_this_tree() -> Ledger:
    """The ledger of the product as it is now."""
    return Ledger(ROOT / ".proofs")


def strays(row: str) -> list[str]:
    """Modules of the product that this process loaded though the row is not said to run them."""
    known = modules(f"tests.proofs.{row}")
    loaded = [(name, _file_of(name)) for name in tuple(sys.modules) if name.startswith(f"{_PACKAGE}.")]
    overlooked = [name for name, file in loaded if file is not None and file not in known]
    return sorted(name for name in overlooked if not f"{name}.".startswith(f"{_SWITCHED_OFF}."))


@cache
def modules(name: str) -> frozenset[Path]:
    """The files of a module of the tests or the product, and of all that it leads to there."""
    found: set[Path] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        waiting += [parent for parent in [name.rpartition(".")[0]] if parent]
        path = _file_of(name)
        if path is not None and path not in found:
            found.add(path)
            waiting += _named_in(path)
    return frozenset(found)


def _named_in(path: Path) -> Iterator[str]:
    if path == ROOT / _SHELF:
        for shelf in _ON_SHELVES:
            yield from map(_name_of, (ROOT / _PACKAGE / shelf).rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and _MODULE.fullmatch(f"{node.module}.{_PACKAGE}"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _MODULE.fullmatch(alias.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE.fullmatch(node.value):
            yield node.value
        elif isinstance(node, ast.Constant) and node.value == _PACKAGE and "tests" in path.relative_to(ROOT).parts:
            yield from map(_name_of, (ROOT / _PACKAGE).rglob("*.py"))


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def _digest_of(row: str) -> str:
    """Of the tree as it was when this process asked first: what it found later may be of no other."""
    return _digest(*sorted(modules(f"tests.proofs.{row}") | _besides()))


def _besides() -> frozenset[Path]:
    """`pyproject.toml`, and what the package has besides modules."""
    plain = (path for path in (ROOT / _PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return frozenset(path for path in (*plain, ROOT / "pyproject.toml") if path.suffix != ".py")


def _file_of(name: str) -> Path | None:
    plain = ROOT.joinpath(*name.split("."))
    return next((path for path in (plain.with_suffix(".py"), plain / "__init__.py") if path.is_file()), None)


def _digest(*files: Path) -> str:
    whole = sha256()
    for file in files:
        content = file.read_bytes()
        whole.update(f"{file.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:12]
