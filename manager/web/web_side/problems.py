"""Answer errors as problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from manager.errors import ManagerError
from manager.i18n import Text
from manager.web.protocol import Refusal, status_of

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: object = "", **more: object) -> JSONResponse:
    """Return the answer: what happened, and what to do next."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **more}
    if detail:
        content["detail"] = str(detail)
    return JSONResponse(content, status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make the app answer every error this way."""

    @app.exception_handler(ManagerError)
    def of_manager(_request: Request, error: ManagerError) -> JSONResponse:
        return problem(status_of(error), error)

    @app.exception_handler(Refusal)
    def of_engine_side(_request: Request, refusal: Refusal) -> JSONResponse:
        answer = problem(refusal.status, refusal.detail)
        if refusal.retry_after is not None:
            answer.headers["Retry-After"] = str(refusal.retry_after)
        return answer

    @app.exception_handler(HTTPException)
    def of_http(_request: Request, error: HTTPException) -> JSONResponse:
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        answer = problem(error.status_code, detail)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def of_request(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            {"at": ".".join(str(part) for part in fault["loc"]), "what": fault["msg"]}
            for fault in error.errors()
        ]
        return problem(422, Text("the request is not valid"), faults=faults)

    @app.exception_handler(Exception)
    def of_bug(_request: Request, error: Exception) -> JSONResponse:
        logging.getLogger("uvicorn.error").error("a bug in botfleet", exc_info=error)
        return problem(500, Text("this is a bug in botfleet ({what})", what=type(error).__name__))
