"""Tell whether a market takes orders, by what its exchange calls its state. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# The key of each exchange's answer, and the words for a market that takes orders, in lower case.
# docs.backpack.exchange, "OrderBookState", 2025-11-12; github.com/asterdex/api-docs, V3 of futures and spot,
# "Symbol status", 2026-06-30; openapi.json of github.com/elliottech/lighter-python at commit 051d1ba.
WORDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "backpack": ("orderBookState", frozenset({"open", "postonly", "limitonly"})),
    "aster": ("status", frozenset({"trading"})),
    "lighter": ("status", frozenset({"active"})),
}
# A market that takes none is called so, at one of them or at another exchange. A word that is not known here
# may be new, and stand for a market that is traded on.
CLOSED = re.compile(
    r"close|cancel_?only|inactive|halt|break|suspend|pause|stop|settl|deliver|delist|expire|pre_?trading"
    r"|post_?trading|reduce_?only|end_?of_?day|pending|disabled|frozen|maintenance"
)
# Known from ccxt's parser and from recorded answers only: apex publishes no document that could be read.
SWITCHES: Mapping[str, tuple[str, ...]] = {"apex": ("enableTrade", "enableOpenPosition")}


class MarketState(NamedTuple):
    """Hold whether a market takes orders, None where the exchange does not say it, and its word for that."""

    is_open: bool | None = None
    word: str = ""


UNKNOWN_STATE = MarketState()


def read_state(exchange_id: str, info: Any) -> MarketState:
    """Return the state that the exchange's own description of the market has."""
    if not isinstance(info, Mapping):
        return UNKNOWN_STATE
    if exchange_id in WORDS:
        key, open_words = WORDS[exchange_id]
        word = info.get(key)
        return _read_word(word, open_words) if isinstance(word, str) else UNKNOWN_STATE
    switches = {name: info.get(name) for name in SWITCHES.get(exchange_id, ())}
    closed = next((name for name, value in switches.items() if value is False), None)
    if closed is not None:
        return MarketState(False, f"{closed} is false")
    is_said = bool(switches) and all(value is True for value in switches.values())
    return MarketState(True if is_said else None)


def _read_word(word: str, open_words: frozenset[str]) -> MarketState:
    plain = word.strip().lower()
    if plain in open_words:
        return MarketState(True, word)
    return MarketState(False if CLOSED.search(plain) else None, word)
