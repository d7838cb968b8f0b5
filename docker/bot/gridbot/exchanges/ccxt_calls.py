"""Call ccxt: one method at a time, paced, by the exchange's clock, with its errors translated."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges import ccxt_client, ccxt_errors, error_words
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.answers import SENSELESS, Listed, Page
from gridbot.model.errors import ExchangeError, RejectedError, UnclearError
from gridbot.runtime import secrecy
from gridbot.runtime.pace import Pace

# Name resolution has no timeout of its own; a call that is shorter than this is not stuck.
MIN_CALL_S = 30.0
SHORT_TIMEOUT_S = 4.0
# The exchange is asked this often what time it is; smaller differences than the second are the call's own.
CLOCK_EVERY_S = 600.0
CLOCK_TOLERANCE_S = 1.0
# After a refusal that may be the clock's it is asked again, but not more often than this.
CLOCK_AGAIN_S = 10.0
# Two bots with one API key may sign with the same number: so often, and with pauses up to so long.
NONCE_TRIES, NONCE_PAUSE_S = 4, 0.2
# How much of ccxt's pauses between calls may be made up for afterwards: the look at a fill and the order that
# answers it, at one call a second.
MOST_OWED_S = 2.0


class CcxtCalls:
    """Hold ccxt's client of one exchange, and call its methods."""

    nonce_pause_s = NONCE_PAUSE_S

    def __init__(
        self,
        settings: Settings,
        credentials: Mapping[str, str] | None,
        env: Mapping[str, str],
        on_call: Callable[[float], None],
        pace: Pace | None,
    ) -> None:
        self._on_call = on_call
        self._pace = Pace() if pace is None else pace
        self._id = settings.exchange
        self._api = ccxt_client.connect(settings, credentials, env)
        self._answers = READERS[self._id](self._id, (credentials or {}).get("options.accountIndex"))
        self._answered = ccxt_client.keep_answers(self._api)
        self._errors = importlib.import_module("ccxt.base.errors")
        self._signs = bool(credentials)
        self._clock_offset, self._clock_read_at = 0.0, -CLOCK_EVERY_S
        self._clock_since = time.time() - time.monotonic()
        self.clock_ahead = 0.0
        self._owed_s = 0.0
        self._api.throttle = self._throttle

    @property
    def id(self) -> str:
        """Return the exchange's name."""
        return self._id

    def ask(self, method: str, *args: Any) -> Any:
        """Call a method of ccxt and return its answer. Raises ExchangeError."""
        return self._call(getattr(self._api, method), *args)

    def own_account(self, answer: Any) -> Mapping[str, Any]:
        """Return the bot's own account in an answer that may be of several."""
        return self._answers.own_account(answer)

    def clock_offset(self) -> float | None:
        """Return by how many seconds the exchange's clock is ahead of this machine's, None where unknown."""
        began = time.time()
        there = self._exchange_time() if self._api.has.get("fetchTime") else None
        return None if there is None else there - (began + time.time()) / 2

    def _throttle(self, cost: float | None = None) -> None:
        """Leave as much time between calls as ccxt does, and after urgent ones as much more as they left out.

        A clock that was set back is not waited for.
        """
        pause = self._api.rateLimit * (1 if cost is None else cost)
        passed = self._api.milliseconds() - self._api.lastRestRequestTimestamp
        missing = min(pause - passed, pause) / 1000
        owed = max(self._owed_s + missing, 0.0)
        if self._pace.is_urgent and owed <= MOST_OWED_S:
            self._owed_s = owed
            return
        self._owed_s = 0.0
        if owed:
            time.sleep(owed)

    def _clock_ahead(self) -> float:
        """Return by how many seconds this machine's clock is ahead of the exchange's, 0 when it is not."""
        now, since = time.monotonic(), time.time() - time.monotonic()
        is_due = now >= self._clock_read_at + CLOCK_EVERY_S
        was_set = abs(since - self._clock_since) > CLOCK_TOLERANCE_S and self._clock_read_at <= now
        if (is_due or was_set) and not self._pace.is_urgent:
            self._clock_read_at, self._clock_since = now, since
            if (offset := self.clock_offset()) is not None:
                self._set_clock(offset)
        return self.clock_ahead

    def _doubt_clock(self) -> None:
        """Have the exchange asked before the next call what time it is there."""
        if time.monotonic() - self._clock_read_at >= CLOCK_AGAIN_S:
            self._clock_read_at = -CLOCK_EVERY_S

    def _exchange_time(self) -> float | None:
        # ccxt takes backpack's answer, a bare number, for none, and gives this machine's own time.
        fetch = self._api.publicGetApiV1Time if self._id == "backpack" else self._api.fetch_time
        try:
            return float(self._call(fetch, json=False)) / 1000
        except (ExchangeError, TypeError, ValueError):
            return None

    def _set_clock(self, offset: float) -> None:
        """Use the exchange's clock, `offset` seconds from this machine's, for signatures."""
        self._clock_offset = offset if abs(offset) > CLOCK_TOLERANCE_S else 0.0
        self.clock_ahead = max(-self._clock_offset, 0.0)
        shift = int(self._clock_offset * 1000)
        self._api.milliseconds = lambda: int(time.time() * 1000) + shift
        # ccxt paces its calls by the same clock, and would wait for as long as it was set back.
        self._api.lastRestRequestTimestamp = 0

    def shorten_timeouts(self) -> None:
        """Use short timeouts from now on."""
        self._pace.release()
        self._owed_s = 0.0
        self._api.timeout = min(self._api.timeout, int(SHORT_TIMEOUT_S * 1000))

    def _list(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Return the list that ccxt makes of an answer. Raises UnclearError where that holds none."""
        answer = self._call(function, *args)
        if self._answered:
            self._rows(function)
        if not isinstance(answer, list):
            raise UnclearError(f"{self._id} answered something that is not a list")
        return answer

    def _rows(self, function: Callable[..., Any]) -> list[Any]:
        """Return the exchange's own list in the answer to the last call. Raises UnclearError."""
        answer = self._answered[-1] if self._answered else None
        rows = self._answers.rows(function.__name__, answer)
        if rows is None:
            raise UnclearError(f"{self._id} answered something that is not a list to {function.__name__}")
        return rows

    def _read_pages(
        self,
        fetch: Callable[..., Any],
        symbol: str,
        first: Page,
        following: Callable[[Page, Listed], Page | None],
        most_pages: int,
    ) -> tuple[list[Any], bool]:
        """Return the rows of `most_pages` pages, and whether there are no more."""
        rows, most = list[Any](), self._answers.most_on_page
        page: Page | None = first
        for _ in range(most_pages):
            if page is None:
                break
            listed = self._list(fetch, symbol, page.since, most, dict(page.params))
            rows += listed
            answer = self._answered[-1] if self._answered else None
            raw = answer if isinstance(answer, dict) else {}
            page = following(page, Listed(listed, raw, self._api.milliseconds()))
        return rows, page is None

    def _cancel(self, function: Callable[..., Any], *args: Any, json: bool = True) -> Any:
        return self._call(function, *args, json=json, is_cancel=True)

    def _call(
        self, function: Callable[..., Any], *args: Any, json: bool = True, is_cancel: bool = False
    ) -> Any:
        if self._signs:
            self._clock_ahead()
        for _ in range(NONCE_TRIES - 1):
            try:
                return self._call_once(function, *args, json=json, is_cancel=is_cancel)
            except RejectedError as err:
                if not self._answers.is_used_nonce(str(err)):
                    raise
            # It was not carried out; ccxt asks for a number each time.
            time.sleep(random.uniform(0, self.nonce_pause_s))
        return self._call_once(function, *args, json=json, is_cancel=is_cancel)

    def _not_json(self) -> UnclearError:
        """Return the error of an answer that is not JSON, with its words: a page of maintenance has some."""
        words = error_words.of_body(str(self._api.last_http_response or ""))
        if not words:
            return UnclearError(f"{self._id} answered with an empty body instead of JSON")
        return UnclearError(f"{self._id} answered something that is not JSON: {words}")

    def _call_once(self, function: Callable[..., Any], *args: Any, json: bool, is_cancel: bool) -> Any:
        def expect() -> None:
            self._on_call(max(2 * self._api.timeout / 1000, MIN_CALL_S))

        try:
            self._pace.before_call(getattr(function, "__name__", ""), expect, is_cancel=is_cancel)
            expect()
            self._answered.clear()
            # What the call before was answered says nothing of this one, which may need no request at all.
            self._api.last_response_headers, self._api.last_json_response = None, {}
            answer = function(*args)
            if json and self._api.last_json_response is None:
                raise self._not_json()
            return answer
        except self._errors.BaseError as err:
            headers = self._api.last_response_headers or {}
            if ccxt_errors.may_be_of_clock(err):
                self._doubt_clock()
            raise ccxt_errors.translated(err, self._answers, headers, self._id) from err
        except SENSELESS as err:
            if self._api.last_json_response is None:  # ccxt took a page for what is in it
                raise self._not_json() from err
            what = secrecy.hide(f"{type(err).__name__}: {err}")
            raise UnclearError(f"cannot make sense of {self._id}'s answer: {what}") from err
        finally:
            self._on_call(0.0)
            used = self._answers.used_part(self._api.last_response_headers or {})
            if used is not None:
                self._pace.note_used(used)
