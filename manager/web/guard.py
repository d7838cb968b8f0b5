"""Check every request before any route sees it: its Host, its Origin, its session. Harden every answer."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manager import i18n
from manager.i18n import Text
from manager.web import address
from manager.web.problems import problem
from manager.web.sign_in import Door, Session

TOKEN_HEADER = "X-Botfleet-Token"
API = "/api/"
SIGN_IN = ("POST", "/api/v1/session")
READING = frozenset({"GET", "HEAD"})
MAX_BODY = 1 << 16

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
    """Wrap the app. The session that was found is `scope["state"]["session"]`."""

    def __init__(self, app: ASGIApp, door: Door, cookie_name: str) -> None:
        self._app, self._door, self._cookie_name = app, door, cookie_name

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
                answered.setdefault("Cache-Control", "no-store")
            await send(message)

        with i18n.speaking(language_of(headers.get("accept-language", ""))):
            refusal = self._refusal(scope, headers)
            await (refusal or self._app)(scope, receive, hardened)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, origins = headers.getlist("host"), headers.getlist("origin")
        if len(host) != 1 or not address.is_ours(host[0]):
            return problem(421, Text("open this page as localhost or 127.0.0.1"))
        is_api = scope["path"].startswith(API)
        is_reading = scope["method"] in READING
        if any(origin != f"http://{host[0]}" for origin in origins):
            return problem(403, Text("another site's page may not call this one"))
        if is_api and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return problem(403, Text("another site's page may not call this one"))
        if not is_reading:
            size = headers.get("content-length", "")
            if not size.isdecimal() or int(size) > MAX_BODY:
                return problem(413, Text("a request has a length, of at most {count} bytes", count=MAX_BODY))
        if not is_api or (scope["method"], scope["path"]) == SIGN_IN:
            return None
        session = self._session(headers)
        if session is None:
            return problem(401, Text("not signed in: open the link that `manager serve` has printed"))
        scope.setdefault("state", {})["session"] = session
        return None

    def _session(self, headers: Headers) -> Session | None:
        cookie = cookie_of(headers.get("cookie", ""), self._cookie_name)
        return self._door.session(cookie, headers.get(TOKEN_HEADER, ""))


def language_of(header: str) -> str:
    """Return the language that a browser names first; the process's for one that has no catalogue."""
    first = header.split(",")[0].split(";")[0].strip()
    return first if first and i18n.is_known(first) else i18n.language()


def cookie_of(header: str, name: str) -> str:
    """Return a cookie's value; empty without it."""
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
