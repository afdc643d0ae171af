"""Row `skew`: a device whose time the hub does not believe pays one request, and loses nothing.

The whole agent and the whole hub, on a line in virtual time (`tests.sim.world`). In the middle of a run, by turns:

    set right   the hub knew nothing of the time and was up to ten years off; then somebody sets its clock right
    steps       the hub's clock, which states an error, steps by six minutes to ten years
    pause       the device stands still for six minutes to ten days, and does not know
    broken      the hub refuses whatever time is stated, and each time names another

Asked for: after each of the first three at most one push is refused for its time, and the next one, which leaves within
a second, is taken; a broken hub is asked two times in vain an hour at most, and then told no time; in the end all that
was sampled is stored, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import Router
from edge_agent.model.http import Request
from edge_agent.wire.headers import SENT_AT
from edge_agent.wire.problem import CONTENT_TYPE, Problem
from tests.proofs.row import Findings, Row, total, tried
from tests.sim.line import Passage
from tests.sim.loop import run
from tests.sim.world import World, world

SCENES = ("set right", "steps", "pause", "broken")

_PARTS = 8
_SEEDS = 32
_BROKEN_ONCE_IN = 8
"""A run with a broken hub takes as long as ten others."""
_PATH = "/api/v1/telemetry"
_TRUE = 1_800_000_000_000
_ERROR = 50
_BEFORE, _AFTER = 60.0, 180.0
_LEAST, _MOST, _MOST_PAUSE = 360.0, 10 * 365 * 86_400.0, 10 * 86_400.0
_MEMORY = 3600.0
_AT_ONCE = 1.0


@dataclass(slots=True)
class _Pushes:
    """What pushes came to: when they left (virtual seconds), whether they stated a time, and their status."""

    seen: list[tuple[float, bool, int | None]] = field(default_factory=list)

    def hear(self, passage: Passage, request: Request, reply: Reply | None) -> None:
        """Note one."""
        if request.path == _PATH:
            self.seen.append((passage.at, SENT_AT in request.headers, None if reply is None else reply.status))

    def since(self, begun: float) -> list[tuple[float, bool, int | None]]:
        """Those that left from then on, in order."""
        return sorted(each for each in self.seen if each[0] >= begun)


class _Broken(Router):
    """A hub that believes no stated time."""

    def __init__(self, hub: Router, chance: Random) -> None:
        self._hub, self._chance = hub, chance

    async def answer(self, request: Request, peer: str) -> Reply:
        """Refuse a stated time; let the hub answer all else."""
        reply = await self._hub.answer(request, peer)
        if request.path != _PATH or SENT_AT not in request.headers:
            return reply
        named = {"hub_time": self._chance.randrange(2**42)}
        refusal = Problem(400, "clock_skew", "The device's time is not the hub's", "It never is.", SENT_AT, named)
        return replace(reply, status=400, body=refusal.body(), content_type=CONTENT_TYPE)


def tried_once(scene: str, seed: int) -> Findings:
    """One run of a scene."""
    pushes, chance = _Pushes(), Random(f"skew {scene} {seed}")

    async def play() -> list[str]:
        every = "60s" if scene == "broken" else "10s"
        async with world(seed=seed, hear=pushes.hear, seal={"every": every}) as it:
            clock = it.station.house.clock
            if scene == "set right":
                clock.set_wall(_TRUE + _drawn(chance, _MOST))
            else:
                clock.set_wall(_TRUE, _ERROR)
            await it.passes(_BEFORE)
            begun = it.clock._loop.time()
            _disturb(it, scene, chance)
            await it.passes(_MEMORY + _AFTER if scene == "broken" else _AFTER)
            found = _judged(scene, pushes.since(begun))
            await it.stop()
            try:
                await it.check_whole()
            except AssertionError as error:
                found.append(f"not all is stored, once: {error}")
            return found

    found = run(play(), seed)
    refused = sum(status == 400 for _, _, status in pushes.seen)
    violations = [f"{scene}, seed {seed}: {what}" for what in found]
    return Findings(1, violations, {f"{scene} refused": refused, f"{scene} tried": 1, "pushes": len(pushes.seen)})


def _drawn(chance: Random, most: float) -> int:
    """Ms either way, that differ by their order of size."""
    length: float = _LEAST * (most / _LEAST) ** chance.random()
    return chance.choice((-1, 1)) * round(length * 1000)


def _disturb(it: World, scene: str, chance: Random) -> None:
    clock = it.station.house.clock
    if scene == "set right":
        clock.set_wall(_TRUE + round(_BEFORE * 1000), _ERROR)
    elif scene == "steps":
        clock.set_wall(clock.wall() + _drawn(chance, _MOST), _ERROR)
    elif scene == "pause":
        clock.suspend(abs(_drawn(chance, _MOST_PAUSE)) / 1000)  # true time went on, and no timer of the device
    else:
        assert it.line.router is not None
        it.line.router = _Broken(it.line.router, chance)


def _judged(scene: str, pushes: Sequence[tuple[float, bool, int | None]]) -> list[str]:
    refused = [at for at, _, status in pushes if status == 400]
    taken = [at for at, _, status in pushes if status == 200]
    found = []
    if not taken:
        found.append("nothing was taken afterwards")
    if scene == "broken":
        found += [f"{len(refused)} pushes were refused in {_MEMORY + _AFTER:.0f} s"] if len(refused) > 4 else []
        found += ["a push that stated a time was taken"] if any(s and code == 200 for _, s, code in pushes) else []
    elif len(refused) > 1:
        found.append(f"{len(refused)} pushes were refused")
    elif refused and not any(refused[0] < at <= refused[0] + _AT_ONCE for at in taken):
        found.append("the push after the refusal was not taken at once")
    return found


def _prove(part: int) -> Findings:
    seeds = range(part * _SEEDS, (part + 1) * _SEEDS)
    runs = [(scene, seed) for seed in seeds for scene in SCENES if scene != "broken" or seed % _BROKEN_ONCE_IN == 0]
    found = [tried_once(scene, seed) for scene, seed in runs]
    names = {name for each in found for name in each.figures}
    figures = {name: sum(each.figures.get(name, 0.0) for each in found) for name in names}
    return Findings(len(found), [what for each in found for what in each.violations], figures)


def _tell(parts: Sequence[Findings]) -> str:
    scenes = ", ".join(
        f"{scene} {total(parts, f'{scene} refused'):,.0f} in {total(parts, f'{scene} tried'):,.0f}" for scene in SCENES
    )
    faults = sum(len(part.violations) for part in parts)
    pushes = f"{tried(parts):,} runs, {total(parts, 'pushes'):,.0f} pushes"
    return f"{pushes}; refused for their time: {scenes}; {faults} faults"


ROW = Row(
    name="skew",
    promise="A device whose time the hub does not believe pays one request and loses nothing",
    least="one extra request, then taken; with a broken hub clock no loop, no loss",
    parts=_PARTS,
    prove=_prove,
    tell=_tell,
    unmet=lambda _: (),
    side_by_side=2,
)
