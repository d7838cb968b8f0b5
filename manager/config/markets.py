"""Know which spellings of a symbol are one market, at the exchanges of the bundled bot. Pure.

The bot finds a market by its id, by ccxt's symbol, and as the old system wrote it (docs/exchanges.md).
"""

import re
from collections.abc import Sequence

from manager.config.exchanges import EXCHANGES

QUOTES = ("USDT", "USDC", "USDE", "USD1", "USD")
"""What a symbol without a separator may end in, as in the bot."""
WORD = re.compile(r"[A-Z0-9]+")


def kind_traded(market_type: str, strategy: str) -> str:
    """Return what the bundled bot trades by these words of a config."""
    return "perp" if strategy == "perp_grid" else market_type


def is_same(exchange: str, symbol: str, kind: str, other_symbol: str, other_kind: str) -> bool:
    """Return whether two symbols of one exchange are written alike, or are certainly one market.

    `kind`: what the bot trades, spot or perp; empty where it is not known.
    """
    if symbol.lower() == other_symbol.lower():
        return True
    market = _market(exchange.lower(), symbol, kind)
    return market is not None and market == _market(exchange.lower(), other_symbol, other_kind)


def base_of(symbol: str) -> str:
    """Return the currency that a symbol begins with: two symbols of one market have the same."""
    words = WORD.findall(symbol.upper())
    return _split(words)[0] if words else symbol


def _market(exchange: str, symbol: str, kind: str) -> tuple[str, str, str] | None:
    """Return base, quote and kind; None where the symbol doesn't say them for certain."""
    words = WORD.findall(symbol.upper())
    if exchange not in EXCHANGES or not words or symbol.isdigit():
        return None
    base, quote = _split(words)
    quote = quote or EXCHANGES[exchange].quote
    spelled = _spelled_kind(exchange, symbol.upper()) or kind
    return (base, quote, spelled) if spelled else None


def _spelled_kind(exchange: str, symbol: str) -> str:
    if symbol.endswith("PERP") or ":" in symbol:
        return "perp"
    if "/" in symbol:
        return "spot"
    # Backpack's own ids of spot markets; of the others but aster only perpetuals are traded.
    if exchange == "backpack":
        return "spot" if "_" in symbol else ""
    return "" if exchange == "aster" else "perp"


def _split(words: Sequence[str]) -> tuple[str, str]:
    """Return base and quote of a symbol's words, the quote empty where it has none.

    The currency of SUSD-USDC ends in a quote's name, and is no pair of its own.
    """
    others = [word for word in words[1:] if word != "PERP"]
    return (words[0], others[0]) if others else _without_quote(words[0])


def _without_quote(word: str) -> tuple[str, str]:
    """Return base and quote of a word such as SOLUSDT, the quote empty where it has none."""
    if word.endswith("PERP") and word != "PERP":
        word = word.removesuffix("PERP")
    quote = next((one for one in QUOTES if word.endswith(one) and word != one), "")
    return word.removesuffix(quote), quote
