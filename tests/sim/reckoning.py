"""The reckoning: what must hold at every step of a run and at its end, judged from what the witness and the books show.

At every step, for each frame that a device sealed: its payload, or all that is in it, is stored at the hub, or its
number is thinned or lost in a stored frame, or payload, thinned frame or loss are still in a device's spool, or the
scene destroyed it.
A number is sealed with one payload only. A lane keeps its quota but for one segment (reports, which declare losses, may
pass theirs), memory its own, and nothing becomes a dead letter.

At the end, in calm weather, besides: nothing is buffered; every tick that was written down is stored with its batch,
or the batch is thinned or lost; no instant is stored twice; and the hub's audit says the same as the books: its sum
closes, and a number that is nowhere was never sealed, or the scene destroyed it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.hub.store.likeness import is_part_of
from edge_agent.model.frame import Identity, LaneName
from edge_agent.model.ranges import Ranges, difference, holds, ranges_of, total, union
from edge_agent.spool.segment import SEGMENT_BYTES
from tests.sim.books import MOST_BODY, Claims, DeviceBooks, HubBooks, claims_of
from tests.sim.device import DEVICE, SPOOL, Device
from tests.sim.station import Station
from tests.sim.witness import Witness

_MOST_SHOWN = 5
_ON_THE_WAY = 8 * 2**10
"""Bytes that may be in memory past its bound, while they wait for their turn to be written."""


class Broken(AssertionError):  # noqa: N818 - the name of what happened
    """An invariant does not hold."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many bytes a lane may have on disk, and in memory."""

    quota: Mapping[LaneName, int]
    memory: int


@dataclass(frozen=True, slots=True)
class Total:
    """A run's sealed frames, by what became of them in the end."""

    sealed: int
    stored: int
    thinned: int
    lost: int
    excused: int


class Reckoning:
    """Keeps the books of one run and judges them."""

    def __init__(self, witness: Witness, station: Station, machines: Sequence[Device], bounds: Bounds) -> None:
        self.witness, self._station, self._machines, self._bounds = witness, station, machines, bounds
        self.hub = HubBooks(DEVICE)
        self._spools: dict[Device, DeviceBooks] = {}
        self._settled: set[Identity] = set()

    def read(self) -> None:
        """Bring all books up to date."""
        self.hub.read(self._station.data)
        for machine in self._machines:
            self._spools.setdefault(machine, DeviceBooks()).read(machine.disk, SPOOL)

    def begin_anew(self) -> set[Identity]:
        """The hub's data were replaced: what it stored until now, or had a stand-in or a loss of, and has no more."""
        before, self.hub = set(self.hub.stored) | self._all_settled(), HubBooks(DEVICE)
        self.hub.read(self._station.data)
        gone = before - self.hub.stored.keys() - self._all_settled()
        self.witness.open |= self.witness.sealed.keys()
        return gone

    def _all_settled(self) -> set[Identity]:
        sealed = self.witness.sealed.items()
        return {identity for identity, one in sealed if self._is_settled(identity, one.payloads)}

    def step(self) -> None:
        """What holds at any instant; Broken when it does not."""
        self.read()
        witness = self.witness
        for identity in sorted(witness.open):
            payloads = witness.sealed[identity].payloads
            if len(payloads) > 1:
                raise Broken(f"number used twice: {identity} of {witness.sealed[identity].lane}")
            if self._is_settled(identity, payloads):
                witness.open.discard(identity)
            elif identity not in witness.excused and not self._is_buffered(identity, payloads):
                raise Broken(f"nowhere: frame {identity} of {witness.sealed[identity].lane} was sealed and is gone")
        for machine, spool in self._spools.items():
            self._keeps_bounds(machine, spool)

    def undelivered(self) -> list[Identity]:
        """What was sealed and is not settled at the hub yet; as of the last reading."""
        return sorted(self.witness.open - self.witness.excused)

    def end(self, audit: Mapping[str, Any]) -> Total:
        """What holds once everything was delivered and every life was stopped; Broken when it does not."""
        self.begin_anew()  # what was stored once must still be there
        self.step()
        witness, hub = self.witness, self.hub
        if left := self.undelivered():
            raise Broken(f"not delivered: {_some(left)}")
        twice = [f"{at} on {axis}" for (axis, at), count in sorted(hub.instants.items()) if count > 1]
        if twice:
            raise Broken(f"doubled: {len(twice)} instants are stored more than once: {_some(twice)}")
        for identity, written in sorted(witness.ticks.items()):
            self._has_ticks(identity, written)
        for epoch in audit["epochs"]:
            self._agrees(int(epoch["epoch"], 16), epoch)
        known = {int(epoch["epoch"], 16) for epoch in audit["epochs"]}
        unknown = [one for one in witness.sealed if one.epoch not in known and one not in witness.excused]
        if unknown:
            raise Broken(f"the audit does not know the epochs of {_some(unknown)}")
        return self._total()

    def count(self, found: Mapping[str, Any], *, exact: bool) -> None:
        """Whether a query of one gauge counts each tick: those stored in full, and those that windows stand for.

        A window that lies only in part where batches are stored in full is shown beside them, so the ticks of numbers
        that are both stored and thinned may count twice. Those of a number that was declared lost need not count when
        the file of its open batch came back torn after that. Where memory alone held batches for a while (not `exact`),
        nothing was written down that tells how many ticks they had.
        """
        counted = sum(point[-1] for series in found["series"] for point in series["points"])
        thinned = [identity for identity in self.witness.ticks if self._is_thinned(identity)]
        only = [one for one in thinned if one not in self.hub.stored]
        known = len(self.hub.instants) + self._written(only)
        also = self._written(one for one in thinned if one in self.hub.stored)
        torn = self._written(one for one in only if self._is_lost(one) and self.witness.sealed[one].torn)
        if counted < known - torn or (exact and counted > known + also):
            said = f"{known} are stored or thinned, {also} both, {torn} perhaps torn"
            raise Broken(f"points: a query counts {counted} ticks, and {said}")

    def _written(self, identities: Iterable[Identity]) -> int:
        """How many ticks were written down under these numbers."""
        return sum(len(self.witness.ticks[one]) for one in identities)

    def _is_thinned(self, identity: Identity) -> bool:
        return holds(self.hub.claims.thinned.get(identity.epoch, ()), identity.seq)

    def _is_lost(self, identity: Identity) -> bool:
        return holds(self.hub.claims.lost.get(identity.epoch, ()), identity.seq)

    def _total(self) -> Total:
        rest = [one for one, sealed in self.witness.sealed.items() if not self._is_stored(one, sealed.payloads)]
        stored = len(self.witness.sealed) - len(rest)
        claims = self.hub.claims
        thinned = sum(holds(claims.thinned.get(epoch, ()), seq) for epoch, seq in rest)
        covered = sum(claims.cover(one) for one in rest)
        return Total(len(self.witness.sealed), stored, thinned, covered - thinned, len(rest) - covered)

    def _is_settled(self, identity: Identity, payloads: set[bytes]) -> bool:
        return self._is_stored(identity, payloads) or self.hub.claims.cover(identity)

    def _is_stored(self, identity: Identity, payloads: set[bytes]) -> bool:
        """Whether these are stored: each as it is, or as a part of what is under its number.

        A batch may be pushed from memory before its sync returns, and a power cut in between bring the file of its open
        batch back torn: what is sealed of that then is a part of what the hub has.
        """
        whole = self.hub.stored.get(identity)
        return all(whole is not None and is_part_of(one, whole, MOST_BODY) for one in payloads - self.hub.payloads)

    def _is_buffered(self, identity: Identity, payloads: set[bytes]) -> bool:
        left = payloads - self.hub.payloads
        for machine, spool in self._spools.items():
            left = left - spool.payloads
            if spool.claims.cover(identity) or (machine.alive and _remembers(machine, identity)):
                return True
        return not left

    def _keeps_bounds(self, machine: Device, spool: DeviceBooks) -> None:
        for lane, quota in self._bounds.quota.items():
            if spool.bytes[lane] > quota + min(SEGMENT_BYTES, quota // 8) and lane != "reports":
                raise Broken(f"quota: {lane} has {spool.bytes[lane]} bytes of {quota}")
        if spool.dead:
            raise Broken(f"dead letters: {_some(spool.dead)}")
        for name, own in machine.agent.spool._lanes.items() if machine.alive else ():
            held = sum(len(frame.payload) for frame in own._memory)
            if held > self._bounds.memory + _ON_THE_WAY:
                raise Broken(f"memory: {name} keeps {held} bytes of {self._bounds.memory} in memory")

    def _has_ticks(self, identity: Identity, written: set[int]) -> None:
        if identity in self.witness.excused or self.hub.claims.cover(identity):
            return
        stored = self.hub.own.get(identity, set())
        if not written <= stored:
            gone = sorted(written - stored)
            raise Broken(f"ticks: batch {identity} is stored without {len(gone)} that were written down: {_some(gone)}")

    def _agrees(self, number: int, epoch: Mapping[str, Any]) -> None:
        """Whether the audit of one epoch is what the books say."""
        books, witness = self.hub, self.witness
        following = epoch["next"]
        stored = ranges_of(seq for own, seq in books.stored if own == number)
        thinned = difference(books.claims.thinned.get(number, ()), stored)
        lost = difference(books.claims.lost.get(number, ()), union(stored, thinned))
        nowhere = difference(((0, following),) if following else (), union(stored, thinned, lost))
        declared = {reason: count for reason, count in epoch["lost"].items() if reason != "unaccounted"}
        told = (epoch["stored"], epoch["thinned"], sum(declared.values()))
        found = (total(stored), total(thinned), total(lost))
        if told != found:
            raise Broken(f"audit: epoch {epoch['epoch']} is (stored, thinned, lost) {found}, and the audit says {told}")
        vanished = epoch["missing"] + epoch["held"] + epoch["lost"].get("unaccounted", 0)
        if vanished != total(nowhere) or sum(told) + vanished != following:
            raise Broken(f"audit: the sum of epoch {epoch['epoch']} does not close: {dict(epoch)}, nowhere {nowhere}")
        gone = _numbers(nowhere)
        wrong = [seq for seq in gone if (one := Identity(number, seq)) in witness.sealed and one not in witness.excused]
        if wrong:
            raise Broken(f"missing: numbers {_some(wrong)} of epoch {epoch['epoch']} were sealed")


def _remembers(machine: Device, identity: Identity) -> bool:
    """Whether a life knows of a loss that no file holds yet."""
    ranges = machine.agent.spool._losses._ranges.items()
    waiting = any(epoch == identity.epoch and holds(known, identity.seq) for (_, epoch, _), known in ranges)
    memory = Claims()
    for frame in machine.agent.spool._reports._memory:
        memory.take(claims_of(frame))
    return waiting or memory.cover(identity)


def _numbers(ranges: Ranges) -> list[int]:
    return [number for first, after in ranges for number in range(first, after)]


def _some(things: Sequence[object]) -> str:
    shown = ", ".join(str(thing) for thing in things[:_MOST_SHOWN])
    return f"{shown} and {len(things) - _MOST_SHOWN} more" if len(things) > _MOST_SHOWN else shown
