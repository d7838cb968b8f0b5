"""Get connections to the bots' own pages: a number of each bot's, so that none takes what the others need."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from manager.i18n import Text
from manager.web.protocol import Refusal
from manager.web.web_side.link import Link

MOST_OF_ONE = 64
"""A browser keeps six for requests and streams; what is beyond are WebSockets of many tabs, or of a fault."""
MOST_ASKING = 4
"""A bot that accepts nothing keeps the engine side waiting, in few threads and not in the fleet's own."""


class BotConnections:
    """Hand out connections that the engine side opens."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._threads = ThreadPoolExecutor(MOST_ASKING, "bot-pages")
        self._open: Counter[str] = Counter()

    @asynccontextmanager
    async def to(self, instance: str) -> AsyncIterator[tuple[socket.socket, str]]:
        """Yield a connection, which the reader closes, and the bot's name there. Raises Refusal."""
        if self._open[instance] >= MOST_OF_ONE:
            raise Refusal(503, Text("{count} connections to {id} are open", count=MOST_OF_ONE, id=instance))
        self._open[instance] += 1
        try:
            run = contextvars.copy_context().run
            loop = asyncio.get_running_loop()
            yield await loop.run_in_executor(self._threads, run, self._link.connect, instance)
        finally:
            self._open[instance] -= 1
