"""Skies: draws the weather of a line, foul in one way or several."""

from dataclasses import replace
from random import Random

from edge_agent.hub.settings import Settings
from edge_agent.hub.wiring import Hub
from tests.sim import doors
from tests.sim.clock import SimClock
from tests.sim.offload import InlineOffload
from tests.sim.weather import FAIR, Weather

_LONGEST_RETRY = 20


class Skies:
    """Draws from one chance; `clock` is the hub's."""

    def __init__(self, chance: Random, clock: SimClock) -> None:
        self._chance, self._clock = chance, clock

    def foul(self) -> Weather:
        """One to three of the faults of networks."""
        weather = FAIR
        for _ in range(self._chance.randint(1, 3)):
            weather = self._fouler(weather)
        return weather

    def storm(self) -> Weather:
        """A hub that has no time, a proxy that lets little through, a gateway that gives up."""
        form, stamp = self._chance.randrange(4), self._clock.wall
        weather = self.foul() if self._chance.random() < 0.3 else FAIR
        if form == 0:
            return replace(weather, largest=self._chance.choice((300, 700, 1500, 3000)))
        if form == 1:
            return replace(weather, gateway=doors.gateway(stamp, self._chance), gated=self._share())
        door = doors.busy(stamp, self._chance, _LONGEST_RETRY)
        return replace(weather, door=door, ajar=self._chance.choice((1.0, self._share())))

    def portal(self) -> Weather:
        """What stands between a device and its hub in hotels and trains."""
        form, stamp = self._chance.randrange(3), self._clock.wall
        if form == 0:
            return replace(self.foul(), stale=self._share())
        door = doors.portal(stamp) if form == 1 else doors.redirect(stamp, self._chance)
        return Weather(door=door, ajar=self._chance.choice((1.0, 1.0, self._share())))

    async def wrong(self) -> Weather:
        """Another server at the hub's address."""
        form = self._chance.randrange(4)
        if form == 0:
            door = doors.stranger("another hub", (await self._other()).router)
        elif form == 1:
            door = doors.unknown_caller(self._chance)
        else:
            door = doors.misfit(self._chance)
        return Weather(door=door, ajar=self._chance.choice((1.0, 1.0, self._share())))

    def _fouler(self, weather: Weather) -> Weather:
        chance, share = self._chance, self._share
        form = chance.randrange(9)
        if form == 0:
            return replace(weather, lose_requests=share())
        if form == 1:
            return replace(weather, lose_answers=share())
        if form == 2:
            return replace(weather, delay=chance.uniform(0, 6))
        if form == 3:
            return replace(weather, late=share(), latest=chance.uniform(1, 40))
        if form == 4:
            return replace(weather, repeat=share(), latest=chance.uniform(1, 40))
        if form == 5:
            return replace(weather, tear_requests=share())
        if form == 6:
            return replace(weather, tear_answers=share())
        if form == 7:
            return replace(weather, hole=True)
        return replace(
            weather, lose_requests=share(), lose_answers=share(), repeat=share(), latest=chance.uniform(1, 9)
        )

    async def _other(self) -> Hub:
        """A hub that never heard of this device."""
        hub = Hub(Settings(clock_error=0.1), self._clock, Random("another hub"), InlineOffload())
        await hub.open()
        await hub.accounts.add_device("someone-else")
        return hub

    def _share(self) -> float:
        return self._chance.choice((0.1, 0.3, 0.5, 0.8))
