"""Each handler with what the shelf declares of it."""

from collections.abc import Mapping
from typing import Any

from edge_agent.handlers import echo, flush
from tests.sim.loop import run


class Sealing:
    """Tools that say what was sealed."""

    def __init__(self) -> None:
        self.flushed = 0

    async def flush(self) -> Mapping[str, Any]:
        self.flushed += 1
        return {"frames": 1}


def test_echo_gives_back_what_it_was_given() -> None:
    handle = echo.OFFER.build(echo.OFFER.options(), Sealing())

    async def main() -> Mapping[str, Any]:
        return await handle(echo.OFFER.args(text="hello"))

    assert run(main()) == {"text": "hello"}


def test_flush_seals_and_tells_what() -> None:
    tools = Sealing()
    handle = flush.OFFER.build(flush.OFFER.options(), tools)

    async def main() -> Mapping[str, Any]:
        return await handle(flush.OFFER.args())

    assert run(main()) == {"frames": 1}
    assert tools.flushed == 1
