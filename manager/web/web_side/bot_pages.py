"""Serve each bot's own page at an origin of its own, with its session handed over by a code.

A bot's program is trusted with its own keys alone. So its page has neither an origin nor a cookie in common
with the fleet's page or another bot's, and nothing but itself may send requests to it.
"""

from __future__ import annotations

import html
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from manager import i18n
from manager.i18n import Text
from manager.web.protocol import Refusal
from manager.web.web_side import bot_headers, bot_relay
from manager.web.web_side.bot_sessions import Grant
from manager.web.web_side.counter import Counter
from manager.web.web_side.guard import language_of
from manager.web.web_side.sign_in import SESSION_S

HAND_OVER = "/.botfleet"
"""The one path that is ours: the bot never sees it, nor the code."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def url_of_page(counter: Counter, instance: str, request: Request) -> str:
    """Return where a bot's own page opens, once. Raises Refusal, also where the bot does not answer."""
    origin = counter.reach.origin_of_bot(instance, request.headers["host"])
    if origin is None and counter.reach.bot_origin:
        raise Refusal(409, Text("{id} cannot be the name of a host, so its own page has none", id=instance))
    if origin is None:
        raise Refusal(
            409,
            Text(
                "the bots' own pages have no address here: `manager serve --bot-origin"
                " 'https://{{id}}.bots.example'` gives them one"
            ),
        )
    connection, _host = counter.link.connect(instance)
    connection.close()
    code = counter.bot_sessions.code(instance, request.state.session)
    return f"{origin}{HAND_OVER}?code={code}"


def admit(counter: Counter, label: str, headers: Headers, peer: str, *, is_upgrade: bool = False) -> Grant:
    """Return what a request to a bot's origin may see. Raises Refusal: it is another site's, or none's."""
    origins = headers.getlist("origin")
    if any(origin != own_origin(counter, headers) for origin in origins) or (is_upgrade and not origins):
        raise Refusal(403, Text("another site's page may not call this one"))
    # No link of another site either: it may do something, and cookies tell bots of one domain not apart.
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refusal(403, Text("open a bot's own page from the fleet's page"))
    require_proxy(counter, peer)
    cookies = bot_headers.cookies_of(headers.raw, counter.bot_cookie_name)
    grants = (counter.bot_sessions.grant(cookie, label) for cookie in cookies)
    grant = next((grant for grant in grants if grant is not None), None)
    if grant is None:
        raise Refusal(401, Text("open a bot's own page from the fleet's page"))
    return grant


def require_proxy(counter: Counter, peer: str) -> None:
    """Raise Refusal for a connection that should have come by way of the reverse proxy."""
    if counter.reach.proxies and not counter.reach.is_proxy(peer):
        raise Refusal(403, Text("this address is for the reverse proxy of --behind-proxy only"))


def own_origin(counter: Counter, headers: Headers) -> str:
    """Return the origin that a request came to."""
    return f"{counter.reach.scheme}://{headers['host'].lower()}"


class BotPages:
    """Take the requests to the bots' origins; the others are the app's."""

    def __init__(self, app: ASGIApp, counter: Counter) -> None:
        self._app, self._counter = app, counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        hosts = headers.getlist("host")
        label = self._counter.reach.bot_of(hosts[0]) if len(hosts) == 1 else None
        if label is None:
            await self._app(scope, receive, send)
            return
        with i18n.speaking(language_of(headers.get("accept-language", ""))):
            try:
                if scope["path"] == HAND_OVER:
                    await self._hand_over(label, scope)(scope, receive, send)
                    return
                await self._relay(label, scope, receive, send, headers)
            except Refusal as refusal:
                await _said(refusal)(scope, receive, send)

    def _hand_over(self, label: str, scope: Scope) -> Response:
        """Return the cookie for a code. The page then follows by itself: a redirect would still be the other
        site's request, with which the browser sends no strict cookie.
        """
        counter = self._counter
        require_proxy(counter, (scope.get("client") or ("", 0))[0])
        code = parse_qs(scope["query_string"].decode("latin-1")).get("code", [""])[0]
        cookie = counter.bot_sessions.redeem(code, label) if scope["method"] == "GET" else None
        if cookie is None:
            raise Refusal(403, Text("this link has been used, or is too old: open it from the fleet's page"))
        content = "<!doctype html><title>…</title><meta http-equiv=refresh content='0;url=/'>"
        answer = Response(content, media_type="text/html", headers=HEADERS)
        is_secure = counter.reach.scheme == "https"
        answer.set_cookie(
            counter.bot_cookie_name,
            cookie,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=is_secure,
            path="/",
        )
        return answer

    async def _relay(self, label: str, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        counter = self._counter
        grant = admit(counter, label, headers, (scope.get("client") or ("", 0))[0])

        def may_go_on() -> bool:
            return not counter.is_ending and counter.bot_sessions.lasts(grant)

        async with counter.bot_connections.to(grant.instance) as (connection, host):
            place = bot_relay.Place(own_origin(counter, headers), host)
            await bot_relay.relay(connection, place, may_go_on, (scope, receive, send))


def _said(refusal: Refusal) -> Response:
    title = HTTPStatus(refusal.status).phrase
    content = f"<!doctype html><title>{title}</title><p>{html.escape(refusal.detail or title)}</p>"
    return Response(content, refusal.status, HEADERS, "text/html")
