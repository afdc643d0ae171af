"""Extras: what a command needs beyond the agent's own libraries, and the command that installs it."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from edge_agent.model.failure import DeviceError

_NEEDS: Mapping[str, tuple[str, ...]] = {"hub": ("jwt", "msgspec")}
"""The modules of each extra in pyproject.toml."""

_CHECKOUT = Path(__file__).parents[2]


def require(extra: str) -> None:
    """DeviceError with the command that installs an extra, when one of its modules is missing."""
    missing = [name for name in _NEEDS[extra] if find_spec(name) is None]
    if missing:
        source = f"-e '{_CHECKOUT}[{extra}]'" if (_CHECKOUT / "pyproject.toml").exists() else f"'edge-agent[{extra}]'"
        raise DeviceError(
            f"`edge-agent {extra}` needs {' and '.join(missing)}", hint=f"{sys.executable} -m pip install {source}"
        )
