"""Running the programs beside the agent, with a library of the test's own in the place of the real one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import edge_agent.collectors.jetson

FOLDER = Path(edge_agent.collectors.jetson.__path__[0])


def run(script: str, libraries: Path) -> list[dict[str, Any]]:
    """What it writes until it ends of itself, its input being at its end."""
    path = str(FOLDER / f"{script}.py")
    words = f"import runpy, sys; sys.path.insert(0, {str(libraries)!r}); runpy.run_path({path!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert not done.stderr, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]
