"""A hub whose store is full: it refuses to store, and goes on with everything else."""

import orjson
from structlog.testing import capture_logs

from edge_agent.hub.settings import Limits, Settings
from tests.hub.house import alive, instruct, said
from tests.sim.loop import run


def test_a_full_hub_refuses_writes_serves_readers_and_lives() -> None:
    async def scene() -> None:
        async with alive(Settings(limits=Limits(store=400 * 1024))) as house:
            identity = await instruct(house)
            path, status = "/api/v1/devices/car-1/config", 200
            for number in range(100):
                body = {"values": {"fill": "x" * 16_000, "number": number}}
                reply = await house.ask("PUT", path, body, token=house.admin)
                status = reply.status
                if status != 200:
                    break
            assert (status, said(reply)["code"]) == (503, "store_full")
            assert int(reply.headers["retry-after"]) > 0
            assert (await house.ask("GET", path, key=house.key)).status in {200, 503}
            assert (await house.ask("GET", "/api/v1/devices", token=house.viewer)).status == 200
            assert (await house.ask("GET", "/readyz")).status == 200
            async with house.stream("/api/v1/devices/car-1/stream", key=house.key) as reader:
                assert identity in (await reader.until("instruction")).data
                for _ in range(60):
                    sign = await reader.until("keepalive")
                assert orjson.loads(sign.data)["hub_time"] == house.clock.wall()

    with capture_logs():
        run(scene())
