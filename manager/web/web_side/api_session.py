"""Route sign-in and sign-out."""

from __future__ import annotations

import threading
import time
from math import ceil
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from manager.i18n import Text
from manager.web import access
from manager.web.access import Role
from manager.web.web_side import models_actions
from manager.web.web_side.counter import Counter
from manager.web.web_side.problems import problem
from manager.web.web_side.sign_in import SESSION_S


def routes_of_sessions(counter: Counter) -> APIRouter:
    """Return the routes of /api/v1/session. A link has every role."""
    router = APIRouter(include_in_schema=False)
    guesses = _Guesses(counter)

    @router.get("/api/v1/session")
    def ways() -> Any:
        is_set = bool(counter.access.passwords)
        return {"password": is_set, "code": is_set and bool(counter.access.totp)}

    @router.post("/api/v1/session")
    def sign_in(asked: models_actions.SignIn, request: Request) -> Response:
        if asked.link:
            if counter.link.ask("redeem", link=asked.link) is not True:
                return problem(
                    403, Text("this link has been used, or is an older one: use the newest that is printed")
                )
            return _signed_in(counter, "operate")
        role_found = guesses.role(asked.password, asked.code, request.state.peer)
        return role_found if isinstance(role_found, Response) else _signed_in(counter, role_found)

    @router.delete("/api/v1/session")
    def sign_out(request: Request) -> Response:
        counter.door.sign_out(request.state.session)
        answer = Response(status_code=204)
        answer.delete_cookie(counter.cookie_name, path="/")
        return answer

    return router


class _Guesses:
    """Look at one password at a time: each takes 16 MB."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._one = threading.Lock()
        self._last_step = -1

    def role(self, password: str, code: str, peer: str) -> Role | Response:
        """Return the role of a password, with its code where one is asked for; else a refusal."""
        counter = self._counter
        if not counter.access.passwords:
            return problem(403, Text("no password is set: `manager serve --set-password`"))
        with self._one:
            if wait := counter.attempts.begin(peer):
                seconds = ceil(wait)
                refusal = problem(
                    429, Text("too many wrong passwords: try again in {seconds} s", seconds=seconds)
                )
                refusal.headers["Retry-After"] = str(seconds)
                return refusal
            role_found = access.role_of_password(counter.access, password)
            if role_found is None or not self._is_code(code):
                counter.attempts.failed(peer)
                return problem(403, Text("wrong password, or wrong code"))
            counter.attempts.succeeded(peer)
        return role_found

    def _is_code(self, code: str) -> bool:
        """Return whether the code is right; each works once."""
        secret = self._counter.access.totp
        if not secret:
            return True
        step = access.step_of_code(secret, code, time.time())
        if step is None or step <= self._last_step:
            return False
        self._last_step = step
        return True


def _signed_in(counter: Counter, role: Role) -> JSONResponse:
    made = counter.door.open_session(role)
    answer = JSONResponse({"token": made.token})
    answer.set_cookie(
        counter.cookie_name,
        made.cookie,
        max_age=int(SESSION_S),
        httponly=True,
        samesite="strict",
        secure=counter.reach.scheme == "https",
        path="/",
    )
    return answer
