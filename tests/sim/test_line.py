"""What a line may do to requests, answers and streams, and what a hub's place does when the hub dies."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from edge_agent.model.http import Request, Unreachable
from tests.sim import doors
from tests.sim.line import Passage
from tests.sim.loop import run
from tests.sim.skies import Skies
from tests.sim.weather import FAIR, Weather
from tests.sim.world import World, world

HEALTH = Request("GET", "/healthz")
QUICK: dict[str, Any] = {
    "push": {"backoff_most": "10s", "probe_least": "5s", "probe_most": "10s"},
    "stream": {"probe": "10s"},
}


def pushes(one: World) -> list[Passage]:
    return [passage for passage in one.line.trace if passage.path.endswith("/telemetry")]


@pytest.mark.parametrize(
    "weather",
    [
        Weather(late=0.5, latest=40),
        Weather(repeat=0.5, latest=40),
        Weather(tear_requests=0.5),
        Weather(tear_answers=0.5),
        Weather(hole=True),
        Weather(largest=300),
        Weather(stale=0.5),
    ],
    ids=str,
)
def test_foul_weather_of_one_kind_costs_nothing_and_doubles_nothing(weather: Weather) -> None:
    async def scene() -> None:
        async with world(seal={"every": "3s"}, **QUICK) as one:
            await one.passes(10)
            one.line.weather = weather
            await one.passes(120)
            one.line.weather = FAIR
            await one.passes(90)
            await one.stop()
            assert {passage.fate for passage in pushes(one)} != {"200"}, "something happened"
            await one.check_whole()

    run(scene())


@pytest.mark.parametrize("name", ["portal", "redirect", "busy", "gateway", "unknown", "misfit"])
def test_whoever_answers_in_the_hubs_place_settles_nothing(name: str) -> None:
    async def scene() -> None:
        async with world(seal={"every": "3s"}, **QUICK) as one:
            await one.passes(10.7)
            stored = (await one.audit())["readings"]
            chance, stamp = Random(name), one.house.clock.wall
            door = {
                "portal": doors.portal(stamp),
                "redirect": doors.redirect(stamp, chance),
                "busy": doors.busy(stamp, chance, 10),
                "gateway": doors.gateway(stamp, chance),
                "unknown": doors.unknown_caller(chance),
                "misfit": doors.misfit(chance),
            }[name]
            one.line.weather = Weather(door=door)
            await one.passes(60)
            assert (await one.audit())["readings"] == stored
            assert one.lamp("hub").state != "ok"
            assert one.agent.buffers["telemetry"].depth().frames >= 18
            one.line.weather = FAIR
            await one.passes(60)
            await one.stop()
            await one.check_whole()

    run(scene())


def test_a_request_that_is_repeated_meets_the_hub_twice() -> None:
    async def scene() -> None:
        async with world() as one:
            one.line.weather = Weather(repeat=1.0, latest=5)
            await one.line.carry(HEALTH)
            one.line.weather = FAIR
            await one.passes(6)
            fates = Counter(passage.fate for passage in one.line.trace if passage.path == HEALTH.path)
            assert fates == {"200": 1, "again: 200": 1}

    run(scene())


def test_an_answer_that_is_cut_is_shorter_or_none() -> None:
    async def scene() -> None:
        async with world() as one:
            one.line.weather = Weather(tear_answers=1.0)
            whole = Request("GET", "/openapi.json")
            found = [await one.line.carry(whole) for _ in range(20)]
            one.line.weather = FAIR
            size = len((await one.house.ask("GET", whole.path)).body)
            assert any(isinstance(one, Unreachable) for one in found)
            assert all(isinstance(one, Unreachable) or len(one.body) < size for one in found)

    run(scene())


def test_a_line_without_a_hub_refuses_and_a_dying_hub_breaks_what_it_was_asked() -> None:
    async def scene() -> None:
        async with world(hub_pace=5.0, **QUICK) as one:
            await one.passes(30)
            await one.station.kill()
            await one.passes(30)
            fates = {passage.fate for passage in one.line.trace}
            assert {"the hub died", "refused"} <= fates
            assert one.lamp("stream").state == "warn"
            await one.station.start()
            await one.passes(60)
            await one.stop()
            await one.check_whole()

    run(scene())


def test_a_hub_that_is_put_back_forgets_and_begins_a_new_epoch() -> None:
    async def scene() -> None:
        async with world(**QUICK) as one:
            await one.passes(30.7)
            backup, epoch = one.station.copy(), one.house.hub.keyring.epoch
            before = (await one.audit())["readings"]
            await one.passes(30)
            assert (await one.audit())["readings"] > before
            await one.station.kill()
            await one.station.restore(backup)
            assert (await one.audit())["readings"] == before
            assert one.house.hub.keyring.epoch != epoch
            await one.passes(30)
            assert one.lamp("stream").state == "ok"
            await one.stop()
            assert set((await one.ticks()).values()) == {1}

    run(scene())


def test_a_disk_that_is_put_back_in_another_machine_doubles_nothing() -> None:
    async def scene() -> None:
        async with world(seal={"every": "3s"}, **QUICK) as one:
            one.line.cut()
            await one.passes(30.7)
            clone = one.cloned(one.image(), Random("clone"))
            clone.start()
            await one.passes(10)
            one.line.mend()
            await one.passes(60)
            await clone.stop()
            await one.stop()
            assert set((await one.ticks()).values()) == {1}
            fates = [epoch for epoch in (await one.audit())["epochs"] if epoch["missing"] or epoch["lost"]]
            assert fates == []

    run(scene())


def test_skies_draw_weather_that_is_foul_and_says_so() -> None:
    async def scene() -> None:
        async with world() as one:
            skies = Skies(Random(1), one.house.clock)
            drawn = [draw() for _ in range(30) for draw in (skies.foul, skies.storm, skies.portal)]
            assert all(str(weather) != "fair" for weather in drawn)
            assert len(set(map(str, drawn))) > 40
            assert str(replace(FAIR, lose_answers=0.25)) == "lose_answers 0.25"

    run(scene())
