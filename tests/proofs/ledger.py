"""What was found so far, kept below `.proofs/` by what was tried and by what tried it.

    .proofs/<digest of the package>/<row>-<digest of the row's modules>/<part>.json

The package is every file of `edge_agent/` and `pyproject.toml`; the row's modules are its own and all below `tests/`
that it imports, or names in a string as it starts them. So a commit of the same content finds what was found before,
any change of the product begins all rows anew, and a change of one row begins that one anew.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson

from tests.proofs.row import Findings

ROOT = Path(__file__).resolve().parents[2]
_MODULE = re.compile(r"tests(\.\w+)+")


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
        return self._folder / f"{row}-{_digest(*sorted(modules(f'tests.proofs.{row}')))}"


def ledger_of_this_tree() -> Ledger:
    """The ledger of the package as it is now."""
    return Ledger(ROOT / ".proofs" / package_digest())


@cache
def package_digest() -> str:
    """What the product is, in twelve letters."""
    files = [path for path in (ROOT / "edge_agent").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return _digest(ROOT / "pyproject.toml", *sorted(files))


@cache
def modules(name: str) -> frozenset[Path]:
    """The files of a module below `tests` and of all that it leads to there."""
    found: set[Path] = set()
    waiting = [name]
    while waiting:
        path = _file_of(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += _named_in(path)
    return frozenset(found)


def _named_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and _MODULE.fullmatch(node.module):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _MODULE.fullmatch(alias.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE.fullmatch(node.value):
            yield node.value


def _file_of(name: str) -> Path | None:
    plain = ROOT.joinpath(*name.split("."))
    return next((path for path in (plain.with_suffix(".py"), plain / "__init__.py") if path.is_file()), None)


def _digest(*files: Path) -> str:
    whole = sha256()
    for file in files:
        content = file.read_bytes()
        whole.update(f"{file.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:12]
