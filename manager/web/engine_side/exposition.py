"""Answer a scrape of `/metrics`: out of the last look, never by a look of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from manager import __version__
from manager.config.fleet import Fleet
from manager.i18n import Text
from manager.monitor.metrics import families
from manager.monitor.metrics.publisher import Publisher
from manager.monitor.stats.sampler import Statistics
from manager.monitor.stats.usage import Usage
from manager.util import console
from manager.web.engine_side.observer import PageSnapshot
from manager.web.protocol import Refusal


class Exposition:
    """Hold what the next scrape reads: what this process's watch has seen, or else the page's last look.

    The latter is what there is while another `manager watch` runs, and while nothing can be watched.
    """

    def __init__(self, latest: Callable[[], PageSnapshot]) -> None:
        self._latest = latest
        self._watched: WatchPublisher | None = None

    def of_watch(self, fleet: Fleet, statistics: Statistics) -> WatchPublisher:
        """Return what watch gives its looks to, until it closes it."""
        self._watched = WatchPublisher(fleet, statistics, self._forget)
        return self._watched

    @property
    def usage_of_watch(self) -> Mapping[str, Usage]:
        """Return what this process's watch has measured at its last look; nothing while none runs."""
        return {} if self._watched is None else self._watched.usages

    def text(self, accept: str) -> tuple[str, str]:
        """Return the metrics and their media type, as a request's Accept asks. Raises Refusal."""
        collector: Collector | None = self._watched or _of_page(self._latest())
        if collector is None:
            raise Refusal(503, Text("the fleet has not been seen yet"))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        encode, media_type = choose_encoder(accept)
        return encode(registry).decode(), media_type

    def _forget(self) -> None:
        self._watched = None


class WatchPublisher(Publisher):
    """Take watch's looks. `forget` is called when no `watch` runs any longer."""

    def __init__(self, fleet: Fleet, statistics: Statistics, forget: Callable[[], object]) -> None:
        super().__init__(fleet, statistics, console.warning)
        self._forget = forget

    def close(self) -> None:
        """End: no `watch` runs any longer."""
        self._forget()


class _Rows(Collector):
    def __init__(self, look: families.FleetSample) -> None:
        self._look = look

    def collect(self) -> Iterable[Metric]:
        return families.families(self._look)


def _of_page(seen: PageSnapshot) -> _Rows | None:
    if seen.at is None and seen.error is None:
        return None
    why = "" if seen.error is None else str(seen.error)
    return _Rows(families.FleetSample(seen.fleet.name, __version__, seen.rows, seen.at, why))
