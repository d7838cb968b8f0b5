"""Translate ccxt's errors: refused by the exchange, or an outcome that is unknown."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from gridbot.exchanges import error_words
from gridbot.exchanges.answers import Answers
from gridbot.model.errors import (
    ExchangeError,
    NotFoundError,
    RejectedError,
    UnauthorizedError,
    UnreachableError,
)

# What exchanges say of a request whose time is too far from theirs.
OF_CLOCK = re.compile(r"time|expired|window|nonce|-1021", re.IGNORECASE)
UNTIL = re.compile(r"\buntil (\d{13})\b")
# How exchanges say that an order with that client id was there before, in words of their own: those are read
# without regard to case and to how a name is put together (client_order_id, clientOrderId).
CLIENT_ID = r"\bCL(IENT)? ?(ORD(ER)? ?)?(ID|INDEX)\b"
IS_THERE = (
    r"\b(DUPLICAT(ED?|ES|ION)|REPEATED|RE-?USED|ALREADY|IN USE|TAKEN|UNIQUE|BEEN USED"
    r"|(?<!NOT )(?<!N'T )EXIST(S|ED|ING)?)\b"
)
TAKEN = re.compile(
    rf'{CLIENT_ID}[^"]*{IS_THERE}|{IS_THERE}[^"]*{CLIENT_ID}'
    r"|\b(DUPLICATED?|REPEATED) ORDER\b|\bORDER (WAS )?ALREADY (EXISTS?|SENT|PLACED)\b"
)
# How proxies say that they have waited in vain for the exchange's answer, or that nobody waited for theirs.
UNANSWERED = (408, 444, 460, 499)
WORD_BEGINS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def translated(err: Exception, answers: Answers, headers: Mapping[str, Any], exchange: str) -> ExchangeError:
    """Translate ccxt's error. Only the exchange's own answer rejects; else the outcome is unknown."""
    (shown, code), text = error_words.of_error(err, exchange), error_words.without_query(str(err))
    errors = importlib.import_module("ccxt.base.errors")
    status = _http_status(err) or answers.own_status(text)
    own_cause, is_refused_order = answers.cause_of(text), answers.is_refused_order(text)
    is_limit = isinstance(err, errors.DDoSProtection | errors.RateLimitExceeded) and not is_refused_order
    if status in (418, 429) or is_limit:
        cause = "banned" if status == 418 else "rate_limited"
        return UnreachableError(shown, cause=cause, code=code, retry_after=_retry_after(headers, text))
    if status == 503 or isinstance(err, errors.OnMaintenance) or "MAINTENANCE" in text:
        after = _retry_after(headers, text)
        return UnreachableError(shown, cause="maintenance", code=code, retry_after=after)
    is_unauthorized = isinstance(err, errors.AuthenticationError) and not is_refused_order
    if is_unauthorized or status == 401 or own_cause == "unauthorized":
        return UnauthorizedError(shown, cause="unauthorized", code=code)
    is_answer = is_refused_order or isinstance(err, errors.ExchangeError)
    if not is_answer or not _has_refused(err, status):
        return UnreachableError(shown, cause="unreachable", code=code)
    # A client id that is taken leaves it open, too: each is given once, but may have been sent twice.
    words = rf"(?<![\w-])({'|'.join(answers.unknown_outcomes) or '(?!)'})\b"
    is_taken = isinstance(err, errors.DuplicateOrderId) or _says_taken(text)
    if is_taken or re.search(words, text):
        return UnreachableError(shown, cause="unreachable", code=code)
    if isinstance(err, errors.OrderNotFound) or answers.is_missing_order(text):
        return NotFoundError(shown, code=code)
    is_short_of_funds = isinstance(err, errors.InsufficientFunds)
    cause = own_cause or _cause_of_rejection(text, is_short_of_funds=is_short_of_funds)
    return RejectedError(shown, cause=cause, code=code)


def _says_taken(text: str) -> bool:
    """Tell whether the exchange's words say that the client id is another order's, or this one's already."""
    return TAKEN.search(WORD_BEGINS.sub(" ", text).upper().replace("_", " ")) is not None


def may_be_of_clock(err: Exception) -> bool:
    """Tell whether a request may have been refused for the time with which it was signed."""
    errors = importlib.import_module("ccxt.base.errors")
    of_keys = errors.AuthenticationError | errors.InvalidNonce
    return isinstance(err, of_keys) or (
        isinstance(err, errors.ExchangeError) and bool(OF_CLOCK.search(str(err)))
    )


def _has_refused(err: Exception, status: int | None) -> bool:
    """Tell whether the exchange itself has said no.

    ccxt has an error of the exchange, too, for what the HTTP client cannot read, as a redirection without an
    end or a body that cannot be decompressed; what was sent may have been carried out then.
    """
    if status is None:
        return not isinstance(err.__context__, OSError)  # the HTTP client's errors are
    return 400 <= status < 500 and status not in UNANSWERED


def _cause_of_rejection(text: str, *, is_short_of_funds: bool) -> str:
    if is_short_of_funds:
        return "insufficient_funds"
    if "FORBIDDEN" in text:
        return "unauthorized"
    if any(word in text.upper() for word in ("NOTIONAL", "MINIMUM", "BELOW_MIN", "TOO SMALL")):
        return "below_minimum"
    return "other"


def _retry_after(headers: Mapping[str, Any], text: str) -> float | None:
    """Return for how many seconds the exchange wants no request, None where it doesn't say.

    The header has seconds or a date; Aster's words have the end of a ban in milliseconds.
    """
    value = str(headers.get("Retry-After") or "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        until = UNTIL.search(text)
    return max(int(until[1]) / 1000 - time.time(), 0.0) if until else None


def _http_status(err: BaseException | None) -> int | None:
    while err is not None:
        response = getattr(err, "response", None)
        if response is not None:
            return int(response.status_code)
        err = err.__context__
    return None
