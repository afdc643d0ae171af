"""Logs: structlog to standard error, JSON for journals, coloured lines for a terminal.

Levels below the configured one cost nothing. No secret ever reaches a logger: parts log lamps, counts and reasons.
"""

import logging
import sys

import structlog

from edge_agent.model.lamp import Lamp

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LOUDNESS = {"ok": logging.INFO, "warn": logging.WARNING, "fail": logging.ERROR}


def configure_logs(level: str) -> None:
    """Set the process's logging up; may be called again with another level."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendered(terminal=terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _rendered(*, terminal: bool) -> "list[structlog.types.Processor]":
    """Tracebacks without local variables, which may hold secrets."""
    if terminal:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def log_lamp(lamp: Lamp) -> None:
    """One line for a lamp that changed."""
    structlog.get_logger().log(_LOUDNESS[lamp.state], "lamp", part=lamp.part, state=lamp.state, note=lamp.note)
