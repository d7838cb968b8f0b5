"""Say what a failed call was about, for people: the exchange's own words, or what the network did.

ccxt puts the exchange's whole answer behind its name, or, where none came, only the request's address. Ids of
requests, accounts and orders are left out: they differ each time, and tell a reader nothing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gridbot.runtime import secrecy

LONGEST = 300
# A page of an exchange's firewall may be of any length.
MOST_READ = 20_000

QUERY = re.compile(r"(?<=[\w/])\?[^\s\"'<>]*=[^\s\"'<>]*")
REQUEST = re.compile(r"^\w+ (?P<call>(?:GET|POST|PUT|PATCH|DELETE) \S+)(?: (?P<rest>\d{3}.*))?$", re.DOTALL)
UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
ID = r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]{16,}|(?=[0-9a-f]*\d)[0-9a-f]{12,})"
NAMED = "request|req|trace|ray|reference|correlation|error|cf-ray|account|order|user"
NAMED_ID = re.compile(
    rf"[\s,;.(\[|-]*\b(?:(?:{NAMED})[\s_-]*)id\b[\s:=#\"]*(?:{ID}|[\w-]*\d[\w-]*)[)\]]?",
    re.IGNORECASE,
)
BEFORE_SIGN = re.compile(r" ([,;.)])(?= |$)")
BARE_ID = re.compile(rf"(?<![\w.])(?:{ID}|\d{{10,}})(?![\w]|\.\d)", re.IGNORECASE)

MESSAGE_KEYS = ("message", "msg", "error_message", "errorMessage", "detail", "description", "reason")
CODE_KEYS = ("code", "error_code", "errorCode", "error")
INNER_KEYS = ("error", "data", "errors", "result")

NETWORK: Mapping[str, str] = {
    "ConnectTimeout": "no connection in time",
    "ConnectTimeoutError": "no connection in time",
    "Timeout": "no answer in time",
    "ReadTimeout": "no answer in time",
    "ReadTimeoutError": "no answer in time",
    "ConnectionRefusedError": "the connection is refused",
    "gaierror": "its name cannot be resolved",
    "NameResolutionError": "its name cannot be resolved",
    "SSLCertVerificationError": "its certificate is not accepted",
    "ProxyError": "the proxy does not work",
    "SSLError": "no encrypted connection",
    "RemoteDisconnected": "the connection was closed without an answer",
    "ConnectionResetError": "the connection was closed without an answer",
    "ConnectionAbortedError": "the connection was closed without an answer",
    "ChunkedEncodingError": "the connection was closed within the answer",
    "IncompleteRead": "the connection was closed within the answer",
    "TooManyRedirects": "the address redirects without end",
}
"""Names of exceptions -> what has happened. The innermost that is known tells most."""
UNREACHED: Mapping[int, str] = {101: "the network cannot be reached", 113: "there is no way to its address"}
"""Numbers of the system's errors -> the same."""


class Words(NamedTuple):
    """Hold what to show, and the exchange's own code where it says one."""

    text: str
    code: str | None = None


def of_error(err: BaseException, exchange: str) -> Words:
    """Return what an error of ccxt is about: what the exchange says, else what the network did."""
    message = _one_line(str(err))
    request = REQUEST.match(message)
    if request is None:
        body = message.removeprefix(exchange).strip()
        words = _of_answer(body)
        return words._replace(text=_cut(f"{exchange}: {words.text}" if words.text else exchange))
    call, rest = without_query(request["call"]), request["rest"]
    if rest:
        words = _of_answer(rest)
        return words._replace(text=_cut(f"{exchange}: {words.text}", f" ({call})"))
    return Words(_cut(f"{exchange}: {network_fault(err) or 'no answer'}", f" ({call})"))


def of_body(body: str) -> str:
    """Return the words of an answer's body in one line, for people; "" where it has none."""
    return _cut(plain(_one_line(body)))


def without_query(text: str) -> str:
    """Return a text without the queries of addresses, which hold nothing but parameters and the signature."""
    return QUERY.sub("", _one_line(text))


def _one_line(text: str) -> str:
    return secrecy.hide(" ".join(text[:MOST_READ].split()))


def network_fault(err: BaseException) -> str | None:
    """Return what kept an answer away, by the errors that led to this one; None where they don't tell."""
    words = None
    for cause in _chain(err):
        words = (
            UNREACHED.get(getattr(cause, "errno", None) or 0) or NETWORK.get(type(cause).__name__) or words
        )
    return words


def _chain(err: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = err.__context__
    while cause is not None:
        yield cause
        cause = cause.__context__


def _of_answer(body: str) -> Words:
    """Return the words of an exchange's answer: the message of its JSON with the code, else its text."""
    before, brace, _rest = body.partition("{")
    answer = _parsed(body[len(before) :]) if brace else None
    if answer is None:
        return Words(plain(body))
    message, code = _message(answer), _code(answer)
    if not message:
        return Words(plain(body), code)
    text = plain(message)
    shown = f"{plain(before)}: {text}" if plain(before) else text
    is_told = code is None or code in text
    return Words(shown if is_told else f"{shown.rstrip('.')} ({code})", code)


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        answer, _end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, Mapping) else None


def _levels(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the answer, and what lies one level within it."""
    yield answer
    for key in INNER_KEYS:
        inner = answer.get(key)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, Mapping):
            yield inner


def _message(answer: Mapping[str, Any]) -> str | None:
    for level in _levels(answer):
        for key in (*MESSAGE_KEYS, "error"):
            value = level.get(key)
            if isinstance(value, str) and value.strip():
                return value
    return None


def _code(answer: Mapping[str, Any]) -> str | None:
    for level in _levels(answer):
        for key in CODE_KEYS:
            value = level.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 80:
                return plain(str(value)) or None
    return None


def plain(text: str) -> str:
    """Return a text without markup, ids and the run's credentials, in one line."""
    shown = secrecy.hide(QUERY.sub("", html.unescape(TAG.sub(" ", UNSEEN.sub(" ", text)))))
    shown = BARE_ID.sub("…", NAMED_ID.sub("", shown))
    return BEFORE_SIGN.sub(r"\1", " ".join(shown.split())).strip(" ,;")


def _cut(text: str, end: str = "") -> str:
    """Return a text of bearable length, with its end whole where that is short."""
    room = LONGEST - len(end)
    if room < LONGEST // 2:
        return (text + end)[:LONGEST]
    return (text if len(text) <= room else text[: room - 1] + "…") + end
