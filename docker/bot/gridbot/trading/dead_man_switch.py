"""Let the exchange cancel all orders of the account if this bot falls silent.

Only an exchange that offers it, and only where the bot is told to, because it is the whole account's: the
orders of every other program there go, too. It is no substitute for a stop: the shortest time is minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import ExchangeError
from gridbot.runtime.log import log

# How many attempts fit into the time, in case one is lost.
RENEWALS = 3


class DeadManSwitch:
    """Renew the time after which the exchange cancels everything, and end it at a stop.

    A failure is logged once and tried again at the next tick: it must neither stop nor delay trading.
    """

    def __init__(
        self, settings: Settings, exchange: Exchange, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._exchange, self._after, self._clock = exchange, settings.cancel_all_after, clock
        self._renewed_at = float("-inf")
        self._has_failed = False

    def renew(self) -> None:
        """Ask for the full time again when a third of it is over."""
        if not self._after or self._clock() - self._renewed_at < self._after / RENEWALS:
            return
        try:
            self._exchange.cancel_all_after(self._after)
        except ExchangeError as err:
            if not self._has_failed:
                log.warning("the exchange does not take the time of --cancel-all-after: %s", err)
            self._has_failed = True
            return
        self._renewed_at, self._has_failed = self._clock(), False

    def end(self) -> None:
        """Tell the exchange to cancel nothing any more.

        A failure is logged: then the exchange cancels when the time is over.
        """
        if not self._after:
            return
        try:
            self._exchange.cancel_all_after(0)
        except ExchangeError as err:
            log.warning(
                "the exchange may cancel all orders of the account once within %d s: %s", self._after, err
            )
