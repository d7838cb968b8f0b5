"""Check by known answers, without what they tell or about something else, that unknown is not read as zero.

An answer without a list is no empty list, one without an id gives none, and one about another order or market
says nothing of what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gridbot.exchanges.known_exchange import KnownExchange
from gridbot.model.types import ExchangeOrder

ANOTHER_ORDER = {"client_id": 7007, "exchange_id": "4707"}
ANOTHER_MARKET = {"id": "97", "id2": "97", "symbol": "OTHER/USDC:USDC"}
EMPTY = "without a list"


def difference(reader: KnownExchange, cases: Sequence[Mapping[str, Any]]) -> str | None:
    """Return which answer is first taken for what it is not, None where none is."""
    for case in cases:
        for what, changed in _changed(case):
            try:
                rows = reader.read(changed)
            except Exception:  # noqa: BLE001 - whatever is raised, it is not taken for an answer
                continue
            is_empty = what == EMPTY and not rows
            if is_empty or any(_says_something(case["call"], row) for row in rows):
                return f"{case['answer']}: taken for one although it is {what}"
    return None


def _changed(case: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what is changed in a case, and the case that it becomes; none of a refusal, and of most calls."""
    call = case["call"]
    if case.get("refused") or not case.get("given"):
        return
    without = {**case, "given": {path: {} for path in case["given"]}}
    if call in ("open_orders", "fills"):
        yield EMPTY, without
        yield "of another market", {**case, "market": ANOTHER_MARKET}
    if call in ("place", "close"):
        yield "without an id", without
    if call in ("place", "close", "find") and len(case["orders"]) == 1:
        order = case["orders"][0]
        another = {name: value for name, value in ANOTHER_ORDER.items() if name in order}
        yield "of another order", {**case, "orders": [{**order, **another}]}


def _says_something(call: str, row: Any) -> bool:
    if call in ("place", "close"):
        return row["id"] is not None
    return call != "find" or isinstance(row, ExchangeOrder)
