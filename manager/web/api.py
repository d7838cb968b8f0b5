"""Route the requests: the page's files, and the API under /api/v1. guard.py has checked who asks, and has
selected the reader's language.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Security
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.security import APIKeyCookie, APIKeyHeader

from manager import __version__, i18n
from manager.fleet import causes
from manager.i18n import Text
from manager.monitor.history import summary
from manager.monitor.stats.instance_stats import NO_REPORT, InstanceStats
from manager.web import answers, figures, models, words
from manager.web.api_actions import routes_of_actions
from manager.web.api_logs import routes_of_logs
from manager.web.desk import Desk
from manager.web.guard import TOKEN_HEADER, cookie_of
from manager.web.problems import MEDIA_TYPE, problem
from manager.web.sign_in import SESSION_S, Session

PAGE_DIR = Path(__file__).with_name("page")
FILES = {
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(
        (
            "start.js",
            "main.js",
            "model.js",
            "dom.js",
            "rows.js",
            "detail.js",
            "logs.js",
            "bulk.js",
            "actions.js",
            "charts.js",
            "stream.js",
            "format.js",
        ),
        "text/javascript",
    ),
}
"""What the browser loads: named one by one, so that no path leads anywhere else."""
DAY_S = 86_400.0
EXITS_OF_DAYS = 30
LAST_EVENTS = 100
POLL_S = 0.3
KEEP_ALIVE_S = 15.0
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "content": {MEDIA_TYPE: {}}}
    for status in (400, 401, 403, 404, 409, 413, 421, 422, 500, 503)
}


def the_app(desk: Desk, cookie_name: str) -> FastAPI:
    """Return the app without its guard."""
    app = FastAPI(
        title="botfleet",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it loads its script from a CDN
        redoc_url=None,
    )
    app.include_router(_page(desk, cookie_name))
    needed = [
        Security(APIKeyCookie(name=cookie_name, auto_error=False)),
        Security(APIKeyHeader(name=TOKEN_HEADER, auto_error=False)),
    ]
    for router in (_reading(desk), routes_of_actions(desk), routes_of_logs(desk)):
        app.include_router(router, prefix="/api/v1", dependencies=needed, responses=ERRORS)
    return app


def _page(desk: Desk, cookie_name: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE_DIR / "index.html", media_type="text/html")

    @router.get("/favicon.ico")
    def icon() -> FileResponse:
        return FileResponse(PAGE_DIR / "icon.svg", media_type=FILES["icon.svg"])

    @router.get("/page/{name}")
    def file(name: str) -> Response:
        if name not in FILES:
            return problem(404)
        return FileResponse(PAGE_DIR / name, media_type=FILES[name], headers={"Cache-Control": "no-cache"})

    @router.get("/texts/{language}")
    def texts(language: str) -> JSONResponse:
        with i18n.speaking(language):
            return JSONResponse(words.catalogue())

    @router.post("/api/v1/session")
    def sign_in(asked: models.SignIn) -> Response:
        made = desk.sign_in(asked.link)
        if made is None:
            return problem(
                403, Text("this link has been used, or is an older one: use the newest that is printed")
            )
        answer = JSONResponse({"token": made.token})
        answer.set_cookie(
            cookie_name, made.cookie, max_age=int(SESSION_S), httponly=True, samesite="strict", path="/"
        )
        return answer

    @router.delete("/api/v1/session")
    def sign_out(request: Request) -> Response:
        desk.door.sign_out(cookie_of(request.headers.get("cookie", ""), cookie_name))
        answer = Response(status_code=204)
        answer.delete_cookie(cookie_name, path="/")
        return answer

    return router


def _reading(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/fleet", response_model=models.Fleet, summary="Counts and sums of the fleet")
    def fleet() -> Any:
        return desk.feed().state()[0]

    @router.get("/instances", response_model=models.Instances, summary="All instances, worst first")
    def instances() -> Any:
        fleet, members, event = desk.feed().state()
        return {"looked_at": fleet["looked_at"], "event": event, "instances": members}

    @router.get(
        "/instances/{instance_id}",
        response_model=models.Detail,
        summary="One instance with its last report, its exits and the reason of its state",
    )
    def instance(instance_id: models.InstanceId) -> Any:
        return _detail(desk, desk.known_row(instance_id))

    @router.get(
        "/instances/{instance_id}/history",
        response_model=models.History,
        summary="What an instance earned, day by day, and what happened to it; removed ones too",
    )
    def history(
        instance_id: models.InstanceId,
        days: Annotated[float, Query(gt=0, le=3650, description="how far back")] = 30,
    ) -> Any:
        since = time.time() - days * DAY_S
        one, whole = figures.of_history(
            desk.session, instance_id, since, is_seen=desk.row(instance_id) is not None
        )
        return summary.as_object(one, whole, since)

    @router.get("/curves", response_model=models.Curves, summary="The fleet's P&L over the last day")
    def curves() -> Any:
        desk.readers.note()
        return answers.curves(desk.figures.latest)

    @router.get(
        "/events",
        summary="What changes, as server-sent events; Last-Event-ID gets what was missed",
        responses={200: {"content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
    )
    def events(request: Request) -> StreamingResponse:
        session: Session = request.state.session
        last_id = request.headers.get("last-event-id", "")[:64]
        stream = _events(desk, last_id, lambda: desk.door.lasts(session))
        return StreamingResponse(stream, media_type="text/event-stream")

    return router


def _detail(desk: Desk, row: InstanceStats) -> dict[str, Any]:
    since = time.time() - EXITS_OF_DAYS * DAY_S
    one, whole = figures.of_history(desk.session, row.id, since, is_seen=True)
    events = summary.as_object(one, whole, since)["events"]
    kept = row.view.report
    of_instance = desk.figures.latest.instances.get(row.id, answers.NO_FIGURES)
    return {
        "instance": answers.instance(row, desk.lookout.latest.fleet, of_instance),
        "report": None if row.report is NO_REPORT else answers.report_object(row.report),
        "report_is_previous": kept is not None and kept.is_previous,
        "last_words": causes.last_words(row.view),
        "exits": [event for event in events if event["what"] == "exit"],
        "events": events[-LAST_EVENTS:],
    }


async def _events(desk: Desk, last_id: str, may_read: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the events behind `last_id` as text, until the reader goes, or its session or the server ends."""
    feed = await asyncio.to_thread(desk.feed)
    last_id = last_id or feed.last_id
    yield "retry: 2000\n\n"
    said_at = time.monotonic()
    while not desk.is_ending and may_read():
        desk.note_reader()
        for event in feed.after(last_id):
            last_id, said_at = event.id, time.monotonic()
            yield f"id: {event.id}\nevent: {event.name}\ndata: {json.dumps(event.data)}\n\n"
        if time.monotonic() - said_at > KEEP_ALIVE_S:
            said_at = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(POLL_S)
