"""Sign in by a link that is printed and works once. Everything is kept in memory: a restart signs out all.

A session is proved by two secrets. A browser sends the cookie to every port of a host, so to each bot's own
page too; the token is kept in the page's own storage, which belongs to one port.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

SESSION_S = 24 * 3600.0
MAX_SESSIONS = 100
SECRET_BYTES = 32


class Session(NamedTuple):
    """A signed-in browser. `number` is its name in the history."""

    number: int
    token_hash: bytes
    expires_at: float


class Secrets(NamedTuple):
    """What a browser receives once, at its sign-in."""

    cookie: str
    token: str


class Door:
    """Hand out links, and sessions for them. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._link = b""
        self._sessions: dict[bytes, Session] = {}
        self._count = 0

    def new_link(self) -> str:
        """Return the secret of a new link; the one before no longer works."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        with self._lock:
            self._link = _hash(secret)
        return secret

    def sign_in(self, link: str) -> Secrets | None:
        """Return a new session's secrets if the link is the present one, which it then no longer is."""
        given = _hash(link)
        made = Secrets(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES))
        with self._lock:
            if not self._link or not secrets.compare_digest(given, self._link):
                return None
            self._link = b""
            self._drop_expired()
            self._count += 1
            session = Session(self._count, _hash(made.token), self._clock() + SESSION_S)
            self._sessions[_hash(made.cookie)] = session
        return made

    def session(self, cookie: str, token: str) -> Session | None:
        """Return the session that both secrets belong to, while it lasts."""
        with self._lock:
            session = self._sessions.get(_hash(cookie))
        if session is None or session.expires_at <= self._clock():
            return None
        return session if secrets.compare_digest(session.token_hash, _hash(token)) else None

    def lasts(self, session: Session) -> bool:
        """Return whether a session has neither expired nor signed out."""
        with self._lock:
            return session.expires_at > self._clock() and session in self._sessions.values()

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_hash(cookie), None)

    def _drop_expired(self) -> None:
        now = self._clock()
        kept = [(key, each) for key, each in self._sessions.items() if each.expires_at > now]
        self._sessions = dict(kept[-(MAX_SESSIONS - 1) :])


def _hash(secret: str) -> bytes:
    """Return what is compared and kept: looking it up takes as long for a wrong one as for a near one."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
