"""Wake the loop when the exchange's websocket says that an order was filled."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping

from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.stream import FillStream, stream_url
from gridbot.model.types import ToldFill
from gridbot.runtime.log import log
from gridbot.runtime.stop_signal import StopSignal

# The value of GRIDBOT_STREAM with which no order is sent before the exchange's lists are asked.
LOOK_FIRST = "look"
# Older words than these are found in the exchange's lists.
MOST_WORDS = 100
# A socket that has told nothing for as long before a fill was booked, nor for so long after, is opened anew:
# lists and socket are not this far apart. Not all that is dead is noticed by a ping, as ccxt takes its own
# for apex's answer.
TOLD_BEFORE_S, TOLD_AFTER_S = 30.0, 10.0
# One that tells nothing then either is opened anew less and less often.
LONGEST_SILENCE_S = 3600.0


class FillWatch:
    """Hold whether there is news, and which. Without a stream there never is any."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop, self._news = stop, threading.Event()
        self._words: deque[ToldFill] = deque(maxlen=MOST_WORDS)
        self._stream: FillStream | None = None
        # A pause that an exchange in trouble was given is not cut short.
        self.is_muted = False
        self._trades: int | None = None
        self._opened_at, self._patience = 0.0, TOLD_BEFORE_S
        # Since when it has not told of a fill that is booked.
        self._owes_since: float | None = None

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
        self._opened_at = time.monotonic()

    def close(self) -> None:
        """Close the socket."""
        if self._stream is not None:
            self._stream.stop()

    @property
    def is_open(self) -> bool:
        """Tell whether there is a socket to be told by."""
        return self._stream is not None

    def note_trades(self, count: int) -> None:
        """Take down how many trades are booked, and open a socket anew that does not tell of them."""
        if self._stream is None:
            return
        now, is_new = time.monotonic(), self._trades is not None and count > self._trades
        self._trades = count
        if is_new and self._owes_since is None:
            self._owes_since = now
        if self._owes_since is None:
            return
        heard_at = self._stream.heard_at
        if max(heard_at, self._opened_at) >= self._owes_since - self._patience:
            self._owes_since = None
            if heard_at > self._opened_at:
                self._patience = TOLD_BEFORE_S
        elif now - self._owes_since >= TOLD_AFTER_S:
            log.info("the websocket has not told of a fill that the exchange lists: it is opened again")
            self._owes_since, self._opened_at = None, now
            self._patience = min(2 * self._patience, LONGEST_SILENCE_S)
            self._stream.reopen()

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
