"""What an agent costs at 1 Hz on a moving tree: several at the same time, which differ in how often they seal.

The window begins once the slower one has sealed for the first time. Processor time and switches are of the window;
flash is counted from seal to seal, since it is written then; wire is all that was pushed since the start, over all
readings that the hub's audit says are stored. Bodies of requests count as wire, HTTP heads and heartbeats do not.
Asking an agent for its status costs it something, so it is asked once, after the window.

A third agent shows what the collector of the agent's own cost does to the figures: below another root it has nothing
but absences to say, which are no readings and cost bytes all the same. The first two run what is shipped.
"""

import time
from dataclasses import dataclass, field

from tests.bench.daemons import AgentProcess, HubProcess, Wish, start_agent, start_hub
from tests.bench.figures import Figure, Goal, Sheet
from tests.bench.flash import ratio
from tests.bench.ladder import climb
from tests.bench.meter import Memory, Spent, flash_bytes, memory, spent
from tests.bench.place import Place, wait_until_it_serves
from tests.bench.profiled import top
from tests.bench.tree import write

_CPU = Goal("at most", 0.3)
_USS = Goal("at most", 48)
_WIRE = {10.0: Goal("at most", 2), 60.0: Goal("at most", 1)}
_FLASH = {60.0: Goal("at most", 1.6)}
_POLL = 0.5
_PAGE = 4096
_SEALS = 200
_WITHOUT_SELF = "[collectors.self]\nenabled = false\n"
_SETTLED = 3.0
_TOP = 14


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the window is, how often the two agents seal, and how long a profile runs; in seconds."""

    window: float = 126.0
    seals: tuple[float, float] = (10.0, 60.0)
    profile: float = 20.0


@dataclass(frozen=True, slots=True)
class _Mark:
    """Just after a seal came to the hub: frames and readings stored, bytes handed to flash."""

    frames: int
    readings: int
    flash: int


@dataclass(slots=True)
class _Subject:
    """An agent under the meter."""

    agent: AgentProcess
    name: str
    seal: float
    marks: list[_Mark] = field(default_factory=list)

    def look(self, hub: HubProcess) -> None:
        """Mark what was stored since the last look."""
        frames, readings = hub.audit(self.agent.device)
        if frames > (self.marks[-1].frames if self.marks else 0):
            self.marks.append(_Mark(frames, readings, flash_bytes(self.agent.child.pid)))


def measure(place: Place, sheet: Sheet, plan: Plan) -> None:
    """Measure the agents."""
    root = place.folder("root")
    write(root, 0)
    mover = place.start("-m", "tests.bench.mover", str(root))
    wishes = [(f"{seal:g} s seals", seal, "") for seal in plan.seals]
    wishes.append((f"{plan.seals[0]:g} s seals, without self", plan.seals[0], _WITHOUT_SELF))
    hub = start_hub(place, [f"costs-{number}" for number in range(len(wishes))])
    subjects = []
    for number, (name, seal, lines) in enumerate(wishes):
        wish = Wish(f"costs-{number}", root, seal, place.folder(f"costs-{number}"), lines)
        subjects.append(_Subject(start_agent(place, hub, wish, {}), name, seal))
    while not all(subject.marks for subject in subjects):
        _poll(hub, subjects)
    for subject in subjects:
        del subject.marks[:-1]
    before = [(spent(one.agent.child.pid), memory(one.agent.child.pid)) for one in subjects]
    ends = time.perf_counter() + plan.window
    while time.perf_counter() < ends:
        _poll(hub, subjects)
    for subject, (then, held) in zip(subjects, before, strict=True):
        pid = subject.agent.child.pid
        _tell(place, sheet, subject, hub, (then, spent(pid)), (held, memory(pid)))
    for subject in subjects:
        subject.agent.child.end()
    missed = [figure for figure in sheet.figures if figure.missed]
    if any(figure.unit == "s/min" for figure in missed):
        wish = Wish(subjects[0].agent.device, root, plan.seals[0], place.folder("profiled"))
        _profile(place, sheet, hub, wish, plan)
    if any(figure.unit == "MiB" for figure in missed):
        sheet.footnote("Where the agent's memory goes (USS of a process that did no more than this)", climb(place))
    hub.child.end()
    mover.end()


def _poll(hub: HubProcess, subjects: list[_Subject]) -> None:
    time.sleep(_POLL)
    for subject in subjects:
        if not subject.agent.child.lives:
            raise RuntimeError(f"an agent ended: {subject.agent.child.last_words()}")
        subject.look(hub)


def _tell(
    place: Place,
    sheet: Sheet,
    subject: _Subject,
    hub: HubProcess,
    counted: tuple[Spent, Spent],
    held: tuple[Memory, Memory],
) -> None:
    (then, now), (memory_then, memory_now) = counted, held
    seconds, part = now.at - then.at, f"agent, {subject.name}"
    said = subject.agent.status()
    frames, readings = hub.audit(subject.agent.device)
    pushed, sampled = said["push"], said["sampled"]
    first, last = subject.marks[0], subject.marks[-1]
    sealed = pushed["bytes"] / max(1, pushed["frames"]) * (last.frames - first.frames)
    flash = last.flash - first.flash
    offered = sampled["readings"] / max(1.0, sampled["first_age_s"] - sampled["last_age_s"] + 1)
    growth = f"{memory_now.uss - memory_then.uss:+.2f} MiB over the window"

    def add(name: str, value: float, unit: str, goal: Goal | None = None, note: str = "") -> None:
        sheet.add(Figure(part, name, value, unit, goal, note))

    add(
        "readings a second", offered, "1/s", None, f"{sampled['series']} series, {sampled['missed_beats']} beats missed"
    )
    add("processor time", (now.cpu - then.cpu) / seconds * 60, "s/min", _CPU, f"over {seconds:.0f} s")
    add("private memory (USS)", memory_now.uss, "MiB", _USS, growth)
    add("resident memory (RSS)", memory_now.rss, "MiB")
    add("on the wire", pushed["bytes"] / max(1, readings), "B/reading", _WIRE.get(subject.seal), f"{frames} frames")
    add(
        "to flash",
        flash / max(1, last.readings - first.readings),
        "B/reading",
        None,
        f"{last.frames - first.frames} seals",
    )
    page = _PAGE / max(1.0, sealed)
    goal = _FLASH.get(subject.seal)
    add("to flash a sealed byte", flash / max(1.0, sealed), "B/B", goal, f"a page more or less is {page:.2f}")
    size = round(pushed["bytes"] / max(1, pushed["frames"]))
    note = f"{_SEALS} seals of {size:,} B without a pause: a lower bound"
    add("the same, the spool alone", ratio(place, size, _SEALS), "B/B", None, note)
    add("context switches", (now.switches - then.switches) / seconds, "1/s")


def _profile(place: Place, sheet: Sheet, hub: HubProcess, wish: Wish, plan: Plan) -> None:
    file = wish.state / "profile"
    agent = start_agent(place, hub, wish, {}, profile=file)
    wait_until_it_serves(agent.child, agent.port)
    time.sleep(_SETTLED)
    agent.child.nudge()
    time.sleep(plan.profile)
    agent.child.end()
    sheet.footnote(f"Where the agent's time goes (cProfile of {plan.profile:.0f} s)", top(file, _TOP))
