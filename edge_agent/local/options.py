"""What can be set about the local server, apart from it: settings are read long before it is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.model.quantity import Bytes

Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""So many a second."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen, and what programs may hand over; bursts may be five seconds' worth."""

    enabled: bool = True
    """Whether to listen at all; read by whoever starts the server."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9555
    """On 127.0.0.1; 0 lets the kernel choose."""
    socket: Path | None = None
    """A Unix socket beside it."""
    max_body: Bytes = 64 * 1024
    events_per_second: Rate = 10.0
    readings_per_second: Rate = 500.0
    max_series: Annotated[int, Field(ge=0, le=100_000)] = 256
