"""Translate why an image's program does not say which orders are open, by the code that it prints. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from manager.fleet import closing_messages, condition_messages
from manager.i18n import Text, mark

NOT_SAID = "orders_not_said"
SENTENCES: Mapping[str, str] = {
    NOT_SAID: mark("{exchange} does not say which orders are open: {error}"),
    "whose_unknown": mark(
        "{count} orders are open on {symbol}; whose they are cannot be told: {path}: {error}"
    ),
    "orders_of_other_market": mark("orders of an earlier run may be open on {identity}, which is not asked"),
    "orders_of_paper": mark("TRADING_MODE: in paper mode no exchange has orders"),
}


def why_not(answer: str) -> Text | None:
    """Return the sentence of what the program has printed; None without a code that is known here."""
    try:
        parsed: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    text = closing_messages.sentence(parsed, SENTENCES) if isinstance(parsed, dict) else None
    return _with_cause(text, str(text.params.get("cause"))) if text and parsed["code"] == NOT_SAID else text


def _with_cause(text: Text, cause: str) -> Text:
    """Return the same with what has kept the answer away, where that is known."""
    template = condition_messages.SENTENCES.get(("exchange_away", cause))
    if template is None:
        return text
    why = Text(template, error=text.params["error"])
    if "{error}" in template:
        return Text("{exchange} does not say which orders are open: {why}", **{**text.params, "why": why})
    return Text(
        "{exchange} does not say which orders are open: {why} ({error})", **{**text.params, "why": why}
    )
