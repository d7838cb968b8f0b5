"""Translate why a position is not closed, by the code that the image's program prints. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from manager.i18n import Text, mark
from manager.util.sanitize import replace_unprintable

MOST_WORDS = 300
SENTENCES: Mapping[str, str] = {
    "never_traded": mark("this bot has never traded, so nothing is its own"),
    "other_market": mark("its last run traded on {last}, and this is {now}"),
    "no_record": mark("whose the position is cannot be told: there is no {path}"),
    "bought_on_spot": mark("its record is {position}: nothing is bought on spot"),
    "differ": mark(
        "record and account differ: this bot's trades make {own} {base}, the account holds {account}"
    ),
    "differ_beside_others": mark(
        "record and account differ: this bot's trades make {own} {base}, the account holds {account}, of"
        " which {others} is others'"
    ),
    "not_reducible": mark(
        "this bot holds {own} and the account as a whole {account}, which no reduce-only order can be reduced"
        " by that"
    ),
    "not_said": mark("{exchange} does not say what the account holds"),
    "orders_open": mark("{exchange} has {count} open orders of this bot"),
    "orders_unknown": mark("{exchange}: what became of its orders is not known: {error}"),
    "no_price": mark("{exchange} gives neither a mark price nor both sides of the book"),
    "order_refused": mark("{exchange} refuses the order: {error}"),
    "other_side": mark("it holds {position} now, which {side} does not close"),
    "more_than_agreed": mark("it holds more than the {most} that were agreed to"),
    "book_empty": mark("the book gives no more at {price} or better"),
    "too_slow": mark("not done within {seconds} s"),
    "kit_not_green": mark(
        "live trading on {exchange} {kind} is refused: its conformance kit is not green; close it at the"
        " exchange"
    ),
    "read_wrongly": mark(
        "live trading on {exchange} {kind} is refused: with ccxt {version} this bot reads a known answer"
        " wrongly: {what}; build the image anew (manager build)"
    ),
    "known_answers_damaged": mark(
        "live trading on {exchange} {kind} is refused: the known answers of the bot, {file}, are damaged"
        " ({what}); build the image anew (manager build)"
    ),
    "not_in_ccxt": mark(
        "live trading on {exchange} {kind} is refused: ccxt {version} does not have this exchange; build the"
        " image anew (manager build)"
    ),
    "signing_library": mark(
        "live trading on {exchange} needs its signing library ({what}); docs/exchanges.md (Signing libraries)"
        " says how it gets into the image"
    ),
    "unverified": mark(
        "live trading on {exchange} {kind} is refused: {what} unverified; if you accept that, write it in"
        " config/fleet.toml (accept_unverified)"
    ),
}


# What a bot that was only asked is refused for; the rest is the same.
OF_PREFLIGHT: Mapping[str, str] = {
    **{
        code: SENTENCES[code]
        for code in ("read_wrongly", "known_answers_damaged", "not_in_ccxt", "unverified", "signing_library")
    },
    "kit_not_green": mark(
        "live trading on {exchange} {kind} is refused: its conformance kit is not green; set mode to paper"
    ),
}


def reason(answer: str, sentences: Mapping[str, str] = SENTENCES) -> Text | None:
    """Return why a program has refused, by the code that it printed; None from one that has no codes."""
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return sentence(parsed, sentences) if isinstance(parsed, dict) else None


def sentence(answer: Mapping[str, Any], sentences: Mapping[str, str] = SENTENCES) -> Text | None:
    """Return the sentence of an answer's `code` and `params`; None without a code that is known here."""
    code, params = answer.get("code"), answer.get("params")
    template = sentences.get(code) if isinstance(code, str) else None
    if template is None or not isinstance(params, Mapping):
        return None
    shown: dict[str, object] = {
        str(name): replace_unprintable(str(value))[:MOST_WORDS] for name, value in params.items()
    }
    if shown.get("count") == "1":
        shown["count"] = 1  # for the singular
    text = Text(template, **shown)
    try:
        str(text)
    except (KeyError, IndexError, ValueError):  # a parameter is missing: the program's own words say it all
        return None
    return text
