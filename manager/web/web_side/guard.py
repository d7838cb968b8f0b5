"""Check every request before any route sees it: its Host, its Origin, its session. Harden every answer."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manager import i18n
from manager.i18n import Text
from manager.util import kept_text
from manager.util.late_pattern import late_pattern
from manager.web.access import program_of_token
from manager.web.web_side.app_state import AppState, who
from manager.web.web_side.bot_headers import cookies_of
from manager.web.web_side.problems import problem
from manager.web.web_side.sign_in import Session

TOKEN_HEADER = "X-Botfleet-Token"
API = "/api/"
METRICS = "/metrics"
SIGN_IN = frozenset({("GET", "/api/v1/session"), ("POST", "/api/v1/session")})
SIGN_OUT = ("DELETE", "/api/v1/session")
INSTANCE_PATH = late_pattern(r"/api/v1/instances/([^/]+)/(?:actions|page)")
HALT_PATHS = frozenset({"/api/v1/halt", "/api/v1/hosts/halt"})
READING = frozenset({"GET", "HEAD"})
MAX_BODY = 1 << 16
MAX_PEER = 64
BODY_WITHIN_S = 20.0
"""How long the body of a request may take to arrive; bodies are small."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Wrap the app. The session that was found is `scope["state"]["session"]`, who asks `…["peer"]`."""

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app, self._app_state, self._reach = app, app_state, app_state.reach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a refusal, or let the request through."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered.update(HEADERS)
                if self._reach.scheme == "https":
                    answered["Strict-Transport-Security"] = "max-age=31536000"
                answered.setdefault("Cache-Control", "no-store")
            await send(message)

        with i18n.speaking(language_of(headers.get("accept-language", ""))):
            answer: ASGIApp = self._refusal(scope, headers) or self._app
            if (refused := scope.get("state", {}).get("refused")) is not None:
                await self._note(scope["path"], *refused)
            if answer is self._app and scope["method"] not in READING:
                try:
                    receive = await _with_body(receive)
                except TimeoutError:
                    answer = slow = problem(408)
                    slow.headers["Connection"] = "close"
            await answer(scope, receive, hardened)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, origins = headers.getlist("host"), headers.getlist("origin")
        peer = (scope.get("client") or ("", 0))[0]
        if self._reach.proxies and not self._reach.is_proxy(peer):
            return problem(403, Text("this address is for the reverse proxy of --behind-proxy only"))
        if len(host) != 1 or not self._reach.is_ours(host[0]):
            return problem(
                421, Text("this is not a name of this page: open it as it was printed; see --name")
            )
        is_api = scope["path"].startswith(API) or scope["path"] == METRICS
        is_reading = scope["method"] in READING
        if any(origin != f"{self._reach.scheme}://{host[0]}" for origin in origins):
            return problem(403, Text("another site's page may not call this one"))
        if is_api and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return problem(403, Text("another site's page may not call this one"))
        if not is_reading:
            size = headers.get("content-length", "")
            # a body in pieces has as many as are sent, whatever length is stated beside them
            if "transfer-encoding" in headers or not size.isdecimal() or int(size) > MAX_BODY:
                return problem(413, Text("a request has a length, of at most {count} bytes", count=MAX_BODY))
        state = scope.setdefault("state", {})
        state["peer"] = self._behind(peer, headers)
        if not is_api or (scope["method"], scope["path"]) in SIGN_IN:
            return None
        session = self._session(headers)
        if session is None:
            return problem(401, Text("not signed in: open the link that `manager serve` has printed"))
        if not session.may(permission := needed(scope["method"], scope["path"])):
            why = Text("this sign-in may not do that: the role {role} is required", role=permission)
            state["refused"] = (session, why)
            return problem(403, why)
        state["session"] = session
        return None

    async def _note(self, path: str, session: Session, why: Text) -> None:
        """Have the history say who asked for what is not theirs to do."""
        match = INSTANCE_PATH.fullmatch(path)
        instance = match[1] if match else ""
        if not match and path not in HALT_PATHS:
            return
        await self._app_state.note("refused", instance=instance, by=who(session), why=kept_text.kept(why))

    def _behind(self, peer: str, headers: Headers) -> str:
        """Return who asks: behind a named proxy, the last address that it has added."""
        if not self._reach.proxies:
            return peer
        forwarded = ",".join(headers.getlist("x-forwarded-for")).split(",")[-1].strip()
        return forwarded[:MAX_PEER] or peer

    def _session(self, headers: Headers) -> Session | None:
        kind, _space, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            program = program_of_token(self._app_state.access, token.strip())
            return program and Session(0, 0.0, "", float("inf"), program[1], program[0])
        token = headers.get(TOKEN_HEADER, "")
        sessions = (
            self._app_state.session_store.session(cookie, token)
            for cookie in cookies_of(headers.raw, self._app_state.cookie_name)
        )
        return next((session for session in sessions if session is not None), None)


async def _with_body(receive: Receive) -> Receive:
    """Return what gives the whole body at once. Raises TimeoutError: it came too slowly."""
    parts: list[Message] = []
    async with asyncio.timeout(BODY_WITHIN_S):
        while not parts or parts[-1].get("more_body", False):
            parts.append(await receive())
    parts.reverse()

    async def received() -> Message:
        return parts.pop() if parts else await receive()

    return received


def needed(method: str, path: str) -> str:
    """Return the permission that a request needs."""
    if method in READING or (method, path) == SIGN_OUT:
        return "read"
    return "halt" if path in HALT_PATHS else "operate"


def language_of(header: str) -> str:
    """Return the language that a browser names first; the process's for one that has no catalogue."""
    first = header.split(",")[0].split(";")[0].strip()
    return first if first and i18n.is_known(first) else i18n.language()
