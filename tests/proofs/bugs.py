"""Row `bugs`: what checks rows `states` and `damage` can see: each of these faults, put into the product, is caught.

A bug is something that stands before the disk, or another method in the place of one of the product, for the time of
the trial (`tampering`). It is given the cases in which it would show, until something is found against it. The same
cases, and wounds, with nothing changed must be without a finding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_agent.spool import lender, rack, reader, scan
from edge_agent.spool.lane import Lane
from edge_agent.spool.rack import Rack
from edge_agent.spool.segment import Segment
from edge_agent.spool.thinner import Thinner
from edge_agent.spool.writer import Writer
from edge_agent.uplink import heir, open_batch
from edge_agent.uplink.open_batch import OpenBatch
from edge_agent.uplink.sealer import Sealer
from tests.proofs import tampering
from tests.proofs.crashing import Product
from tests.proofs.damage import Toll, whole, wound_queue
from tests.proofs.exploring import Explorer
from tests.proofs.openings import Openings
from tests.proofs.row import Findings, Row
from tests.proofs.scripts import CASES
from tests.sim.loop import run

WOUNDS, OPENINGS = "wounds", "openings"
"""The cases that are none of row `states`: the wounds of row `damage`, and batches that were left open."""

_MOST = 6
_MOST_WOUNDS = 200


@dataclass(frozen=True)
class Bug:
    """One fault. `cases` are those of row `states` in which it would show, or `WOUNDS`, or `OPENINGS`.

    `disk` stands before the disk, `seed` gives each life's chance, `exchanges` are attributes that are others then.
    """

    name: str
    cases: Sequence[str]
    disk: Callable[[Any], Any] = lambda disk: disk
    seed: Callable[[int], int] = lambda life: life
    exchanges: Sequence[tuple[Any, str, Any]] = ()

    def found(self) -> Sequence[str]:
        """What the checkers say about it; nothing when it goes unseen."""
        with _exchanged(self.exchanges):
            return [what for case in self.cases for what in _held_against(case, self)]


NOTHING = Bug("nothing is wrong", ("seals", "new segments", "reseals", "the reserve", WOUNDS, OPENINGS))

BUGS: Sequence[Bug] = (
    Bug("data are never synced", ("seals",), tampering.never_synced),
    Bug("a batch counts one sync too early", ("seals",), tampering.synced_late),
    Bug("a failed sync is tried again on its descriptor", ("a sync fails",), tampering.synced_again),
    Bug("folders are never synced", ("seals",), tampering.FoldersUnsynced),
    Bug("a replacement is in place before it is synced", ("thins",), tampering.ReplacedUnsynced),
    Bug("the reserve is not synced", ("the reserve",), tampering.OverwrittenUnsynced),
    Bug("numbers are used again after a restart", ("seals",), seed=lambda _life: 7),
    Bug(
        "a new number after a crash between sync and unlink",
        ("seals",),
        exchanges=[(Lane, "adopt", tampering.adopt_as_new)],
    ),
    Bug(
        "memory counts as durable",
        ("a sync fails twice",),
        exchanges=[(Lane, "_is_durable", tampering.durable_at_once)],
    ),
    Bug(
        "a loss is declared after the file went",
        ("evicts",),
        exchanges=[(Lane, "_make_room", tampering.drop_then_tell)],
    ),
    Bug("a conflict draws a number", ("reseals",), exchanges=[(Lane, "_reseal", tampering.reseal_as_new)]),
    Bug("a file goes before all is settled", ("settles",), exchanges=[(Segment, "settle", tampering.settle_all)]),
    Bug("frames are settled by position", ("new segments",), exchanges=[(Segment, "settle", tampering.settle_first)]),
    Bug(
        "a segment is cut below what was synced",
        ("seals", "new segments"),
        exchanges=[(Writer, "close", tampering.close_short(Writer.close))],
    ),
    Bug(
        "a thinned form replaces what is gone already",
        ("thins",),
        exchanges=[(Thinner, "put", tampering.put_over(Thinner.put))],
    ),
    Bug(
        "an original goes while the thinned name may",
        ("thins",),
        exchanges=[(Rack, "_drop_beaten", tampering.drop_beaten_at_once)],
    ),
    Bug(
        "a segment counts beside its thinned form", ("thins",), exchanges=[(rack, "outdated", tampering.none_outdated)]
    ),
    Bug(
        "bad bytes send a segment to quarantine",
        ("seals",),
        exchanges=[(lender, "scan", tampering.only_whole(scan.scan))],
    ),
    Bug(
        "recovery stops at the first bad frame",
        (WOUNDS,),
        exchanges=[(lender, "scan", tampering.up_to_damage(scan.scan))],
    ),
    Bug(
        "a payload's CRC is not looked at",
        (WOUNDS,),
        exchanges=[(module, "decode", tampering.payload_unlooked) for module in (scan, reader)],
    ),
    Bug(
        "a header's CRC is not looked at",
        (WOUNDS,),
        exchanges=[(module, "decode", tampering.header_unlooked) for module in (scan, reader)],
    ),
    Bug(
        "an open batch's file goes before the batch is durable",
        (OPENINGS,),
        exchanges=[(Sealer, "_give", tampering.remove_then_give)],
    ),
    Bug(
        "what was left open gets a new number",
        (OPENINGS,),
        exchanges=[(heir, "read", tampering.read_as_new(open_batch.read))],
    ),
    Bug(
        "a tick is in the open batch's file one tick late",
        (OPENINGS,),
        exchanges=[(OpenBatch, "_write", tampering.write_late(OpenBatch._write))],
    ),
)


@contextmanager
def _exchanged(exchanges: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """These attributes are others meanwhile."""
    before = [getattr(owner, name) for owner, name, _other in exchanges]
    for owner, name, other in exchanges:
        setattr(owner, name, other)
    try:
        yield
    finally:
        for (owner, name, _other), one in zip(exchanges, before, strict=True):
            setattr(owner, name, one)


def _held_against(name: str, bug: Bug) -> Sequence[str]:
    """What is found against a case; it ends with the first finding."""
    if name == WOUNDS:
        return _wounded()
    if name == OPENINGS:
        openings = Openings(step=3)
        run(openings.explore())
        return list(openings.violations)
    case = next(case for case in CASES if case.name == name)
    explorer = Explorer(case, Product(case.options, bug.disk, bug.seed), _MOST)
    explorer.enough = lambda: bool(explorer.tale.violations)
    run(explorer.explore())
    return list(explorer.tale.violations)


def _wounded() -> Sequence[str]:
    """What is found against wounds; they end with the first finding."""

    async def wound() -> Sequence[str]:
        one, toll = await whole(1), Toll()
        for seed in range(_MOST_WOUNDS):
            await wound_queue(one, seed, toll)
            if toll.violations:
                break
        return toll.violations

    return run(wound())


def tried(bugs: Sequence[Bug]) -> Findings:
    """Put each of these in, and see whether it is caught; then the product as it is."""
    unseen = [f"{bug.name}: nobody saw it" for bug in bugs if not bug.found()]
    false = [f"nothing is wrong, but: {what}" for what in NOTHING.found()]
    return Findings(len(bugs), [*unseen, *false], {"caught": len(bugs) - len(unseen)})


def _tell(parts: Sequence[Findings]) -> str:
    return (
        f"{parts[0].figures['caught']:.0f} of {parts[0].tried} seeded bugs caught; the product itself without a finding"
    )


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    return [] if parts[0].figures["caught"] >= 12 else ["fewer than 12 bugs"]


ROW = Row(
    "bugs",
    "the checker can see",
    "12 seeded bugs, all caught",
    1,
    lambda _part: tried(BUGS),
    _tell,
    _unmet,
)
