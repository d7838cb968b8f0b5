"""Route the bots' logs: as they are printed, merged by time, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from manager.web.protocol import Refusal
from manager.web.web_side import models
from manager.web.web_side.app_state import AppState
from manager.web.web_side.link import EngineSideAway
from manager.web.web_side.sign_in import Session

POLL_S = 0.3
KEEP_ALIVE_S = 15.0
MOST_NAMED = 100


def routes_of_logs(app_state: AppState) -> APIRouter:
    """Return the routes below /api/v1."""
    router = APIRouter()

    @router.get(
        "/logs",
        summary="What the bots print, as server-sent events; Last-Event-ID gets what was missed",
        responses={200: {"content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
    )
    def logs(
        request: Request,
        instance: Annotated[
            list[models.InstanceId] | None, Query(max_length=MOST_NAMED, description="all of them without it")
        ] = None,
    ) -> StreamingResponse:
        session: Session = request.state.session

        def after(last_id: str) -> Any:
            return app_state.link.ask("logs", instances=instance or [], after=last_id)

        last_id = request.headers.get("last-event-id", "")[:64]
        first = after(last_id)  # what cannot be read is a problem now, rather than an empty stream
        stream = _events(
            after, first, lambda: not app_state.is_ending and app_state.session_store.goes_on(session)
        )
        return app_state.streams.response(session.role, stream)

    return router


async def _events(
    after: Callable[[str], Any], first: Any, may_read: Callable[[], bool]
) -> AsyncIterator[str]:
    """Yield the lines as text, until the reader goes, or its session or the server ends."""
    yield "retry: 2000\n\n" + _text(first)
    last, said_at = first, time.monotonic()
    while may_read():
        await asyncio.sleep(POLL_S)
        try:
            new = await asyncio.to_thread(after, last["id"])
        except (EngineSideAway, Refusal, OSError):
            return  # the browser asks again, and is told why then
        if new["lines"] or new["id"] != last["id"] or new["is_live"] != last["is_live"]:
            said_at = time.monotonic()
            yield _text(new)
        elif time.monotonic() - said_at > KEEP_ALIVE_S:
            said_at = time.monotonic()
            yield ": still there\n\n"
        last = new


def _text(lines: Any) -> str:
    data = json.dumps({"lines": lines["lines"], "is_live": lines["is_live"]})
    return f"id: {lines['id']}\nevent: {lines['name']}\ndata: {data}\n\n"
