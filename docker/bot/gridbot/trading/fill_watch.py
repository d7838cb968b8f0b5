"""Wake the loop when the exchange's websocket says that an order was filled."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping

from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.stream import FillStream, stream_url
from gridbot.model.types import ToldFill
from gridbot.runtime.stop_signal import StopSignal

# The value of GRIDBOT_STREAM with which no order is sent before the exchange's lists are asked.
LOOK_FIRST = "look"
# Older words than these are found in the exchange's lists.
MOST_WORDS = 100


class FillWatch:
    """Hold whether there is news, and which. Without a stream there never is any."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop, self._news = stop, threading.Event()
        self._words: deque[ToldFill] = deque(maxlen=MOST_WORDS)
        self._stream: FillStream | None = None
        # A pause that an exchange in trouble was given is not cut short.
        self.is_muted = False

    def open(self, settings: Settings, exchange: Exchange, env: Mapping[str, str] = os.environ) -> None:
        """Open the account's socket, if the exchange has one and the bot trades live."""
        url = stream_url(settings.exchange, env) if settings.live else None
        if url is None:
            return
        from gridbot.exchanges.ccxt_exchange import CcxtExchange

        assert isinstance(exchange, CcxtExchange)
        credentials = venues.credentials(settings.exchange, env)
        tell = None if env.get("GRIDBOT_STREAM") == LOOK_FIRST else self._words.append
        self._stream = FillStream(settings.exchange, credentials, url, self.wake, env, tell)
        self._stream.start(*exchange.known_markets())

    def close(self) -> None:
        """Close the socket."""
        if self._stream is not None:
            self._stream.stop()

    def wake(self) -> None:
        """Note that something happened, and end the loop's pause."""
        self._news.set()
        if not self.is_muted:
            self._stop.wake()

    def take(self) -> bool:
        """Return whether something happened since the last call."""
        has_news = self._news.is_set()
        self._news.clear()
        return has_news

    def words(self) -> list[ToldFill]:
        """Return what was told of orders since the last call, oldest first."""
        words = []
        while self._words:
            words.append(self._words.popleft())
        return words
