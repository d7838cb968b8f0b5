"""Hand a session over to the origin of a bot's own page, by a code that works once.

A bot's origin gets a cookie of its own, which opens nothing but this one bot's page. They are kept in memory:
when the web side is started again, the page is opened from the fleet's once more.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from manager.typed import NamedTuple
from manager.web.web_side.sign_in import SECRET_BYTES, SESSION_S, Session, SessionStore, hash_of

CODE_S = 60.0
MOST = 1000


class Grant(NamedTuple):
    """Hold who may see which bot's page, until when."""

    instance: str
    session: Session
    expires_at: float


class BotSessions:
    """Give out codes and cookies. `session_store`: says whether the session that asked goes on."""

    def __init__(self, session_store: SessionStore, clock: Callable[[], float] = time.time) -> None:
        self._session_store, self._clock = session_store, clock
        self._lock = threading.Lock()
        self._codes: dict[str, Grant] = {}
        self._cookies: dict[str, Grant] = {}

    def code(self, instance: str, session: Session) -> str:
        """Return a code that opens the instance's page once."""
        code = secrets.token_urlsafe(SECRET_BYTES)
        self._put(self._codes, code, Grant(instance, session, self._clock() + CODE_S))
        return code

    def redeem(self, code: str, label: str) -> str | None:
        """Return a cookie for a code of the bot whose origin it came to."""
        with self._lock:
            grant = self._codes.pop(hash_of(code), None)
        if grant is None or not self._is_for(grant, label):
            return None
        cookie = secrets.token_urlsafe(SECRET_BYTES)
        self._put(self._cookies, cookie, grant._replace(expires_at=self._clock() + SESSION_S))
        return cookie

    def grant(self, cookie: str, label: str) -> Grant | None:
        """Return what a cookie that came to a bot's origin permits."""
        with self._lock:
            grant = self._cookies.get(hash_of(cookie))
        if grant is None or not self._is_for(grant, label) or not self._session_store.goes_on(grant.session):
            return None
        return grant

    def lasts(self, grant: Grant) -> bool:
        """Return whether it has neither expired nor signed out."""
        return grant.expires_at > self._clock() and self._session_store.lasts(grant.session)

    def _is_for(self, grant: Grant, label: str) -> bool:
        return grant.instance.lower() == label and self.lasts(grant)

    def _put(self, into: dict[str, Grant], secret: str, grant: Grant) -> None:
        with self._lock:
            for key in [key for key, session in into.items() if not self.lasts(session)]:
                del into[key]
            for key in list(into)[: len(into) - MOST + 1]:
                del into[key]
            into[hash_of(secret)] = grant
