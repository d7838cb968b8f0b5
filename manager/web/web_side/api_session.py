"""Route sign-in and sign-out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from manager.i18n import Text
from manager.web import access, protocol
from manager.web.access import Role
from manager.web.web_side import models_actions
from manager.web.web_side.app_state import AppState
from manager.web.web_side.link import EngineSideAway
from manager.web.web_side.problems import problem
from manager.web.web_side.sign_in import SESSION_S, Secrets, hash_of

LINKS_ROLE: Role = "operate"
SAME_NONCE_S = 60.0
"""How long a browser may ask again with its link and nonce: longer than a page takes to load again."""
LEAST_NONCE = 20
"""Characters of a nonce: a shorter one could be guessed."""


def routes_of_sessions(app_state: AppState) -> APIRouter:
    """Return the routes of /api/v1/session. A link has every role."""
    router = APIRouter(include_in_schema=False)
    guesses, links = _Guesses(app_state), LinkSignIns(app_state)

    @router.get("/api/v1/session")
    def ways() -> Any:
        is_set = bool(app_state.access.passwords)
        return {"password": is_set, "code": is_set and bool(app_state.access.totp)}

    @router.post("/api/v1/session")
    def sign_in(asked: models_actions.SignIn, request: Request) -> Response:
        if asked.link:
            made = links.session_of(asked.link, asked.nonce)
            if made is None:
                return problem(
                    403, Text("this link has been used, or is an older one: use the newest that is printed")
                )
            return _signed_in(app_state, LINKS_ROLE, made)
        role_found = guesses.role(asked.password, asked.code, request.state.peer)
        if isinstance(role_found, Response):
            return role_found
        return _signed_in(app_state, role_found, app_state.session_store.open_session(role_found))

    @router.delete("/api/v1/session")
    def sign_out(request: Request) -> Response:
        app_state.session_store.sign_out(request.state.session)
        answer = Response(status_code=204)
        answer.delete_cookie(app_state.cookie_name, path="/")
        return answer

    return router


class LinkSignIns:
    """Redeem links: each once, but for the browser that has done it and never got the answer, because its
    page was loaded again. It is known by a nonce that nobody else has: whoever reads its request could read
    its answer as well.
    """

    def __init__(self, app_state: AppState, clock: Callable[[], float] = time.monotonic) -> None:
        self._app_state, self._clock = app_state, clock
        self._lock = threading.Lock()
        self._made: dict[str, tuple[float, Secrets]] = {}
        """Hash of a link with its nonce → when its session was opened, and that session's secrets."""

    def session_of(self, link: str, nonce: str) -> Secrets | None:
        """Return the session that a link opens, or that it has opened for this very nonce; None for none.

        One request at a time: the second one of a browser waits for what becomes of its first one.
        """
        key = hash_of(f"{nonce} {link}")
        if not self._lock.acquire(timeout=protocol.ANSWER_WITHIN_S):  # a flood of them, and no engine side
            raise EngineSideAway
        try:
            now = self._clock()
            self._made = {
                known: kept for known, kept in self._made.items() if 0 <= now - kept[0] < SAME_NONCE_S
            }
            store = self._app_state.session_store
            if (kept := self._made.get(key)) is not None:
                lasts = store.session(kept[1].cookie, kept[1].token) is not None  # or it has signed out
                return kept[1] if lasts else None
            if self._app_state.link.ask("redeem", link=link) is not True:
                return None
            made = store.open_session(LINKS_ROLE)
            if len(nonce) >= LEAST_NONCE:
                self._made[key] = now, made
            return made
        finally:
            self._lock.release()


class _Guesses:
    """Look at one password at a time: each takes 16 MB."""

    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        self._one = threading.Lock()

    def role(self, password: str, code: str, peer: str) -> Role | Response:
        """Return the role of a password, with its code where one is asked for; else a refusal."""
        app_state = self._app_state
        if not app_state.access.passwords:
            return problem(403, Text("no password is set: `manager serve --set-password`"))
        with self._one:
            if wait := app_state.attempts.begin(peer):
                seconds = ceil(wait)
                refusal = problem(
                    429, Text("too many wrong passwords: try again in {seconds} s", seconds=seconds)
                )
                refusal.headers["Retry-After"] = str(seconds)
                return refusal
            role_found = access.role_of_password(app_state.access, password)
            if role_found is None or not self._is_code(code):
                app_state.attempts.failed(peer)
                return problem(403, Text("wrong password, or wrong code"))
            app_state.attempts.succeeded(peer)
        return role_found

    def _is_code(self, code: str) -> bool:
        """Return whether the code is right; each works once."""
        secret = self._app_state.access.totp
        if not secret:
            return True
        step = access.step_of_code(secret, code, time.time())
        return step is not None and self._app_state.session_store.use_step(step)


def _signed_in(app_state: AppState, role: Role, made: Secrets) -> JSONResponse:
    answer = JSONResponse({"token": made.token, "may": sorted(access.PERMISSIONS[role])})
    answer.set_cookie(
        app_state.cookie_name,
        made.cookie,
        max_age=int(SESSION_S),
        httponly=True,
        samesite="strict",
        secure=app_state.reach.scheme == "https",
        path="/",
    )
    return answer
