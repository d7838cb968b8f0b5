"""Run `watch`: watch the fleet in the foreground."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from manager.cli import report
from manager.errors import OK, Locked
from manager.fleet import lock
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.ops.actions.result import Result
from manager.util import console

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.monitor.metrics.server import MetricsServer
    from manager.monitor.stats.sampler import Statistics


def watch(session: Session, args: Namespace) -> int:
    """Watch the fleet until SIGTERM or Ctrl-C."""
    from manager.monitor.watch.loop import Watch

    def say_result(result: Result) -> None:
        report.say_result(result, as_json=False)

    def serve_metrics(fleet: Fleet, statistics: Statistics) -> MetricsServer:
        from manager.monitor.metrics.server import MetricsServer  # 40 ms, needed by few

        server = MetricsServer(args.metrics, fleet, statistics, console.warning)
        console.say(Text("metrics at {url}", url=server.url))
        return server

    fleet = session.project().fleet
    try:
        with lock.held(fleet.watch_lock_file, "watch"), report.Reporter() as reporter:
            Watch(session, reporter, say_result, serve_metrics if args.metrics else None).run()
    except Locked as error:
        raise Locked(
            "{holder} already watches this fleet, and sends its alerts; to watch here, end that one"
            " (`manager serve stop` for the page's)",
            holder=error.text.params["holder"],
        ) from error
    console.say(_("watch has stopped"))
    return OK
