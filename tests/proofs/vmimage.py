"""What a power cut left, looked at by the next life: the image mounted here, and its spool opened and drained.

The kernel of this machine replays the journal, as the kernel of the device would; the spool's own reader lends each
batch until nothing is left, and takes a new one. What was promised must be among them, each once, with its bytes.
Reports, which the spool writes and merges by itself, are drained and not judged.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from edge_agent.model.frame import KIND_OF_LANE, LANES, Frame, FrameKind, Identity
from edge_agent.model.verdict import Settlement
from tests.proofs.ledger import ROOT
from tests.proofs.row import lacking
from tests.proofs.vm.first import IN_STATE
from tests.proofs.vm.words import digest, sealed, settled
from tests.proofs.vm.writer import bears_witness, open_spool

SIZE = 32 * 2**20
_MAKE = "mkfs.ext4 -q -F -b 4096 -J size=4"
_ROOM = 2**22
_STORED = Settlement("stored")
_MOST_SHOWN = 5
_PROBE = b"the next life goes on"


def lacking_for_an_image() -> str:
    """Why no image can be made and mounted here; "" when one can."""
    if why := lacking("mkfs.ext4", "mount", "umount"):
        return why
    if os.geteuid() != 0:
        return "only root may mount an image"
    return "" if Path("/dev/loop-control").exists() else "no loop devices"


def new_image(folder: Path) -> bytes:
    """A fresh ext4 file system with nothing in it."""
    image = folder / "new.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([*_MAKE.split(), str(image)], check=True, capture_output=True)
    content = image.read_bytes()
    image.unlink()
    return content


def promised(lines: Iterable[str], before: Mapping[Identity, str]) -> dict[Identity, str]:
    """What must be there after these lines, by its digest, when `before` was there when they began.

    Once the disk went dark nothing is promised any more.
    """
    owed = dict(before)
    for line in lines:
        if line == "dark":
            break
        if (batch := sealed(line)) is not None:
            owed[batch[0]] = batch[1]
        elif (gone := settled(line)) is not None:
            owed.pop(gone, None)
    return owed


@dataclass(slots=True)
class Eye:
    """Looks at images of one line of lives; remembers every batch that it saw, over all of them.

    The first image with a fault is kept as `.proofs/vm/<name>.img`, for whoever looks for the cause.
    """

    folder: Path
    name: str
    witnesses: bool
    """Payloads bear witness of themselves, and may be settled; else they are an agent's, which no hub settled."""
    known: dict[Identity, str] = field(default_factory=dict)
    payloads: dict[bytes, Identity] = field(default_factory=dict)

    def look(self, content: bytes, owed: Mapping[Identity, str]) -> tuple[dict[Identity, str], list[str]]:
        """Every batch in this image by its digest, and what is against the promise, in words."""
        image = self.folder / "cut.img"
        image.write_bytes(content)
        found: dict[Identity, str] = {}
        try:
            with _mounted(image, self.folder) as root:
                lent = asyncio.run(_drained(root / IN_STATE))
        except subprocess.CalledProcessError as error:
            wrong = [f"the file system cannot be mounted: {error.stderr.decode(errors='replace').strip()}"]
        except Exception as error:  # noqa: BLE001 - whatever breaks at the sight of it is a finding
            wrong = [f"the next life broke: {type(error).__name__}: {error}"]
        else:
            found, wrong = self._judged(lent, owed)
        kept = ROOT / ".proofs" / "vm" / f"{self.name}.img"
        if wrong and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
        return found, wrong

    def _judged(self, lent: list[Frame], owed: Mapping[Identity, str]) -> tuple[dict[Identity, str], list[str]]:
        found: dict[Identity, str] = {}
        wrong: list[str] = []
        for frame in lent:
            identity, is_ = frame.identity, digest(frame)
            if identity in found:
                wrong.append(f"{identity} was lent twice")
            found[identity] = is_
            if self.known.setdefault(identity, owed.get(identity, is_)) != is_:
                wrong.append(f"{identity} has other bytes than it had")
            if self.payloads.setdefault(sha256(frame.payload).digest(), identity) != identity:
                wrong.append(f"{identity} doubles another batch")
            if self.witnesses and not bears_witness(frame.payload):
                wrong.append(f"{identity} was never written so")
        wrong += [f"{identity} was durable and is gone" for identity in owed if identity not in found]
        wrong += [] if self.witnesses else _holes(frame.identity for frame in lent if frame.kind == FrameKind.TELEMETRY)
        return found, wrong[:_MOST_SHOWN]


def _holes(identities: Iterable[Identity]) -> list[str]:
    """What no hub took must be there from each epoch's first number on."""
    numbers: dict[int, set[int]] = {}
    for epoch, seq in identities:
        numbers.setdefault(epoch, set()).add(seq)
    return [
        f"epoch {epoch:016x} has holes: {len(seqs)} batches up to number {max(seqs)}"
        for epoch, seqs in numbers.items()
        if len(seqs) != max(seqs) + 1
    ]


async def _drained(folder: Path) -> list[Frame]:
    """All that a spool lends, settled as it is lent, after it took one batch more; that one left out."""
    spool = open_spool(folder)
    await spool.open()
    lent: list[Frame] = []
    try:
        lane = spool.lane("telemetry")
        probe = Frame(KIND_OF_LANE["telemetry"], lane.draw(), 0, _PROBE)
        if not await lane.append(probe):
            raise OSError("a new batch is not durable")
        for name in LANES:
            while frames := await spool.lane(name).oldest(_ROOM, _ROOM):
                lent += frames if name != "reports" else ()
                await spool.lane(name).settle({frame.identity: _STORED for frame in frames})
    finally:
        await spool.close()
    if probe not in lent:
        raise OSError("a new batch was not lent")
    lent.remove(probe)
    return lent


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[Path]:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=True, capture_output=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True, capture_output=True)
