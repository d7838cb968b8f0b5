"""Run the server in the foreground until Ctrl-C or SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from manager.fleet.session import Session
from manager.i18n import Text
from manager.util import formatting
from manager.web import address, api, problems
from manager.web.desk import Desk
from manager.web.guard import Guard

LAST_REQUESTS_S = 3


class Server(uvicorn.Server):
    """Serve the desk's app. Event streams, which would go on for ever, end when it is told to end."""

    def __init__(self, desk: Desk, cookie_name: str) -> None:
        config = uvicorn.Config(
            guarded_app(desk, cookie_name),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=LAST_REQUESTS_S,
        )
        super().__init__(config)
        self._desk = desk

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """End at the first signal when the last requests are answered, at a second one at once."""
        self.force_exit = self.should_exit
        self._desk.is_ending = self.should_exit = True


def serve(session: Session, host: str, port: int, say: Callable[[object], object]) -> None:
    """Listen, print the link, and answer. Raises ManagerError, UsageError for an address that is not ours."""
    address.require_loopback(host, port)
    listening = address.listening(host, port)

    def say_link() -> None:
        say(Text("sign in, once: {url}", url=f"{_url(host, port)}/#link={desk.door.new_link()}"))

    desk = Desk(session, say_link)
    cookie_name = f"botfleet-{port}"
    desk.begin()
    say(Text("the fleet's page: {url}", url=_url(host, port)))
    say_link()
    try:
        Server(desk, cookie_name).run(sockets=[listening])
    finally:
        desk.tails.close()
        listening.close()


def guarded_app(desk: Desk, cookie_name: str) -> ASGIApp:
    """Return the whole app: behind its guard, with every error as a problem."""
    app = api.the_app(desk, cookie_name)
    problems.install(app)
    return Guard(app, desk.door, cookie_name)


def _url(host: str, port: int) -> str:
    return f"http://{formatting.host_port(host, port)}"
