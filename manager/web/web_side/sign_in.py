"""Keep sessions, and give each what it may do. Only hashes are kept, in a file that survives a restart, and
which codes were used.

A session is proved by two secrets. A browser sends the cookie to every port of a host, so to each bot's own
page too; the token is kept in the page's own storage, which belongs to one port.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from manager.typed import NamedTuple
from manager.web.access import PERMISSIONS, Role

SESSION_S = 24 * 3600.0
IDLE_S = 12 * 3600.0
"""A session that nothing has used for so long is over: longer than a night, shorter than a day."""
MAX_SESSIONS = 100
SECRET_BYTES = 32
MAX_FILE = 1 << 20
MOST_STEPS = 100
"""Codes that have been used. Each is kept by itself: after a clock was set back, the next ones are lower."""


class Session(NamedTuple):
    """Hold a signed-in browser or program, with times in Unix time.

    `number` is its name in the history, `program` that of a program's token.
    """

    number: int
    signed_in_at: float
    token_hash: str
    expires_at: float
    role: Role
    program: str = ""

    def may(self, permission: str) -> bool:
        """Return whether its role has the permission."""
        return permission in PERMISSIONS[self.role]


class Secrets(NamedTuple):
    """Hold what a browser receives once, at its sign-in."""

    cookie: str
    token: str


class SessionStore:
    """Give out sessions. `file`: a descriptor of the file that keeps them; None keeps them in memory."""

    def __init__(self, file: int | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._file = clock, file
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._used_at: dict[int, float] = {}
        self._used_steps: deque[int] = deque(maxlen=MOST_STEPS)
        self._count = 0
        self._load()

    def open_session(self, role: Role) -> Secrets:
        """Return a new session's secrets."""
        made = Secrets(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES))
        with self._lock:
            self._drop_expired()
            self._count += 1
            now = self._clock()
            session = Session(self._count, now, hash_of(made.token), now + SESSION_S, role)
            self._sessions[hash_of(made.cookie)] = session
            self._save()
        return made

    def session(self, cookie: str, token: str) -> Session | None:
        """Return the session that both secrets belong to, while it lasts."""
        with self._lock:
            session = self._sessions.get(hash_of(cookie))
        if session is None or not secrets.compare_digest(session.token_hash, hash_of(token)):
            return None
        if self.goes_on(session):
            return session
        self.sign_out(session)  # also in the file: a restart must not revive it
        return None

    def goes_on(self, session: Session) -> bool:
        """Return whether a session lasts, and count this as a use of it: a stream is read for hours."""
        if not self.lasts(session):
            return False
        self._used_at[session.number] = self._clock()
        return True

    def lasts(self, session: Session) -> bool:
        """Return whether a session has neither expired, nor gone unused, nor signed out. A program's never
        does.
        """
        if session.program:
            return True
        with self._lock:
            return self._is_current(session) and session in self._sessions.values()

    def _is_current(self, session: Session) -> bool:
        """Return whether it is neither too old nor unused. After a restart each counts as just used."""
        now = self._clock()
        return session.expires_at > now and now - self._used_at.setdefault(session.number, now) < IDLE_S

    def sign_out(self, session: Session) -> None:
        """End a session."""
        with self._lock:
            self._sessions = {key: other for key, other in self._sessions.items() if other != session}
            self._save()

    def use_step(self, step: int) -> bool:
        """Return whether the code of that time has not been used before; from now on it has."""
        with self._lock:
            if step in self._used_steps:
                return False
            self._used_steps.append(step)
            self._save()
        return True

    def _drop_expired(self) -> None:
        current = [pair for pair in self._sessions.items() if self._is_current(pair[1])]
        self._sessions = dict(current[-(MAX_SESSIONS - 1) :])
        numbers = {session.number for session in self._sessions.values()}
        self._used_at = {number: at for number, at in self._used_at.items() if number in numbers}

    def _load(self) -> None:
        """Read what was kept. A file that was not written to its end signs all users out."""
        if self._file is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            stored: dict[str, Any] = json.loads(os.pread(self._file, MAX_FILE, 0))
            sessions = {key: Session(*fields) for key, fields in stored["sessions"].items()}
            if all(session.role in PERMISSIONS for session in sessions.values()):
                self._sessions, self._count = sessions, int(stored["count"])
                self._used_steps.extend(map(int, stored.get("used_steps", ())))

    def _save(self) -> None:
        if self._file is None:
            return
        content = json.dumps(
            {"count": self._count, "sessions": self._sessions, "used_steps": list(self._used_steps)}
        ).encode()
        with suppress(OSError):  # a full disk: then a restart signs out
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, content, 0)


def hash_of(secret: str) -> str:
    """Return what is compared and kept: looking it up takes as long for a wrong one as for a near one."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
