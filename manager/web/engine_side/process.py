"""Run the engine side: answer the web side in threads, and watch in the main one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from manager.errors import EngineError, EngineUnreachable, Locked, ManagerError
from manager.fleet import lock
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.watch import service
from manager.monitor.watch.loop import Watch
from manager.ops.actions.events import OnEvent
from manager.ops.actions.result import Result
from manager.util import console
from manager.util.signal_flag import SignalFlag
from manager.web import links, places
from manager.web.engine_side.backend import Backend
from manager.web.engine_side.listener import Listener

TRY_AGAIN_S = 10.0


def run(
    project_dir: Path | None,
    peer: int,
    on_ready: Callable[[], object],
    on_sign_in: Callable[[], object],
    on_event: OnEvent,
    on_result: Callable[[Result], object],
) -> None:
    """Answer and watch until SIGTERM. `peer`: the web side's uid. Raises ManagerError, OSError."""
    ending = _Ending()
    session = Session(project_dir)
    fleet = session.project().fleet
    at = places.of(fleet)

    def redeem(link: str) -> bool:
        if not links.redeem(at.link, link):
            return False
        on_sign_in()
        return True

    backend = Backend(session, redeem)
    listener = Listener(at.socket, backend, peer)
    backend.begin()
    listener.begin()
    on_ready()
    while not ending.is_set():
        if not service.watches(fleet):  # its unit would find the lock taken, and fail for ever
            _watch(project_dir, on_event, on_result, backend, ending)
        ending.wait(TRY_AGAIN_S)
    backend.end()  # a thread that the interpreter takes down in the middle of its work may crash it


class _Ending(SignalFlag):
    """Tell of SIGTERM; watch's own loop takes the signal while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.listen()

    def listen(self) -> None:
        """Take the signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.set)


def _watch(
    project_dir: Path | None,
    on_event: OnEvent,
    on_result: Callable[[Result], object],
    backend: Backend,
    ending: _Ending,
) -> None:
    """Watch until told to end; return at once where another `watch` runs, or nothing can be watched now."""
    session = Session(project_dir)
    try:
        with lock.held(session.project().fleet.watch_lock_file, "serve"):
            Watch(session, on_event, on_result, backend.exposition.of_watch, backend.share).run(ending.is_set)
            ending.set()
    except Locked:
        pass
    except (EngineUnreachable, EngineError):
        pass  # said on the page
    except ManagerError as error:
        console.warning(Text("the fleet is not watched: {why}", why=error))
    finally:
        ending.listen()
        session.close()
