"""What was found so far, kept below `.proofs/`, by what the tree holds: another commit, or a changed file, begins anew.

    .proofs/<commit>[+<digest of what is not committed>]/<row>/<part>.json

Texts do not count: what is written in README.md or CHANGELOG.md changes no finding.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import orjson

from tests.proofs.row import Findings

ROOT = Path(__file__).resolve().parents[2]
_CODE = ("edge_agent", "tests", "pyproject.toml")


class Ledger:
    """The findings of one state of the tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._folder

    def keep(self, row: str, part: int, found: Findings) -> None:
        """Keep what a part found."""
        folder = self._folder / row
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{part}.new"
        new.write_bytes(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2))
        new.replace(folder / f"{part}.json")

    def found(self, row: str) -> Mapping[int, Findings]:
        """What the parts of a row found so far."""
        kept = (self._folder / row).glob("*.json")
        return {int(file.stem): Findings(**orjson.loads(file.read_bytes())) for file in kept}


def ledger_of_this_tree() -> Ledger:
    """The ledger of the tree as it is now."""
    commit = _git("rev-parse", "--short=12", "HEAD:edge_agent").strip() + "-"
    commit += _git("rev-parse", "--short=12", "HEAD:tests").strip()
    changed = _git("diff", "HEAD", "--", *_CODE)
    new = _git("ls-files", "--others", "--exclude-standard", "--", *_CODE).splitlines()
    changed += "".join(f"{name}\n{sha256((ROOT / name).read_bytes()).hexdigest()}\n" for name in new)
    name = f"{commit}+{sha256(changed.encode()).hexdigest()[:12]}" if changed else commit
    return Ledger(ROOT / ".proofs" / name)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout
