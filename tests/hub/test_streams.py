"""The streams: down to devices, up to viewers."""

import base64

import orjson
import pytest

from edge_agent.hub.fanout import Fanout
from edge_agent.hub.live import Watchers
from edge_agent.model.frame import FrameKind
from edge_agent.wire.envelope import open_envelope
from tests.hub.deliveries import OFFSET, batch, framed, ticks
from tests.hub.house import House, Reader, alive, opened, said
from tests.sim.loop import run

STREAM = "/api/v1/devices/car-1/stream"
LIVE = "/api/v1/devices/car-1/live"


async def instruct(house: House, kind: str = "echo") -> str:
    reply = await house.ask("POST", "/api/v1/devices/car-1/instructions", {"type": kind}, token=house.admin)
    assert reply.status == 201
    return str(said(reply)["id"])


def test_a_stream_says_hello_and_keeps_alive() -> None:
    async def scene() -> None:
        async with alive() as house, house.stream(STREAM, key=house.key) as reader:
            hello = await reader.next()
            assert (hello.event, hello.id) == ("hello", "")
            said_hello = orjson.loads(hello.data)
            assert said_hello["device"] == "car-1"
            assert said_hello["hub_epoch"] == house.hub.keyring.epoch
            began = house.clock.now()
            for _ in range(4):
                sign = await reader.until("keepalive")
                assert orjson.loads(sign.data)["hub_time"] == house.clock.wall()
            assert house.clock.now() - began <= 60_000

    run(scene())
