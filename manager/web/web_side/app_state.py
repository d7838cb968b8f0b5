"""Hold what the routes need, together."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from manager.i18n import Text
from manager.util import formatting, kept_text
from manager.web.access import Access
from manager.web.address import Reach
from manager.web.protocol import Refusal
from manager.web.web_side.attempts import Attempts
from manager.web.web_side.bot_connections import BotConnections
from manager.web.web_side.bot_sessions import BotSessions
from manager.web.web_side.link import Link
from manager.web.web_side.sign_in import Session, SessionStore
from manager.web.web_side.streams import Streams

MOST_HALTING = 4
"""Threads of a halt's own: the others may all be busy with what a reader asks for."""
MOST_FOLLOWING = 4
"""Threads of those who follow a command to its verdict: each answer is there at once."""
MOST_NOTES = 16
"""Notes that wait for their one thread. Who asks for what is not theirs delays nobody, and no halt."""


class AppState:
    """Answer browsers and programs. `is_ending`: event streams end."""

    def __init__(
        self, link: Link, session_store: SessionStore, access: Access, reach: Reach, cookie_name: str
    ) -> None:
        self.link, self.session_store, self.access, self.reach = link, session_store, access, reach
        self.cookie_name = cookie_name
        self.attempts = Attempts()
        self.bot_sessions = BotSessions(session_store)
        self.bot_connections = BotConnections(link)
        self.streams = Streams()
        self.is_ending = False
        self._halting = ThreadPoolExecutor(MOST_HALTING, "halt")
        self._following = ThreadPoolExecutor(MOST_FOLLOWING, "follow")
        self._noting = ThreadPoolExecutor(1, "note")
        self._notes = 0

    def end(self) -> None:
        """End the threads, when the last requests are answered."""
        self.is_ending = True
        for threads in (self._halting, self._following, self._noting):
            threads.shutdown()

    async def ask_at_once(self, verb: str, /, **params: Any) -> Any:
        """Return the engine side's answer, and wait for no other request. Raises Refusal."""
        return await self._ask_in(self._halting, verb, params)

    async def ask_of_actions(self, verb: str, /, **params: Any) -> Any:
        """Return what came of commands, and wait for no request but those for the same. Raises Refusal."""
        return await self._ask_in(self._following, verb, params)

    async def note(self, verb: str, /, **params: Any) -> None:
        """Have the engine side note something; not if it does not answer, or too many notes wait for it."""
        if self._notes == MOST_NOTES:
            return
        self._notes += 1
        try:
            with suppress(Refusal):
                await self._ask_in(self._noting, verb, params)
        finally:
            self._notes -= 1

    async def _ask_in(self, threads: ThreadPoolExecutor, verb: str, params: dict[str, Any]) -> Any:
        ask = partial(contextvars.copy_context().run, self.link.ask, verb, **params)
        return await asyncio.get_running_loop().run_in_executor(threads, ask)

    @property
    def bot_cookie_name(self) -> str:
        """Return the name of the cookie at each bot's origin. `__Host-`: no other host can set it."""
        return f"{'__Host-' if self.reach.scheme == 'https' else ''}{self.cookie_name}-bot"


def who(session: Session) -> object:
    """Return how the history names who asked, to readers of any language."""
    if session.program:
        return kept_text.kept(Text("asked by the program {name}, by its token", name=session.program))
    return kept_text.kept(
        Text(
            "asked on the page, by session {number} of {when}",
            number=session.number,
            when=formatting.date_and_time(session.signed_in_at),
        )
    )
