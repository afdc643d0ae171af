"""Real processes for the proofs: a hub, the devices that push to it, and the reckoning of what came of each beat.

Each device samples one collector (`beats`), whose numbers say without a clock what was given; a life of its agent is
from a start to its end, whatever ended it. The reckoning, once all is quiet:

    the hub's audit       no number is missing or held; what is lost is counted
    the beats themselves  each that was given is at the hub once, or was declared as missed (its collector did not come
                          back in time); of each life the last may be missing: the one in hand

The hub keeps its port over its own lives. Nothing runs on when a block is left, and only what was started is ended.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar

from edge_agent.config.shelf import choose_collectors
from edge_agent.wire.batch import Batch
from tests.proofs import beats
from tests.system.program import Program, ask, free_port, stored_batches
from tests.system.until import until

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds for whatever comes in a second on an idle machine: proofs share theirs."""
EVERY = 0.1
"""Seconds between beats."""
SEAL = 0.4
"""Seconds until a batch is sealed."""
BEATS_A_BATCH = 6
"""More than a batch ever has, at that pace."""
_ON_THE_WAY = 2
"""Numbers of a running agent that are open, or on their way, when the hub is asked."""
OFF = tuple(choice.name for choice in choose_collectors({}))
"""The collectors that would run unasked."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that is gone afterwards."""
    folder = Path(mkdtemp(prefix="edge-proof-"))
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


@dataclass
class Device:
    """One device: its folders, its config, the lives of its agent, and the count of beats when each of them ended."""

    name: str
    folder: Path
    hub_folder: Path
    hub_port: int
    hub_host: str = "127.0.0.1"
    hub_door: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered by whoever speaks to the hub from here."""
    local_port: int = 0
    """Of the agent's own endpoint; none when 0."""
    ends: list[int] = field(default_factory=list)
    lives: int = 0

    @property
    def key_file(self) -> Path:
        return self.folder / "key"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def count_file(self) -> Path:
        return self.folder / "beats"

    @property
    def given(self) -> int:
        """How many beats were given so far."""
        return beats.count(self.count_file)

    def configure(
        self, more: str = "", *, port: int | None = None, state: Path | None = None, runtime: Path | None = None
    ) -> None:
        """Write the agent's config; `port` is another than the hub's."""
        self.folder.mkdir(exist_ok=True)
        if not self.count_file.exists():
            beats.new_count(self.count_file)
        off = "".join(f'[collectors."{name}"]\nenabled = false\n' for name in OFF)
        (self.folder / "agent.toml").write_text(f"""\
[device]
id = "{self.name}"
[hub]
url = "http://{self.hub_host}:{port or self.hub_port}"
key_file = "{self.key_file}"
allow_plain_http = true
[hub.link]
connect_timeout = 1
first_byte_timeout = 2
exchange_timeout = 4
[state]
folder = "{state or self.state}"
runtime = "{runtime or self.folder / "open"}"
[seal]
every = {SEAL}
[push]
backoff_most = 0.4
[log]
level = "error"
{off}[collectors."{beats.NAME}"]
file = "{self.count_file}"
interval = {EVERY}
[local]
enabled = {"true" if self.local_port else "false"}
port = {self.local_port}
{more}""")

    def start(self, before: Sequence[str] = ()) -> Program:
        """Begin a life of the agent; whoever does so ends it by `end`."""
        self.lives += 1
        arguments = ("run", "--config", str(self.folder / "agent.toml"))
        return Program(self.folder, f"agent-{self.lives}", *arguments, before=before)

    def end(self) -> None:
        """Note that a life is over."""
        self.ends.append(self.given)

    @contextmanager
    def alive(self, before: Sequence[str] = ()) -> Iterator[Program]:
        """A life of the agent, ended with the block if it still lasts."""
        program = self.start(before)
        try:
            yield program
        finally:
            program.close()
            self.end()

    def live_until(self, condition: Callable[[], object], within: float = PATIENCE) -> list[str]:
        """A whole life in peace: until the condition holds, then SIGTERM; what was wrong with it."""
        with self.alive() as agent:
            until(lambda: condition() or not agent.lives, within=within)
            ended_early = not agent.lives
            code = agent.stop(PATIENCE)
        if ended_early or code != 0:
            return [f"{self.name}: the agent ended {'by itself ' if ended_early else ''}with {code}: {said(agent)}"]
        return []

    def beaten(self, more: int) -> Callable[[], bool]:
        """A condition: so many more beats were given."""
        until_then = self.given + more
        return lambda: self.given >= until_then

    def audit(self) -> list[dict[str, Any]]:
        """The device's epochs as the hub sees them; none while it does not answer."""
        key = self.key_file.read_text().strip()
        with self.hub_door():
            found = ask(self.hub_port, f"/api/v1/audit?device={self.name}", {"x-api-key": key}, self.hub_host)
        return found[1]["epochs"] if found is not None and found[0] == 200 else []

    def is_quiet(self) -> bool:
        """Whether the hub misses nothing and knows of nothing that the device still holds."""
        epochs = self.audit()
        return bool(epochs) and not any(epoch["missing"] or epoch["held"] for epoch in epochs)

    def settle(self, within: float = PATIENCE) -> list[str]:
        """Live in peace until everything of earlier lives is at the hub; what was wrong."""
        # A few beats at least: what an earlier life left open is adopted before the first.
        enough = self.beaten(3)
        return self.live_until(lambda: enough() and self.is_all_but_quiet(), within)

    def is_all_but_quiet(self) -> bool:
        """As `is_quiet`, but for the newest numbers of a life that goes on."""
        epochs = self.audit()
        return bool(epochs) and sum(epoch["missing"] + epoch["held"] for epoch in epochs) <= _ON_THE_WAY

    def lamp(self, part: str) -> dict[str, Any]:
        """A lamp of the agent; empty when it is not lit, or nobody answers."""
        found = ask(self.local_port, "/status")
        lamps = found[1]["lamps"] if found is not None and found[0] == 200 else ()
        return next((lamp for lamp in lamps if lamp["part"] == part), {})

    def reckon(self) -> "Reckoning":
        """What became of everything that was given, once no agent runs."""
        epochs, batches = self.audit(), stored_batches(self.hub_folder, self.name)
        numbers = [
            int(value)
            for batch in batches
            for track in batch.tracks
            if track.collector == beats.NAME
            for value in track.columns[0]
            if value is not None
        ]
        return reckoned(self.name, epochs, numbers, self.given, self.ends, sum(missed(batches).values()))


def missed(batches: Iterable[Batch]) -> Counter[str]:
    """How many beats these batches declare as missed, by cause."""
    found: Counter[str] = Counter()
    for batch in batches:
        for collector, times, cause in batch.stat.get("missed", ()):
            found[cause] += times if collector == beats.NAME else 0
    return found


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What was against the promise, and how many beats were given, and were in hand when a life ended and not stored.

    By declaration so many batches are `lost`, and so many beats `missed`.
    """

    violations: Sequence[str]
    given: int
    in_hand: int
    lost: int
    missed: int


def reckoned(
    name: str, epochs: Sequence[dict[str, Any]], numbers: Sequence[int], given: int, ends: Collection[int], missed: int
) -> Reckoning:
    """Compare what was given with what the hub has, where so many beats are declared as `missed`. See the module."""
    wrong = []
    for epoch in epochs:
        if epoch["missing"] or epoch["held"]:
            ranges = f"missing {epoch['missing_ranges']}, held {epoch['held']} of {epoch['next']}"
            wrong.append(f"{name}: epoch {epoch['epoch']} of lane {epoch['lane']}: {ranges}")
    lost = sum(sum(epoch["lost"].values()) for epoch in epochs)
    if twice := [number for number, times in Counter(numbers).items() if times > 1]:
        wrong.append(f"{name}: beats at the hub twice: {sorted(twice)[:10]}")
    if given and not epochs:
        wrong.append(f"{name}: the hub knows nothing of it")
    unstored = set(range(given)) - set(numbers)
    in_hand = {end - 1 for end in ends}
    unexplained = sorted(unstored - in_hand)
    if len(unexplained) > lost * BEATS_A_BATCH + missed:
        declared = f"{lost} batches were declared lost, {missed} beats missed"
        wrong.append(f"{name}: beats that are nowhere: {unexplained[:10]} of {given}, {declared}")
    if strange := set(numbers) - set(range(given)):
        wrong.append(f"{name}: beats that were never given: {sorted(strange)[:10]}")
    return Reckoning(wrong, given, len(unstored & in_hand), lost, missed)


def said(program: Program) -> str:
    """The end of what a program complained."""
    return program.complained.strip()[-600:]


@dataclass(frozen=True)
class Camp:
    """A hub and its devices, below one folder."""

    folder: Path
    hub_port: int
    devices: Sequence[Device]

    @property
    def hub_folder(self) -> Path:
        return self.folder / "hub"

    def hub_arguments(self) -> Sequence[str]:
        """How the hub is started."""
        keys = [part for one in self.devices for part in ("--provision", f"{one.name}={one.key_file}")]
        return ("hub", "--json", "--folder", str(self.hub_folder), "--port", str(self.hub_port), *keys)

    def start_hub(self, name: str, before: Sequence[str] = (), more: Sequence[str] = ()) -> Program:
        """Begin a life of the hub; whoever does so ends it."""
        return Program(self.folder, name, *self.hub_arguments(), *more, before=before)

    @contextmanager
    def hub(self, name: str = "hub", before: Sequence[str] = (), more: Sequence[str] = ()) -> Iterator[Program]:
        """A life of the hub, once it serves; `before` is a command that turns into it, `more` are flags."""
        program = self.start_hub(name, before, more)
        try:
            wait_until_it_serves(program)
            yield program
        finally:
            program.close()


def side_by_side(at_once: int, function: Callable[..., T], *given: Iterable[Any]) -> list[T]:
    """What the function makes of each, so many at a time. Interrupted, it waits for none of them.

    Those find their folders gone then, and end with what they started.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        found = list(pool.map(function, *given))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return found


def wait_until_it_serves(hub: Program) -> None:
    """Wait for the line that a hub writes once it answers; AssertionError when it ends before."""
    until(lambda: hub.said.endswith("\n") or not hub.lives, within=PATIENCE)
    assert hub.lives, said(hub)


def camp(folder: Path, devices: int) -> Camp:
    """A camp with so many devices, which know where its hub will be."""
    port = free_port()
    hub = folder / "hub"
    return Camp(folder, port, [Device(f"d{number}", folder / f"d{number}", hub, port) for number in range(devices)])
