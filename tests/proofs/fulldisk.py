"""A full disk under the real agent, and under the real hub: filled and freed by another process, again and again.

The agent's state lies on a small file system (`real_disks`), its open batch elsewhere, as on a board. A round:

    the hub goes        a backlog grows on the disk
    the disk is full    beats go on, the lamp says `not durable`, memory holds what is sealed
    the hub comes       with the disk still full: memory and backlog are pushed, and segments that are settled go
    the disk is freed   the lamp is ok again, and what is sealed is durable

all in one life of the agent. In the `tight` parts memory is too small for what is sealed meanwhile: what overflows is
declared lost, and the rest arrives. In the end the reckoning of `real` holds.

The hub's rounds: its folder lies on a small file system, and frames are posted. Full, it answers 503 to all of them but
still answers readers; freed, it takes them again; and what it stored is what it acknowledged, once.
"""

import os
import random
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from shutil import copytree
from typing import Literal

from edge_agent.dialects.native import Native
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.offers import Dispatch
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import BatchBuilder
from tests.proofs.real import PATIENCE, Camp, Device, camp, said, scratch
from tests.proofs.real_disks import Kind, SmallDisk, small_disk, why_no_disk
from tests.proofs.real_load import stored_frames
from tests.proofs.row import Findings, Row, fewer_than, lacking, total, tried
from tests.system.program import Program, free_port
from tests.system.until import until

_AGENT: Sequence[tuple[Kind, Literal["roomy", "tight"]]] = (
    ("tmpfs", "roomy"),
    ("inodes", "roomy"),
    ("ext4", "roomy"),
    ("tmpfs", "tight"),
    ("inodes", "tight"),
    ("ext4", "tight"),
)
_HUB: Sequence[Kind] = ("tmpfs", "ext4")
_ROUNDS = 4
_BEATS = 12
_MEMORY = {"roomy": "4MiB", "tight": "6KiB"}
_AGENT_BYTES, _HUB_BYTES = 4 * 2**20, 80 * 2**20
"""A hub leaves 32 MiB of its disk free for small writes."""
_FRAME_BYTES = 16 * 1024
_EPOCH = 7
_POSTS, _MOST_POSTS = 40, 2000


def prove(part: int, rounds: int = _ROUNDS) -> Findings:
    """One part: so many rounds on one kind of disk, of the agent's or of the hub's."""
    if part < len(_AGENT):
        kind, memory = _AGENT[part]
        found = _prove_agent(kind, memory, rounds)
    else:
        found = _prove_hub(_HUB[part - len(_AGENT)], rounds)
    return Findings(found.tried, [f"part {part}: {one}" for one in found.violations], found.figures)


def _prove_agent(kind: Kind, memory: Literal["roomy", "tight"], rounds: int) -> Findings:
    with scratch() as folder, small_disk(kind, folder / "small", _AGENT_BYTES) as disk:
        site = camp(folder, 1)
        device = site.devices[0]
        device.local_port = free_port()
        device.configure(_more(memory), state=disk.at / "state")
        with site.hub("first"):  # which draws the key
            pass
        with device.alive(disk.entering) as agent:
            trial = _Trial(site, device, agent, disk)
            for number in range(rounds):
                trial.go_round(number, overflow=memory == "tight")
            with site.hub("last"):
                trial.expect("everything arrives", device.is_all_but_quiet)
                if agent.lives and (code := agent.stop(PATIENCE)) != 0:
                    trial.wrong.append(f"the agent stopped with {code}: {said(agent)}")
        with site.hub("judge"):
            reckoning = device.reckon()
    wrong = [*trial.wrong, *reckoning.violations]
    if memory == "roomy" and reckoning.lost:
        wrong.append(f"{reckoning.lost} batches were declared lost though memory had room")
    figures = {"beats": float(reckoning.given), "lost": float(reckoning.lost), "missed": float(reckoning.missed)}
    return Findings(rounds, wrong, figures)


class _Trial:
    """The rounds of one agent; what was not as it must be."""

    def __init__(self, site: Camp, device: Device, agent: Program, disk: SmallDisk) -> None:
        self.wrong: list[str] = []
        self._site, self._device, self._agent, self._disk = site, device, agent, disk

    def go_round(self, number: int, *, overflow: bool) -> None:
        """See the module."""
        device, disk = self._device, self._disk
        self.expect("a backlog grows", device.beaten(_BEATS))
        disk.fill()
        self.expect("the lamp says not durable", lambda: self._lamp() in {"warn", "fail"})
        if overflow:
            self.expect("memory is full", lambda: self._lamp() == "fail")
        self.expect("it samples on", device.beaten(_BEATS))
        backlog = self._segments()
        disk.fill()
        with self._site.hub(f"hub-{number}"):
            self.expect("it pushes what it held", device.is_all_but_quiet)
            self.expect("it deletes what is settled", lambda: len(self._segments() & backlog) <= 1)
            disk.fill()
            stored = self._stored()
            self.expect("it pushes on from memory", lambda: self._stored() >= stored + 3)
            disk.free()
            self.expect("it is durable again", lambda: self._lamp() == "ok")
            stored = self._stored()
            self.expect("it pushes on from the disk", lambda: self._stored() >= stored + 2)

    def expect(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for something that must come to be while the agent lives its one life."""
        if self.wrong:
            return
        try:
            until(lambda: condition() or not self._agent.lives, within=PATIENCE)
        except AssertionError:
            self.wrong.append(f"{self._disk.kind}: not seen: {what}; lamp {self._device.lamp('spool')}")
        if not self._agent.lives:
            self.wrong.append(f"{self._disk.kind}: the agent ended before: {what}: {said(self._agent)}")

    def _lamp(self) -> str:
        return str(self._device.lamp("spool").get("state"))

    def _segments(self) -> set[str]:
        return {path.name for path in (self._disk.seen / "state/spool/hub/telemetry").glob("*.seg")}

    def _stored(self) -> int:
        return sum(epoch["stored"] for epoch in self._device.audit() if epoch["lane"] == "telemetry")


def _more(memory: str) -> str:
    """Segments of an eighth of a small quota, and batches of about a kilobyte: an open segment has room for a few."""
    noise = random.Random(memory)
    labels = "".join(f'x{number} = "{noise.randbytes(120).hex()}"\n' for number in range(4))
    return f'[spool]\nmemory_bytes = "{_MEMORY[memory]}"\n[spool.telemetry]\nmax_bytes = "96KiB"\n[labels]\n{labels}'


def _prove_hub(kind: Kind, rounds: int) -> Findings:
    wrong: list[str] = []
    with scratch() as folder, small_disk(kind, folder / "hub", _HUB_BYTES) as disk:
        site = camp(folder, 1)
        device = site.devices[0]
        poster = _Poster(device)
        with site.hub(before=disk.entering) as hub:
            for _ in range(rounds):
                for _ in range(_POSTS):
                    poster.post_until(200)
                disk.fill()
                if poster.post_until(503) != 503:
                    wrong.append("a hub on a full disk still takes frames")
                if not device.audit():
                    wrong.append("a full hub does not answer readers")
                disk.free()
                if poster.post_until(200) != 200:
                    wrong.append(f"a hub whose disk has room again takes no frame: {poster.last}")
            if not hub.lives or hub.stop(PATIENCE) != 0:
                wrong.append(f"the hub ended: {said(hub)}")
        # SQLite follows links to their end, and from here that is another folder.
        stored = stored_frames(copytree(disk.seen, folder / "copy"), device.name)
    if dict(stored) != poster.acknowledged or len(stored) != len(dict(stored)):
        wrong.append(f"{len(poster.acknowledged)} frames were acknowledged, {len(stored)} are stored")
    return Findings(rounds, [f"hub on {kind}: {one}" for one in wrong], {"frames": float(len(stored))})


class _Poster:
    """Posts frames of some size, each until the hub takes it."""

    def __init__(self, device: Device) -> None:
        self.acknowledged: dict[Identity, bytes] = {}
        self.last = 0
        self._device, self._dialect = device, Native(device.name)

    def post_until(self, status: int) -> int:
        """Post until the answer has this status; the last one after many."""
        for _ in range(_MOST_POSTS):
            self.last = self._post()
            if self.last == status:
                break
        return self.last

    def _post(self) -> int:
        identity = Identity(_EPOCH, len(self.acknowledged))
        payload = _payload(identity.seq)
        request = self._dialect.push([Frame(FrameKind.TELEMETRY, identity, 0, payload)], Dispatch(None, {}, ()))
        connection = HTTPConnection("127.0.0.1", self._device.hub_port, timeout=PATIENCE)
        try:
            key = {"x-api-key": self._device.key_file.read_text().strip()}
            connection.request(request.method, request.path, request.body, {**request.headers, **key})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status == 200:
            self.acknowledged[identity] = payload
        return answer.status


def _payload(number: int) -> bytes:
    """A batch of so many bytes that do not pack."""
    noise = random.Random(number)
    builder = BatchBuilder("axis", {str(key): noise.randbytes(500).hex() for key in range(_FRAME_BYTES // 500)})
    builder.add(Tick("load", number, (Reading("load.number", float(number), "1"),)))
    return builder.pack(None, {})


def _lacks() -> str:
    if os.getuid() != 0:
        return "not root"
    if missing := lacking("unshare", "nsenter", "mkfs.ext4", "truncate"):
        return missing
    with scratch() as folder:
        return next(filter(None, (why_no_disk(kind, folder) for kind in ("tmpfs", "ext4"))), "")


def _tell(parts: Sequence[Findings]) -> str:
    ticks, lost, missed = total(parts, "beats"), total(parts, "lost"), total(parts, "missed")
    told = f"{lost:,.0f} batches declared lost, {missed:,.0f} ticks declared missed"
    return f"filled and freed {tried(parts)} times: {ticks:,.0f} ticks, 0 missing, {told}"


ROW = Row(
    name="fulldisk",
    promise="a full disk never stops sampling, pushing or deleting, and heals without a restart",
    least="tmpfs, no inodes, ext4 on a loop device; the hub's store too: all is delivered or declared",
    parts=len(_AGENT) + len(_HUB),
    prove=prove,
    tell=_tell,
    unmet=fewer_than((len(_AGENT) + len(_HUB)) * _ROUNDS),
    lacks=_lacks,
    side_by_side=2,
)
