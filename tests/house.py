"""The rules of the house, each a plain function from a source file to what is wrong with it.

They read syntax trees and lines, never import what they judge. What they see is what is written: a clock that is
reached through `getattr`, or a table that another module changes, is left to the review.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_agent"

CAPS: Mapping[str, int] = {".py": 400, ".ts": 200, ".tsx": 200}
COLLECTOR_CAP = 150
KIT_CAP = 10

FAULT_LINES = ("one collector", "one handler", "one hub request")
"""The only places where any exception is caught, as their comments say it."""

# A prefix stands for everything below it.
CLOCKS = ("time", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today")
CHANCES = ("random", "secrets", "uuid.uuid1", "uuid.uuid4", "os.urandom", "os.getrandom")
ENVIRONMENTS = ("os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv")

WORDS = frozenset({"Manager", "Service", "Helper", "Util", "Utils", "Base", "Impl", "Data", "Info"})

MUTABLE = """
list dict set bytearray deque defaultdict Counter OrderedDict ChainMap WeakSet WeakKeyDictionary WeakValueDictionary
ContextVar Lock RLock Event Condition Semaphore Queue SimpleQueue count cycle iter
"""
READ_ONLY = "Mapping Sequence Collection Container Iterable Set AbstractSet tuple frozenset Final"
CHANGES = """
append appendleft add update extend insert pop popleft popitem remove discard clear setdefault sort reverse
"""


@dataclass(frozen=True)
class Source:
    """One file: `path` relative to the repository, and its text."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The room of a file of the package, or the module where it stands on the ground itself."""
        return self.path.parts[1].removesuffix(".py") if self.path.parts[0] == PACKAGE.name else ""


Rule = Callable[[Source], Iterator[str]]


def sources(folder: Path, *suffixes: str) -> list[Source]:
    """The files below a folder, but for what was generated or installed there."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in suffixes and "node_modules" not in path.parts]
    return [Source(path.relative_to(ROOT), path.read_text()) for path in found]


def caps(source: Source) -> Iterator[str]:
    """A file is short enough to be read at one go."""
    cap = COLLECTOR_CAP if source.room == "collectors" else CAPS[source.path.suffix]
    if (lines := len(source.text.splitlines())) > cap:
        yield f"{lines} lines, the cap is {cap}"


def docstrings(source: Source) -> Iterator[str]:
    """A module says what it is for."""
    if not (ast.get_docstring(source.tree) or "").strip():
        yield "no module docstring"


def prints(source: Source) -> Iterator[str]:
    """Only commands speak to the terminal."""
    if source.room != "cli":
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name) and node.id == "print":
                yield f"line {node.lineno}: print outside cli"


def found_not_given(source: Source) -> Iterator[str]:
    """Clock, chance and environment are given, never found."""
    if source.room == "kit":
        return
    forbidden = CLOCKS + CHANCES + (() if source.room in {"cli", "config"} else ENVIRONMENTS)
    for line, name in _origins(source.tree):
        if any(name == known or name.startswith(known + ".") for known in forbidden):
            yield f"line {line}: {name} is found, not given"


def broad_handlers(source: Source) -> Iterator[str]:
    """Exceptions are caught by name, but for the marked fault lines."""
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"bare"}
        if caught & {"bare", "BaseException"}:
            yield f"line {node.lineno}: everything is caught, the end of the process too"
        elif "Exception" in caught and not any(f"fault line: {line}" in lines[node.lineno - 1] for line in FAULT_LINES):
            yield f"line {node.lineno}: any exception is caught outside of a fault line"


def fault_lines(source: Source) -> Iterator[str]:
    """The marks of the fault lines that a file holds; each stands once in the whole house."""
    for name in FAULT_LINES:
        yield from [name] * len(re.findall(rf"except Exception.*#.*fault line: {name}", source.text))


def mutable_state(source: Source) -> Iterator[str]:
    """What a module holds is constant: a table under an upper case name that nothing changes, or read only by type."""
    tables = set()
    for held in source.tree.body:
        if not isinstance(held, ast.Assign | ast.AnnAssign) or held.value is None:
            continue
        targets = held.targets if isinstance(held, ast.Assign) else [held.target]
        given = [target.id for target in targets if isinstance(target, ast.Name)]
        tables.update(given)
        annotation = held.annotation if isinstance(held, ast.AnnAssign) else None
        if given == ["__all__"] or (annotation is not None and _last(annotation) in READ_ONLY.split()):
            continue
        constant = _is_full_display(held.value) and all(name == name.upper() for name in given)
        if _is_mutable(held.value) and not constant:
            yield f"line {held.lineno}: {', '.join(given)} is mutable and belongs to nobody"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global {', '.join(node.names)}"
        elif (name := _changed(node)) in tables:
            yield f"line {getattr(node, 'lineno', 0)}: {name} is changed"


def names(source: Source) -> Iterator[str]:
    """Names are the field's own."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and (said := WORDS & set(re.findall(r"[A-Z][a-z0-9]*", node.name))):
            yield f"line {node.lineno}: {node.name} says {', '.join(sorted(said))}"
    if (stem := source.path.stem.strip("_").title()) in WORDS or stem.removesuffix("s") in WORDS:
        yield f"a module called {source.path.stem}"


def waivers(source: Source) -> Iterator[str]:
    """A waived rule says which and why."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"#\s*[n]oqa", line) and not re.search(r"# [n]oqa: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)* - \S", line):
            yield f"line {number}: a noqa without its rule or its reason"


def _origins(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each name that an import brings and each attribute reached through one, as its full dotted name."""
    local: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                local[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            first, _, rest = dotted.partition(".")
            if first in local:
                yield node.lineno, f"{local[first]}.{rest}"


def _dotted(node: ast.expr) -> str:
    """`a.b.c` as it is written; empty when it does not start with a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def _last(node: ast.expr) -> str:
    """The last word of a type or a callable, without its parameters."""
    if isinstance(node, ast.Subscript):
        node = node.value
    return _dotted(node).rpartition(".")[2]


def _is_mutable(value: ast.expr) -> bool:
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp
    return isinstance(value, displays) or (isinstance(value, ast.Call) and _last(value.func) in MUTABLE.split())


def _is_full_display(value: ast.expr) -> bool:
    """A table that is written out: an empty one waits to be filled."""
    if isinstance(value, ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return (
        bool(value.keys) if isinstance(value, ast.Dict) else isinstance(value, ast.List | ast.Set) and bool(value.elts)
    )


def _changed(node: ast.AST) -> str:
    """The name of what a statement or a call changes in place."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES.split():
        return _dotted(node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _dotted(node.value)
    return ""
