"""Wake the loop when the exchange's websocket says that an order was filled."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.stream import FillStream, stream_url
from gridbot.runtime.stop_signal import StopSignal


class FillWatch:
    """Hold whether there is news. Without a stream there never is any."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop, self._news = stop, threading.Event()
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
        self._stream = FillStream(settings.exchange, credentials, url, self.wake, env)
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
