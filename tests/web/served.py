"""Both sides of the server over a fleet without an engine, joined by their socket.

The test says what it sees; the history is a real file.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from manager.errors import ManagerError
from manager.fleet.bot_report import Report
from manager.fleet.session import Session
from manager.fleet.supervisor_state import Condition, SupervisorState
from manager.monitor.history import database, writing
from manager.monitor.history.model import Event, Sample, Span
from manager.monitor.stats.instance_stats import InstanceStats, with_best_report
from manager.monitor.watch import store
from manager.web import keeper, links
from manager.web.access import Access
from manager.web.address import Reach
from manager.web.engine_side import observer
from manager.web.engine_side.backend import Backend
from manager.web.engine_side.listener import Listener
from manager.web.engine_side.observer import PageSnapshot, WatchState
from manager.web.options import Options
from manager.web.web_side.app_state import AppState
from manager.web.web_side.link import Link
from manager.web.web_side.server import Server, guarded_app
from manager.web.web_side.sign_in import SessionStore
from tests import ports
from tests.builders import a_config, some_figures, write_config

COOKIE = "botfleet-test"
NO_ACCESS = Access()
LOOPBACK = Reach()


def a_project(folder: Path, name: str = "desk") -> Session:
    """A project folder with one config and no containers."""
    write_config(folder, a_config())
    (folder / "config" / "fleet.toml").write_text(f'name = "{name}"\n')
    return Session(folder)


def a_bot(
    instance: str, state: Any = "running", *, mode: str = "live", code: str | None = "trading", **figures: Any
) -> InstanceStats:
    """A row whose bot has just reported; `code` None: it has not."""
    params = figures.pop("params", {})
    amounts: dict[str, Any] = {
        key: Decimal(value) if key in AMOUNTS else value for key, value in figures.items()
    }
    report = Report(
        contract=2,
        at=time.time(),
        mode=mode,
        market="live",
        condition=Condition(code, params) if code else None,
        **amounts,
    )
    view = some_figures(instance, state, mode=mode).view
    if state in {"running", "unhealthy"}:
        view = view._replace(supervisor=a_supervisor(f"id-of-{instance}"))
    return with_best_report(view, None, report if code else None)


def a_supervisor(container: str) -> SupervisorState:
    """A supervisor whose bot runs."""
    now = time.time()
    return SupervisorState(container, "running", None, 8, now - 600, now, 1.0, 30, 0, 0, 3, None, None, None)


AMOUNTS = {"pnl", "position", "price", "lower", "upper", "realized", "unrealized", "fees", "entry_price"}


class Door:
    """A port that answers for one server after the other: a browser keeps what it has compiled of the files
    of an address that it has seen before. Nothing else of one server is there for the next one.
    """

    def __init__(self, folder: Path) -> None:
        self.port = ports.reserve()
        self._app: ASGIApp | None = None
        self._answering = 0
        nobody = AppState(Link(str(folder / "none")), SessionStore(), NO_ACCESS, LOOPBACK, COOKIE)
        self._server = Server(nobody)
        self._server.config.app = self
        self._socket = keeper.listening(Options(("127.0.0.1", self.port)))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def let_in(self, app: ASGIApp) -> None:
        assert self._app is None, "another server is still behind this door"
        self._app = app

    def leave(self) -> None:
        """Let nobody in, and wait until the last ones have gone: what they still ask for is this server's."""
        self._app = None
        deadline = time.monotonic() + 60
        while self._answering:
            assert time.monotonic() < deadline, "a request does not end"
            time.sleep(0.01)

    def end(self) -> None:
        self._server.handle_exit(signal.SIGTERM, None)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._answering += 1
        try:
            await (self._app or Response(status_code=503))(scope, receive, send)
        finally:
            self._answering -= 1


class Served:
    """One running server. `rows` and `error` are what its next look sees, which waits for `pause`.

    What is asked for by a path in `lost` is not answered: a browser is told of it as of a lost file. It has a
    port of its own, or answers at that of a door.
    """

    def __init__(
        self,
        session: Session,
        rows: Sequence[InstanceStats],
        access: Access = NO_ACCESS,
        reach: Reach = LOOPBACK,
        door: Door | None = None,
    ) -> None:
        self.rows = list(rows)
        self.links: list[str] = []
        self.fleet = session.project().fleet
        folder = session.project_dir()
        self._link_file = folder / "link"
        self.backend = Backend(session, self._redeem, self._look)
        self.listener = Listener(folder / "engine.sock", self.backend, os.geteuid())
        # as the real one, it reaches the socket by a path that is short
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        link = Link(f"/proc/self/fd/{self._folder}/engine.sock")
        self.app_state = AppState(link, SessionStore(), access, reach, COOKIE)
        self._door = door
        self.port = door.port if door else ports.reserve()
        self.url = f"http://127.0.0.1:{self.port}"
        self.error: ManagerError | None = None
        self.delivered_at: float | None = None
        self.pause = threading.Event()
        self.pause.set()
        self.lost: set[str] = set()
        self._app = _losing(guarded_app(self.app_state), self.lost)
        if door is None:
            self._server = Server(self.app_state)
            self._server.config.app = self._app
            self._socket = keeper.listening(Options(("127.0.0.1", self.port)))
            self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def new_link(self) -> str:
        self.links.append(f"{self.url}/#link={links.new(self._link_file)}")
        return self.links[-1]

    def _redeem(self, link: str) -> bool:
        if not links.redeem(self._link_file, link):
            return False
        self.new_link()
        return True

    def _look(self) -> PageSnapshot:
        self.pause.wait(30)
        if self.error is not None:
            raise self.error
        watching = WatchState(is_alive=True, undelivered=0, delivered_at=self.delivered_at)
        rows, now = tuple(self.rows), time.time()
        alerts = observer.alerts_of(self.fleet, rows, store.load(self.fleet.alert_state_file), now)
        return PageSnapshot(self.fleet, rows, (), watching, now, alerts=alerts)

    def look(self) -> None:
        """Look at once, rather than in some seconds."""
        self.backend.snapshots.look_again()

    def begin(self) -> None:
        self.new_link()
        self.backend.begin()
        self.listener.begin()
        if self._door:
            self._door.let_in(self._app)
            return
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def end(self) -> None:
        self.backend.is_ending = True  # or each stream of events waits for its next one
        self.pause.set()
        if self._door:
            self.app_state.is_ending = True
            self._door.leave()
        else:
            self._server.handle_exit(signal.SIGTERM, None)
            self._thread.join(10)
            assert not self._thread.is_alive()
        self.app_state.end()
        assert self.backend.end(), "a thread of the engine side goes on"
        self.listener.shutdown()
        self.listener.server_close()
        os.close(self._folder)


def _losing(app: ASGIApp, lost: set[str]) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (Response(status_code=503) if scope.get("path") in lost else app)(scope, receive, send)

    return answer


@contextmanager
def serving(
    folder: Path,
    rows: Sequence[InstanceStats],
    access: Access = NO_ACCESS,
    reach: Reach = LOOPBACK,
    door: Door | None = None,
) -> Iterator[Served]:
    served = Served(a_project(folder), rows, access, reach, door)
    served.begin()
    try:
        yield served
    finally:
        served.end()


class HasPort(Protocol):
    """Any server of the page's."""

    port: int


class Client:
    """A browser's place: what it was given at its sign-in, and the headers that it sends."""

    def __init__(self, served: HasPort) -> None:
        self.port = served.port
        self.cookie = self.token = ""
        self.host = f"127.0.0.1:{served.port}"

    def sign_in(self, link: str) -> int:
        return self.sign_in_by(link=link.partition("#link=")[2])

    def sign_in_by(self, **given: str) -> int:
        status, headers, body = self.call("POST", "/api/v1/session", given, {"Origin": f"http://{self.host}"})
        if status == 200:
            self.token = body["token"]
            self.cookie = headers["set-cookie"].partition(";")[0]
        return status

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers by lower-case name, and the body, JSON decoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": self.host, "X-Botfleet-Token": self.token, "Cookie": self.cookie, **(headers or {})}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, content, {key: value for key, value in sent.items() if value})
        answer = connection.getresponse()
        raw = answer.read()
        answer_headers = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        is_json = "json" in answer_headers.get("content-type", "")
        return answer.status, answer_headers, json.loads(raw) if is_json and raw else raw

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
        return self.call("GET", path, None, headers)


def signed_in(served: Served) -> Client:
    """Return a browser that signed in by a link: a password takes a second of the processor."""
    client = Client(served)
    assert client.sign_in(served.links[-1]) == 200
    return client


def write_history(
    session: Session, pnl: dict[str, Sequence[str]], *, kind: str = "live", gap: bool = True
) -> None:
    """A day of samples for each instance, evenly spaced up to now; with a hole in the middle if asked."""
    fleet, now = session.project().fleet, time.time()
    fleet.state_dir.mkdir(parents=True, exist_ok=True)
    db, _aside = database.open_for_writing(fleet.history_file)
    begin = now - 86_400
    hole = Span(begin + 40_000, begin + 50_000) if gap else Span(now, now)
    for span in (Span(begin, hole.begin), Span(hole.end, now)):
        writing.put_watched(db, span)
    for instance, values in pnl.items():
        step = 86_400 / max(1, len(values) - 1)
        samples = [
            Sample(
                begin + number * step, "running", "trading", kind, begin, begin, "USDC", "SOL", Decimal(value)
            )
            for number, value in enumerate(values)
        ]
        writing.add_samples(
            db, instance, [sample for sample in samples if not hole.begin < sample.at < hole.end]
        )
        writing.add_events(
            db,
            [
                Event(now - 7200, instance, "exit", "exit code 1"),
                Event(now - 60, instance, "state", "running"),
            ],
        )
    db.close()
