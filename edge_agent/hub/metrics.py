"""The hub's own numbers as Prometheus text. No device is named: the page is open to the network.

`/healthz` means that the loop turns, `/readyz` that the store answers. Counters start at 0 with the process.
"""

from collections import Counter
from collections.abc import Callable, Mapping

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
        self, store: Store, clock: Clock, presence: Presence, gauges: Mapping[str, Callable[[], float]]
    ) -> None:
        self._store, self._clock, self._presence, self._gauges = store, clock, presence, gauges
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
        gauges = {"uptime_seconds": lambda: (self._clock.now() - self._started) / 1000, **self._gauges}
        for name, read in gauges.items():
            lines += [f"# TYPE edge_hub_{name} gauge", f"edge_hub_{name} {read():g}"]
        return Reply(200, ("\n".join(lines) + "\n").encode(), _TEXT)

    async def live(self, _ask: Ask) -> Reply:
        """GET /healthz."""
        return Reply(200, b"ok\n", _PLAIN)

    async def ready(self, _ask: Ask) -> Reply:
        """GET /readyz: StoreBroken becomes 503."""
        await self._store.read(lambda connection: connection.execute("SELECT 1").fetchone())
        return Reply(200, b"ok\n", _PLAIN)
