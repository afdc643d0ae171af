"""Logs: structlog to standard error, JSON for journals, coloured lines for a terminal.

The library is loaded with the first line that is written: a start that goes well writes its first line after its first
push. It is loaded without rich, whose tables and colours it would take along where they are installed: a daemon shows
no traceback with them, and they cost megabytes and a twentieth of a second. Parts log lamps, counts and reasons, never
what they hold; tracebacks come without variables. A log that cannot be written ends nothing.
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, cast

import anyio

from edge_agent.model.lamp import Lamp

if TYPE_CHECKING:
    from structlog.types import FilteringBoundLogger, Processor

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LOUDNESS = {"ok": logging.INFO, "warn": logging.WARNING, "fail": logging.ERROR}


def configure_logs(level: str) -> "FilteringBoundLogger":
    """Set the process's logging up and give a logger; may be called again with another level."""
    structlog = _library()
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    as_json: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([plain] if sys.stderr.isatty() else as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logger: FilteringBoundLogger = structlog.get_logger("edge_agent")
    return logger


class Log:
    """The agent's log: its start, and every lamp that changes."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._logger: FilteringBoundLogger | None = None

    def set_level(self, level: str) -> None:
        """Write lines of this level and above from now on."""
        if level != self._level:
            self._level, self._logger = level, None

    def begun(self, device: str, hub: str, collectors: int) -> None:
        """One line once sampling has begun."""
        with suppress(OSError, ValueError):  # a log that cannot be written (full disk, lost terminal) ends nothing
            self._to().info("begun", device=device, hub=hub, collectors=collectors)

    def lamp(self, lamp: Lamp) -> None:
        """One line for a lamp that changed, or was born other than ok."""
        loudness = _LOUDNESS[lamp.state]
        if loudness < _LEVELS[self._level]:
            return
        with suppress(OSError, ValueError):  # likewise
            self._to().log(loudness, "lamp", part=lamp.part, state=lamp.state, note=lamp.note)

    def _to(self) -> "FilteringBoundLogger":
        if self._logger is None:
            self._logger = configure_logs(self._level)
        return self._logger


class Announcer:
    """Says something once, when it begins."""

    def __init__(self, say: Callable[[], None]) -> None:
        self._say = say

    async def run(self) -> NoReturn:
        """Say it."""
        self._say()
        while True:
            await anyio.sleep_forever()


def _library() -> ModuleType:
    """structlog, loaded as where rich is not installed."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return import_module("structlog")
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules["rich"] = None  # the import system's own sign for a module that cannot be had
    try:
        return import_module("structlog")
    finally:
        del modules["rich"]
