"""The hub's own numbers as Prometheus text. No device is named: the page is open to the network.

`/healthz` means that the loop turns, `/readyz` that the store answers. It says `full` with status 200 where nothing
more can be stored, since readers are still served and the page tells people why; what is broken is 503. Both with the
time at which it began. A second line of either says how far off the hub's clock may be, or that it is not
synchronised; that is no reason to restart or avoid a hub. Counters start at 0 with the process.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from edge_agent.hub.condition import STATES, UNSYNCHRONISED, Condition
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.presence import Presence
from edge_agent.hub.router import Sight
from edge_agent.hub.store import Store
from edge_agent.model.ports import Clock

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"


class Metrics:
    """Counts requests and shows gauges; each of `gauges` is a metric's name with what reads it now."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        presence: Presence,
        condition: Condition,
        gauges: Mapping[str, Callable[[], float]],
    ) -> None:
        self._store, self._clock, self._gauges = store, clock, gauges
        self._presence, self._condition = presence, condition
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._started = clock.now()

    def see(self, sight: Sight) -> None:
        """Count one request under its route."""
        method, path = ("other", "other") if sight.route is None else (sight.route.method, sight.route.pattern)
        self._requests[method, path, sight.status] += 1

    async def show(self, _ask: Ask) -> Reply:
        """GET /metrics."""
        lines = ["# TYPE edge_hub_requests_total counter"]
        for (method, path, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",path="{path}",status="{status}"'
            lines.append(f"edge_hub_requests_total{{{labels}}} {count}")
        lines.append("# TYPE edge_hub_devices gauge")
        lines += [f'edge_hub_devices{{state="{state}"}} {count}' for state, count in self._presence.states().items()]
        report = self._condition.look()
        lines.append("# TYPE edge_hub_store gauge")
        lines += [f'edge_hub_store{{state="{state}"}} {int(state == report.state)}' for state in STATES]
        gauges = {
            "uptime_seconds": lambda: (self._clock.now() - self._started) / 1000,
            "store_since_seconds": lambda: report.since / 1000,
            "store_used_bytes": lambda: self._store.room.used,
            "store_free_bytes": lambda: self._store.room.free,
            "clock_synchronised": lambda: report.clock_error is not None,
            **self._gauges,
        }
        if report.clock_error is not None:
            gauges["clock_error_seconds"] = lambda: (report.clock_error or 0) / 1000
        for name, read in gauges.items():
            lines += [f"# TYPE edge_hub_{name} gauge", f"edge_hub_{name} {read():.15g}"]
        return Reply(200, ("\n".join(lines) + "\n").encode(), _TEXT)

    async def live(self, _ask: Ask) -> Reply:
        """GET /healthz."""
        return Reply(200, f"ok\n{self._clock_told()}".encode(), _PLAIN)

    async def ready(self, _ask: Ask) -> Reply:
        """GET /readyz; a StoreBroken of the read becomes 503, too."""
        await self._store.read(lambda connection: connection.execute("SELECT 1").fetchone())
        report = self._condition.look()
        if report.state == "ok":
            return Reply(200, f"ok\n{self._clock_told()}".encode(), _PLAIN)
        began = datetime.fromtimestamp(report.since / 1000, timezone.utc).isoformat(timespec="seconds")
        said = f"store {report.state} since {began}: what devices send is not stored, and stays with them\n"
        return Reply(503 if report.state == "broken" else 200, (said + self._clock_told()).encode(), _PLAIN)

    def _clock_told(self) -> str:
        error = self._condition.look().clock_error
        return f"clock not synchronised: {UNSYNCHRONISED}\n" if error is None else f"clock within {error} ms\n"
