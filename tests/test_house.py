"""The house keeps its rules, and each rule sees what breaks it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.house import (
    FAULT_LINES,
    KIT_CAP,
    PACKAGE,
    ROOT,
    Rule,
    Source,
    broad_handlers,
    caps,
    docstrings,
    fault_lines,
    found_not_given,
    mutable_state,
    names,
    prints,
    sources,
    waivers,
)

EVERYWHERE: tuple[Rule, ...] = (caps, docstrings, waivers)
IN_THE_PACKAGE: tuple[Rule, ...] = (prints, found_not_given, broad_handlers, mutable_state, names)


def broken(rule: Rule, held: list[Source]) -> list[str]:
    """Everything that a rule has to say, with where."""
    return [f"{source.path}: {complaint}" for source in held for complaint in rule(source)]


def said(rule: Rule, text: str, path: str = "edge_agent/spool/one.py") -> list[str]:
    """What a rule says about a source that was written for it."""
    return list(rule(Source(Path(path), text)))


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_package_and_tests_keep(rule: Rule) -> None:
    found = broken(rule, sources(PACKAGE, ".py") + sources(ROOT / "tests", ".py"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", IN_THE_PACKAGE, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: Rule) -> None:
    found = broken(rule, sources(PACKAGE, ".py"))
    assert not found, "\n".join(found)


def test_the_page_keeps_its_cap() -> None:
    assert broken(caps, sources(PACKAGE, ".ts", ".tsx")) == []


def test_each_fault_line_stands_once() -> None:
    found = Counter(name for source in sources(PACKAGE, ".py") for name in fault_lines(source))
    assert found == dict.fromkeys(FAULT_LINES, 1)


def test_the_kit_is_small() -> None:
    assert len([path for path in (PACKAGE / "kit").glob("*.py") if path.name != "__init__.py"]) <= KIT_CAP


# The floors, by import-linter and the contracts in pyproject.toml.


def floors(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says about the package in a folder."""
    linter = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    return subprocess.run(linter, cwd=folder, capture_output=True, text=True, check=False)


def test_no_floor_is_broken() -> None:
    done = floors(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "imported"),
    [
        ("model", "edge_agent.kit"),
        ("model", "aiohttp"),
        ("kit", "edge_agent.wire"),
        ("spool", "edge_agent.uplink"),
        ("agent", "edge_agent.hub"),
        ("cellar", "edge_agent.model"),
    ],
)
def test_a_broken_floor_is_seen(tmp_path: Path, room: str, imported: str) -> None:
    for path in [*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text('"""Nothing."""\n')
    (tmp_path / "edge_agent" / room).mkdir(exist_ok=True)
    (tmp_path / "edge_agent" / room / "__init__.py").write_text(f"import {imported}\n")
    done = floors(tmp_path)
    assert done.returncode != 0
    assert f"edge_agent.{room}" in done.stdout


# Each rule on a source that breaks it, beside one that does not.


def test_a_file_over_its_cap_is_seen() -> None:
    assert said(caps, "x\n" * 400) == []
    assert said(caps, "x\n" * 401) == ["401 lines, the cap is 400"]
    assert said(caps, "x\n" * 151, "edge_agent/collectors/gpu.py") == ["151 lines, the cap is 150"]
    assert said(caps, "x\n" * 201, "edge_agent/hub/web/app.ts") == ["201 lines, the cap is 200"]
    assert said(caps, "x\n" * 151, "tests/collectors/test_gpu.py") == []


def test_a_module_that_says_nothing_is_seen() -> None:
    assert said(docstrings, '"""A purpose."""\n') == []
    assert len(said(docstrings, "x = 1\n")) == len(said(docstrings, "")) == len(said(docstrings, '""" """')) == 1


def test_a_print_is_seen() -> None:
    assert said(prints, "print('x')", "edge_agent/cli/run.py") == []
    assert said(prints, "page.print()\n") == []
    assert said(prints, "x = 1\nprint('x')\n") == ["line 2: print outside cli"]


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import time as t\nt.thread_time()",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import datetime as dt\nx = dt.today",
        "import datetime as d\nd.date.today()",
        "import random",
        "from random import Random",
        "import secrets",
        "def f():\n    import secrets",
        "from uuid import uuid4",
        "import uuid\nuuid.uuid4()",
        "import os\nos.urandom(8)",
        "import os\nos.environ['HOME']",
        "import os.path\nos.getenv('HOME')",
        "from os import environ",
    ],
)
def test_what_is_found_and_not_given_is_seen(text: str) -> None:
    assert said(found_not_given, text)
    assert said(found_not_given, text, "edge_agent/__main__.py")
    assert not said(found_not_given, text, "edge_agent/kit/clock.py")
    assert bool(said(found_not_given, text, "edge_agent/cli/run.py")) != ("environ" in text or "getenv" in text)


def test_what_only_looks_like_a_clock_is_not() -> None:
    text = """
import os
import timeit
from datetime import datetime, timezone
from edge_agent.model.ports import Clock
datetime.fromtimestamp(0, timezone.utc)
time = clock.now()
time.monotonic()
os.stat("x")
"""
    assert said(found_not_given, text) == []


def test_a_handler_that_catches_too_much_is_seen() -> None:
    handled = "try:\n    f()\nexcept {}\n    pass\n"
    assert said(broad_handlers, handled.format("OSError:")) == []
    assert said(broad_handlers, handled.format("Exception:  # fault line: one collector")) == []
    for caught in (":", "BaseException:", "(OSError, BaseException):", "Exception:", "(KeyError, Exception) as error:"):
        assert len(said(broad_handlers, handled.format(caught))) == 1


def test_a_fourth_fault_line_is_seen() -> None:
    mark = "except Exception as error:  # noqa: BLE001 - fault line: one handler\n"
    assert said(fault_lines, mark + mark) == ["one handler"] * 2
    assert said(fault_lines, "# fault line: one handler\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "seen = {'a': 1}",
        "SEEN = {}",
        "SEEN: dict[str, int] = {}",
        "SEEN = list()",
        "SEEN = collections.defaultdict(list)",
        "LOCK = threading.Lock()",
        "NUMBERS = itertools.count()",
        "SEEN = {'a': 1}\nSEEN['b'] = 2",
        "SEEN = {'a': 1}\ndef f():\n    del SEEN['a']",
        "SEEN = ['a']\ndef f():\n    SEEN.append('b')",
        "SEEN: Mapping[str, int] = {}\nSEEN.update(a=1)",
        "count = 0\ndef f():\n    global count\n    count += 1",
    ],
)
def test_state_of_a_module_is_seen(text: str) -> None:
    assert len(said(mutable_state, text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "NAMES = {'a': 1}\nNAMES.get('a')",
        "_NAMES = ['a']",
        "NAMES: Mapping[str, int] = {}",
        "NAMES: Final = []",
        "NAMES = ('a', 'b')",
        "NAMES = frozenset({'a'})",
        "__all__ = ['a']",
        "T = TypeVar('T')",
        "def f():\n    seen = []\n    seen.append(1)",
        "class A:\n    def __init__(self):\n        self.seen = {}",
    ],
)
def test_constants_are_no_state(text: str) -> None:
    assert said(mutable_state, text) == []


def test_names_that_say_nothing_are_seen() -> None:
    for name in ("SpoolManager", "BaseLane", "SegmentInfo", "LinkService", "DataLane", "RackImpl", "HelperLane"):
        assert len(said(names, f"class {name}:\n    pass")) == 1
    for name in ("Database", "Basement", "Informed", "Rack", "Utility"):
        assert said(names, f"class {name}:\n    pass") == []
    assert said(names, "", "edge_agent/spool/utils.py") == ["a module called utils"]
    assert said(names, "", "edge_agent/spool/_base.py") == ["a module called _base"]


def test_a_waiver_without_its_reason_is_seen() -> None:
    mark = "# no" + "qa"
    assert said(waivers, f"x = 1  {mark}: S101, E501 - the reason") == []
    for text in (f"x = 1  {mark}", f"x = 1  {mark}: S101", f"x = 1  {mark}: S101 because", f"x = 1  {mark} - why"):
        assert len(said(waivers, text)) == 1
