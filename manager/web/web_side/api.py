"""Route the requests: the page's files, and the API under /api/v1. guard.py has checked who asks, and has
selected the reader's language. What is answered comes from the engine side.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Security
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer

from manager import __version__, i18n
from manager.util import bundle
from manager.web.web_side import models, models_history, words
from manager.web.web_side.api_actions import routes_of_actions
from manager.web.web_side.api_hosts import routes_of_hosts
from manager.web.web_side.api_logs import routes_of_logs
from manager.web.web_side.api_session import routes_of_sessions
from manager.web.web_side.app_state import AppState
from manager.web.web_side.guard import METRICS, TOKEN_HEADER
from manager.web.web_side.link import EngineSideAway
from manager.web.web_side.problems import MEDIA_TYPE, problem
from manager.web.web_side.sign_in import Session

PAGE_DIR = Path(__file__).parent.with_name("page")
FILES = {
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(
        (
            "actions.js",
            "banners.js",
            "bulk.js",
            "clock.js",
            "detail.js",
            "docs.js",
            "dom.js",
            "drawings.js",
            "earned.js",
            "filters.js",
            "fleet_chart.js",
            "format.js",
            "list.js",
            "logs.js",
            "machines.js",
            "main.js",
            "marks.js",
            "model.js",
            "plot.js",
            "printed.js",
            "rows.js",
            "settings.js",
            "sign_in.js",
            "start.js",
            "state.js",
            "stream.js",
            "strip.js",
        ),
        "text/javascript",
    ),
}
"""What the browser loads: named one by one, so that no path leads anywhere else."""
SHARED_DIR = bundle.folder() / "docker" / "bot" / "gridbot" / "web" / "page"
SHARED = dict.fromkeys(("age.js", "chart.js"), "text/javascript")
"""What the bundled bot's page loads too: one chart for both, and one way to write an age."""
LIBRARY = {"uplot.js": "text/javascript", "uplot.css": "text/css"}
"""What `make page` gets. Where it did not, the file is empty, and the page says so."""
OPEN_METRICS = "application/openmetrics-text"
KEEP_ALIVE_S = 15.0
AWAY_S = 1.0
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "content": {MEDIA_TYPE: {}}}
    for status in (400, 401, 403, 404, 408, 409, 413, 421, 422, 429, 500, 503)
}


def the_app(app_state: AppState) -> FastAPI:
    """Return the app without its guard."""
    app = FastAPI(
        title="botfleet",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's loads its script from a CDN; docs.html is ours
        redoc_url=None,
    )
    app.include_router(_page())
    app.include_router(routes_of_sessions(app_state))
    needed = [
        Security(APIKeyCookie(name=app_state.cookie_name, auto_error=False)),
        Security(APIKeyHeader(name=TOKEN_HEADER, auto_error=False)),
        Security(HTTPBearer(auto_error=False)),
    ]
    app.include_router(_metrics(app_state), dependencies=needed, responses=ERRORS)
    for router in (
        _reading(app_state),
        routes_of_actions(app_state),
        routes_of_hosts(app_state),
        routes_of_logs(app_state),
    ):
        app.include_router(router, prefix="/api/v1", dependencies=needed, responses=ERRORS)
    return app


def _page() -> APIRouter:
    """Return the routes of the page's files, which are read now: later their folder may not be readable."""
    router = APIRouter(include_in_schema=False)
    contents = {name: (PAGE_DIR / name).read_bytes() for name in FILES}
    contents |= {name: (SHARED_DIR / name).read_bytes() for name in SHARED}
    contents |= {name: library_file(name) for name in LIBRARY}
    types = {**FILES, **SHARED, **LIBRARY}
    index, docs = ((PAGE_DIR / name).read_bytes() for name in ("index.html", "docs.html"))

    @router.get("/")
    def page() -> Response:
        return Response(index, media_type="text/html")

    @router.get("/docs")
    def api_docs() -> Response:
        return Response(docs, media_type="text/html")

    @router.get("/favicon.ico")
    def icon() -> Response:
        return Response(contents["icon.svg"], media_type=FILES["icon.svg"])

    @router.get("/page/{name}")
    def file(name: str) -> Response:
        if name not in types:
            return problem(404)
        return Response(contents[name], media_type=types[name], headers={"Cache-Control": "no-cache"})

    @router.get("/texts/{language}")
    def texts(language: str) -> JSONResponse:
        with i18n.speaking(language):
            return JSONResponse(words.catalogue())

    return router


def library_file(name: str) -> bytes:
    """Return a file of a library; nothing where it was not got."""
    try:
        return (PAGE_DIR / "lib" / name).read_bytes()
    except FileNotFoundError:
        return b""


def _reading(app_state: AppState) -> APIRouter:
    router = APIRouter()
    ask = app_state.link.ask

    @router.get("/fleet", response_model=models.Fleet, summary="Counts and sums of the fleet")
    def fleet() -> Any:
        return ask("fleet")

    @router.get("/instances", response_model=models.Instances, summary="All instances, worst first")
    def instances() -> Any:
        return ask("instances")

    @router.get(
        "/instances/{instance_id}",
        response_model=models_history.Detail,
        summary="One instance with its last report, its exits and the reason of its state",
    )
    def instance(instance_id: models.InstanceId) -> Any:
        return ask("instance", instance=instance_id)

    @router.get(
        "/instances/{instance_id}/history",
        response_model=models_history.History,
        summary="What an instance earned, day by day, and what happened to it; removed ones too",
    )
    def history(
        instance_id: models.InstanceId,
        days: Annotated[float, Query(gt=0, le=3650, description="how far back")] = 30,
    ) -> Any:
        return ask("history", instance=instance_id, days=days)

    @router.get("/curves", response_model=models_history.Curves, summary="The fleet's P&L over time")
    def curves(
        over: Annotated[Literal["1d", "7d", "30d", "all"], Query(description="how far back")] = "1d",
    ) -> Any:
        return ask("curves", over=over)

    @router.get(
        "/events",
        summary="What changes, as server-sent events; Last-Event-ID gets what was missed",
        responses={200: {"content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
    )
    def events(request: Request) -> StreamingResponse:
        session: Session = request.state.session
        last_id = request.headers.get("last-event-id", "")[:64]
        stream = _events(app_state, last_id, lambda: app_state.session_store.goes_on(session))
        return app_state.streams.response(session.role, stream)

    return router


def _metrics(app_state: AppState) -> APIRouter:
    router = APIRouter()

    @router.get(
        METRICS,
        summary="Metrics of the last look, for Prometheus",
        response_class=PlainTextResponse,
        responses={200: {"content": {"application/openmetrics-text": {}}}},
    )
    def metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        is_open = OPEN_METRICS in accept
        answer = app_state.link.ask("metrics", accept=OPEN_METRICS if is_open else "")
        return Response(answer["content"], media_type=answer["media_type"])

    return router


async def _events(app_state: AppState, last_id: str, may_read: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the events behind `last_id` as text, until the reader goes, or its session or the server ends.

    While the engine side is away, one event says so; then everything is read again.
    """
    yield "retry: 2000\n\n"
    said_at, is_away = time.monotonic(), False
    while not app_state.is_ending and may_read():
        try:
            answer = await app_state.link.events(last_id)
        except EngineSideAway:
            old = None if is_away else app_state.link.fleet_without_engine_side()
            if old is not None:
                yield _event("look", {"fleet": old, "changed": {}, "removed": []})
                said_at = time.monotonic()
            is_away = True
            await asyncio.sleep(AWAY_S)
        else:
            is_away, last_id = False, answer["last_id"]
            for event in answer["events"]:
                said_at = time.monotonic()
                yield _event(event["name"], event["data"], event["id"])
        if time.monotonic() - said_at > KEEP_ALIVE_S:
            said_at = time.monotonic()
            yield ": still there\n\n"


def _event(name: str, data: Any, number: str = "") -> str:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n"
