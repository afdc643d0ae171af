"""How often the board throttled for want of power: counters since boot, from the hwmon chip `soctherm_oc`.

`oc{n}_event_cnt` counts, `oc{n}_throt_en` says whether the cause throttles at all (looked at now and then). On
Orin (t234) the causes are known: 1 is under-voltage, 2 and 3 are average and instantaneous over-current; elsewhere they
keep their numbers. At the highest power mode the third counts several a second, which is how the limit works, no fault.

Each read is a message to the board's power controller. Not handled: boards before JetPack 5, whose kernel only logs.
"""

import re
from collections.abc import Iterable, Sequence

from edge_agent.collectors.jetson.board import Known
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import Fixed, Gauge, Part, label, names_in, number
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_CHIP = "soctherm_oc"
_FILE = re.compile(r"oc(\d)_(event_cnt|throt_en)")
_CAUSES = {"1": "under_voltage", "2": "average", "3": "instantaneous"}
_MOST = 4


class Overcurrent:
    """Reads the counters."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host, self._known = host, Known(host, every=1)  # asked at each look at a chip
        self._chips = Roster(
            host, Kind("sys/class/hwmon", r"hwmon\d+", self._identify, self._parts, _MOST, numbered=True)
        )

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._chips.collect()

    def _identify(self, path: str) -> str | None:
        return _CHIP if label(self._host, f"{path}/name") == _CHIP else None

    def _parts(self, key: str, path: str) -> Sequence[Part]:
        board = self._known.board()
        causes = _CAUSES if board is not None and board.soc == "t234" else {}
        place = {} if key == _CHIP else {"hw.id": key}
        parts: list[Part] = []
        for found in filter(None, map(_FILE.fullmatch, sorted(names_in(self._host, path)))):
            attributes = {**place, "oc": causes.get(found[1], f"oc{found[1]}")}
            file = HostFile(self._host, f"{path}/{found[0]}")
            if found[2] == "event_cnt":
                parts.append(Gauge(file, Reading("jetson.oc.events", None, "{event}", attributes, "counter")))
            else:
                on, why = number(file)
                throttles = Reading(
                    "jetson.oc.throttles", None, "1", attributes, source=lasting_path(file.source), reason=why
                )
                parts.append(Fixed(throttles if on is None else throttles._replace(value=int(on > 0))))
        return parts


OFFER = CollectorOffer(NoOptions, Overcurrent, default=True, claims=frozenset({_CHIP}))
