"""Extras: what a command or a source needs beyond the agent's own libraries, and the command that installs it."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from edge_agent.model.failure import DeviceError

_NEEDS: Mapping[str, tuple[str, ...]] = {"hub": ("jwt", "msgspec")}
"""The modules of each extra in pyproject.toml that a command cannot do without."""

_CHECKOUT = Path(__file__).parents[2]


def require(extra: str) -> None:
    """DeviceError with the command that installs an extra, when one of its modules is missing."""
    missing = [name for name in _NEEDS[extra] if find_spec(name) is None]
    if missing:
        raise DeviceError(f"`edge-agent {extra}` needs {' and '.join(missing)}", hint=installs(extra))


def installs(extra: str) -> str:
    """The command that installs an extra beside this very agent."""
    source = f"-e '{_CHECKOUT}[{extra}]'" if (_CHECKOUT / "pyproject.toml").exists() else f"'edge-agent[{extra}]'"
    return f"{sys.executable} -m pip install {source}"
