"""Say what of a message's head passes between a browser and a bot's own page. Pure.

The bot sees a request as if its port had been opened on this machine. Nothing of the fleet's sign-in reaches
it, and what it answers concerns its own origin alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.web.access import TOKEN_PREFIX

Head = list[tuple[bytes, bytes]]

MOST_OF_A_NAME = 10
OUR_COOKIES = ("botfleet-", "__host-botfleet-", "__secure-botfleet-")
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
NOT_FOR_BOT = HOP_BY_HOP | {b"host", b"expect", b"forwarded", b"x-real-ip", b"x-botfleet-token"}
NOT_FOR_BROWSER = HOP_BY_HOP | {b"clear-site-data", b"strict-transport-security", b"alt-svc"}
"""These would concern other hosts and ports as well."""
FORWARDED, CORS = b"x-forwarded-", b"access-control-"


def cookies_of(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[str]:
    """Return every value of a cookie's name. The cookies beside it may have any form: a browser sends those
    that a bot's page has set at another port, also under this name with a longer path.
    """
    return [cookie.partition("=")[2] for cookie in _cookies(headers) if cookie.startswith(f"{name}=")][
        :MOST_OF_A_NAME
    ]


def for_bot(headers: Head, origin: str, bot_host: str) -> Head:
    """Return a request's head for the bot, without what says how its body is sent. Names are in lower case.

    `origin`: of the bot's page for the browser; `bot_host`: host and port that the bot knows itself by.
    """
    dropped = NOT_FOR_BOT | _named_by_connection(headers)
    head: Head = [(b"host", bot_host.encode())]
    for name, value in headers:
        if name in dropped or name.startswith(FORWARDED) or name == b"cookie":
            continue
        if name in {b"origin", b"referer"}:
            if not _is_of(value, origin):
                continue
            value = f"http://{bot_host}".encode() + value[len(origin) :]
        if name == b"authorization" and TOKEN_PREFIX.encode() in value:
            continue
        head.append((name, value))
    if cookies := [cookie for cookie in _cookies(headers) if not _is_ours(cookie)]:
        head.append((b"cookie", "; ".join(cookies).encode("latin-1")))
    return head


def for_browser(headers: Head, origin: str, bot_host: str) -> Head:
    """Return an answer's head for the browser. Names are in lower case."""
    dropped = NOT_FOR_BROWSER | _named_by_connection(headers)
    if any(name == b"transfer-encoding" for name, _value in headers):
        dropped |= {b"content-length"}  # a body in pieces has another length than what is stated beside them
    inside = f"http://{bot_host}"
    head: Head = []
    for name, value in headers:
        if name in dropped or name.startswith(CORS):
            continue
        if name == b"set-cookie":
            cookie, *attributes = (part.strip() for part in value.decode("latin-1").split(";"))
            if not cookie or _is_ours(cookie):
                continue
            # an empty part, as behind a last semicolon, would leave a blank at the end, which is no header
            kept = (part for part in attributes if part and not part.lower().startswith("domain"))
            value = "; ".join((cookie, *kept)).encode("latin-1")
        if name == b"location" and _is_of(value, inside):
            value = origin.encode() + value[len(inside) :]
        head.append((name, value))
    return head


def _named_by_connection(headers: Head) -> set[bytes]:
    return {
        word.strip().lower() for name, value in headers if name == b"connection" for word in value.split(b",")
    }


def _cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    sent = (value.decode("latin-1") for name, value in headers if name == b"cookie")
    return [cookie.strip() for value in sent for cookie in value.split(";") if cookie.strip()]


def _is_ours(cookie: str) -> bool:
    """Return whether a cookie is one of a fleet's page, of another fleet's too.

    One without a name, `=a=b`, is sent by browsers as `a=b`.
    """
    return cookie.lstrip("= \t").partition("=")[0].strip().lower().startswith(OUR_COOKIES)


def _is_of(url: bytes, origin: str) -> bool:
    """Return whether a URL belongs to the origin: what follows it begins a path, or nothing does."""
    start = origin.encode()
    return url == start or url.startswith((start + b"/", start + b"?", start + b"#"))
