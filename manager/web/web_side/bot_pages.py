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
from manager.web.web_side.app_state import AppState
from manager.web.web_side.bot_sessions import Grant
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


def url_of_page(app_state: AppState, instance: str, request: Request) -> str:
    """Return where a bot's own page opens, once. Raises Refusal, also where the bot does not answer."""
    origin = app_state.reach.origin_of_bot(instance, request.headers["host"])
    if origin is None and app_state.reach.bot_origin:
        raise Refusal(409, Text("{id} cannot be the name of a host, so its own page has none", id=instance))
    if origin is None:
        raise Refusal(
            409,
            Text(
                "the bots' own pages have no address here: `manager serve --bot-origin"
                " 'https://{{id}}.bots.example'` gives them one"
            ),
        )
    connection, _host = app_state.link.connect(instance)
    connection.close()
    code = app_state.bot_sessions.code(instance, request.state.session)
    return f"{origin}{HAND_OVER}?code={code}"


def admit(app_state: AppState, label: str, headers: Headers, peer: str, *, is_upgrade: bool = False) -> Grant:
    """Return what a request to a bot's origin may see. Raises Refusal.

    It is refused where it comes from another site, or does not say from which.
    """
    origins = headers.getlist("origin")
    if any(origin != own_origin(app_state, headers) for origin in origins) or (is_upgrade and not origins):
        raise Refusal(403, Text("another site's page may not call this one"))
    # Links from other sites are refused as well: following one may change something, and a browser takes all
    # bots of one domain for one site when it decides whether to send a cookie.
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refusal(403, Text("open a bot's own page from the fleet's page"))
    require_proxy(app_state, peer)
    cookies = bot_headers.cookies_of(headers.raw, app_state.bot_cookie_name)
    grants = (app_state.bot_sessions.grant(cookie, label) for cookie in cookies)
    grant = next((grant for grant in grants if grant is not None), None)
    if grant is None:
        raise Refusal(401, Text("open a bot's own page from the fleet's page"))
    return grant


def require_proxy(app_state: AppState, peer: str) -> None:
    """Raise Refusal for a connection that should have come by way of the reverse proxy."""
    if app_state.reach.proxies and not app_state.reach.is_proxy(peer):
        raise Refusal(403, Text("this address is for the reverse proxy of --behind-proxy only"))


def own_origin(app_state: AppState, headers: Headers) -> str:
    """Return the origin that a request came to."""
    return f"{app_state.reach.scheme}://{headers['host'].lower()}"


class BotPages:
    """Take the requests to the bots' origins; the others are the app's."""

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app, self._app_state = app, app_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        hosts = headers.getlist("host")
        label = self._app_state.reach.bot_of(hosts[0]) if len(hosts) == 1 else None
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
                await _error_page(refusal)(scope, receive, send)

    def _hand_over(self, label: str, scope: Scope) -> Response:
        """Return the cookie for a code. The page then follows by itself: a redirect would still be the other
        site's request, with which the browser sends no strict cookie.
        """
        app_state = self._app_state
        require_proxy(app_state, (scope.get("client") or ("", 0))[0])
        code = parse_qs(scope["query_string"].decode("latin-1")).get("code", [""])[0]
        cookie = app_state.bot_sessions.redeem(code, label) if scope["method"] == "GET" else None
        if cookie is None:
            raise Refusal(403, Text("this link has been used, or is too old: open it from the fleet's page"))
        content = "<!doctype html><title>…</title><meta http-equiv=refresh content='0;url=/'>"
        answer = Response(content, media_type="text/html", headers=HEADERS)
        is_secure = app_state.reach.scheme == "https"
        answer.set_cookie(
            app_state.bot_cookie_name,
            cookie,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=is_secure,
            path="/",
        )
        return answer

    async def _relay(self, label: str, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        app_state = self._app_state
        if headers.get("service-worker"):  # the browser asks for the script of one
            raise Refusal(403, Text("a bot's own page may not leave anything that outlives the sign-in"))
        grant = admit(app_state, label, headers, (scope.get("client") or ("", 0))[0])

        def may_go_on() -> bool:
            return not app_state.is_ending and app_state.bot_sessions.lasts(grant)

        async with app_state.bot_connections.to(grant.instance) as (connection, host):
            place = bot_relay.Place(own_origin(app_state, headers), host)
            await bot_relay.relay(connection, place, may_go_on, (scope, receive, send))


def _error_page(refusal: Refusal) -> Response:
    title = HTTPStatus(refusal.status).phrase
    content = f"<!doctype html><title>{title}</title><p>{html.escape(refusal.detail or title)}</p>"
    return Response(content, refusal.status, HEADERS, "text/html")
