"""Connect metrics to `watch`: the address to listen on, and the observation to serve."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from manager.config.fleet import Fleet
from manager.i18n import Text
from manager.monitor.metrics.endpoint import PATH, Endpoint
from manager.monitor.metrics.publisher import Publisher
from manager.monitor.stats.sampler import Statistics
from manager.util import formatting


class MetricsServer(Publisher):
    """Serve what was last published. `say` receives warnings."""

    def __init__(
        self,
        address: tuple[str, int],
        fleet: Fleet,
        statistics: Statistics,
        say: Callable[[object], object],
    ) -> None:
        """Begin to listen. Raises ManagerError."""
        super().__init__(fleet, statistics, say)
        self._endpoint = Endpoint(address, self)
        self._host = address[0]
        if not _is_loopback(self._host):
            say(Text("any client that reaches {url} can read positions and P&L of every bot", url=self.url))

    @property
    def url(self) -> str:
        """Return the address of the metrics."""
        return f"http://{formatting.host_port(self._host, self._endpoint.port)}{PATH}"

    def close(self) -> None:
        """Stop listening."""
        self._endpoint.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
