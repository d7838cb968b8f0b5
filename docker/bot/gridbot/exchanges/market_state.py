"""Tell whether a market takes orders, by what its exchange calls its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# The key of each exchange's answer, and the words for a market that takes orders. Any other word is none.
# docs.backpack.exchange, "OrderBookState", 2025-11-12; github.com/asterdex/api-docs, V3 of futures and spot,
# "Symbol status", 2026-06-30; openapi.json of github.com/elliottech/lighter-python at commit 051d1ba.
WORDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "backpack": ("orderBookState", frozenset({"Open", "PostOnly", "LimitOnly"})),
    "aster": ("status", frozenset({"TRADING"})),
    "lighter": ("status", frozenset({"active"})),
}
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
        return MarketState(word in open_words, word) if isinstance(word, str) and word else UNKNOWN_STATE
    switches = {name: info.get(name) for name in SWITCHES.get(exchange_id, ())}
    closed = next((name for name, value in switches.items() if value is False), None)
    if closed is not None:
        return MarketState(False, f"{closed} is false")
    is_said = bool(switches) and all(value is True for value in switches.values())
    return MarketState(True if is_said else None)
