"""Which Jetson this is: model, chip, L4T and JetPack, as the attributes of one reading, `jetson.board`, that is 1.

The device tree tells the model, and in `compatible` the chip (nvidia,tegra234) and the module behind the carrier board
(nvidia,p3737-0000+p3701-0005). /etc/nv_tegra_release tells the L4T:

    # R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, DATE: ...

A machine that is no Jetson gives nothing. In a container both may be hidden (/sys/firmware is masked, and /etc is the
container's own): what is not known is asked again at each 30th beat, so files that are bound are found. What was known
once stays known. The series of a name that was less, before, is absent as `gone`.

The packages' database is not asked for the L4T: in a container it would tell that of the image. Not handled: the
module's full part number, which only root may read from its EEPROM; revisions of carrier boards.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from edge_agent.collectors.jetson.jetpack import jetpack_of
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

UNKNOWN = "unknown"
_EVERY = 30
"""Beats between two questions while something is unknown."""
_TREES = ("proc/device-tree", "sys/firmware/devicetree/base")
"""The first is a link to the second; a container may have either, bound."""
_RELEASE = "etc/nv_tegra_release"
_MOST = 4096
"""Bytes of a file."""
_FIT = re.compile(r"[^\ufffd]{1,256}")
"""A model: none of its bytes stood for no character."""
_L4T = re.compile(rb"R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3})*)")
_CHIP = re.compile(rb"nvidia,tegra(210|186|194|23[4x]|26[4x])\b")
_MOST_NAMES = 3
"""Names that it had: nothing that is known becomes unknown again, so there are hardly more."""
_FACTS = ("model", "soc", "l4t", "module")
_MODULE = re.compile(rb"nvidia,[\w-]+\+(p\d{4}-\d{4})")


@dataclass(frozen=True, slots=True)
class Board:
    """A Jetson. What is not known is the word `unknown`; `soc` is t210, t186, t194, t234 or t264."""

    model: str
    soc: str
    l4t: str
    module: str = UNKNOWN
    source: str = field(default="", compare=False)
    """The file that says that this is a Jetson."""

    @property
    def jetpack(self) -> str:
        """The JetPack that this L4T belongs to."""
        return UNKNOWN if self.l4t == UNKNOWN else jetpack_of(self.l4t)

    @property
    def whole(self) -> bool:
        """Whether nothing is unknown that every board tells."""
        return UNKNOWN not in {self.model, self.soc, self.l4t}

    def over(self, before: "Board | None") -> "Board":
        """This one, with what was known before where it does not know."""
        if before is None:
            return self
        kept = {name: getattr(before, name) for name in _FACTS if getattr(self, name) == UNKNOWN}
        return replace(self, **kept, source=before.source)


def board_of(host: Host) -> Board | None:
    """The board as its files tell it now; None where none of them says that this is a Jetson."""
    compatible, source = _first(host, "compatible")
    chip, module = _CHIP.search(compatible), _MODULE.search(compatible)
    release = _L4T.search(_head(host, _RELEASE))
    if chip is None and release is None:
        return None
    model = _first(host, "model")[0].strip(b"\0\n ").decode("utf-8", "replace")
    return Board(
        model=model if _FIT.fullmatch(model) and model.isprintable() else UNKNOWN,
        soc=f"t{chip[1].decode().replace('x', '4')}" if chip else UNKNOWN,
        l4t=b".".join(release.groups()).decode() if release else UNKNOWN,
        module=module[1].decode() if module else UNKNOWN,
        source=source if chip else f"/{_RELEASE}",
    )


class Known:
    """The board, asked again at each so many questions while something of it is unknown."""

    def __init__(self, host: Host, every: int = _EVERY) -> None:
        self._host, self._every = host, every
        self._board: Board | None = None
        self._age = every

    def board(self) -> Board | None:
        """The board, or None where this is no Jetson as far as is known."""
        if self._board is not None and self._board.whole:
            return self._board
        if self._age >= self._every:
            self._age = 0
            found = board_of(self._host)
            self._board = found.over(self._board) if found else self._board
        self._age += 1
        return self._board


class BoardName:
    """Tells the board's name."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._known = Known(host)
        self._names: list[Reading] = []

    def collect(self) -> Iterable[Reading]:
        """One reading on a Jetson, none elsewhere; beside it those whose names it had."""
        board = self._known.board()
        if board is None:
            return ()
        attributes = {
            "device.model.name": board.model,
            "device.model.identifier": board.module,
            "jetson.soc": board.soc,
            "jetson.l4t.version": board.l4t,
            "jetson.jetpack.version": board.jetpack,
        }
        if not self._names or self._names[-1].attributes != attributes:
            gone = [name._replace(value=None, reason="gone") for name in self._names[-_MOST_NAMES:]]
            self._names = [*gone, Reading("jetson.board", 1, "1", attributes, source=board.source)]
        return self._names


def _first(host: Host, name: str) -> tuple[bytes, str]:
    """What a file of the device tree holds, and where it was read."""
    return next(((text, f"/{tree}/{name}") for tree in _TREES if (text := _head(host, f"{tree}/{name}"))), (b"", ""))


def _head(host: Host, name: str) -> bytes:
    try:
        return HostFile(host, name).read_head(_MOST)
    except OSError:
        return b""


OFFER = CollectorOffer(NoOptions, BoardName, default=True)
