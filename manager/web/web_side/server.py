"""Run the web side under uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from manager.web.web_side import api, problems
from manager.web.web_side.app_state import AppState
from manager.web.web_side.bot_pages import BotPages
from manager.web.web_side.bot_upgrades import upgrades_of
from manager.web.web_side.connections import connections_of
from manager.web.web_side.guard import Guard

LAST_REQUESTS_S = 3


class Server(uvicorn.Server):
    """Serve the app. Event streams, which would go on for ever, end when it is told to end."""

    def __init__(
        self,
        app_state: AppState,
        tls: Sequence[str] = (),
        on_start: Callable[[], object] = lambda: None,
    ) -> None:
        """Take `tls`: the files of certificate and key, read by `config.load()`."""
        cert, key = tls or (None, None)
        config = uvicorn.Config(
            guarded_app(app_state),
            log_level="error",  # each stranger who speaks no HTTP is a warning, in a log without limit
            access_log=False,
            server_header=False,
            lifespan="off",
            http=connections_of(app_state.reach),
            ws=upgrades_of(app_state),
            proxy_headers=False,
            timeout_graceful_shutdown=LAST_REQUESTS_S,
            ssl_certfile=cert,
            ssl_keyfile=key,
        )
        super().__init__(config)
        self._app_state, self._on_start = app_state, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """End at the first signal when the last requests are answered, at a second one at once."""
        self.force_exit = self.should_exit
        self._app_state.is_ending = self.should_exit = True


def guarded_app(app_state: AppState) -> ASGIApp:
    """Return the whole app: behind its guard, with every error as a problem."""
    app = api.the_app(app_state)
    problems.install(app)
    return BotPages(Guard(app, app_state), app_state)
