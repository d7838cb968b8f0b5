"""Check by known answers, without what they tell or about something else, that unknown is not read as zero.

An answer without a list is no empty list, one without an id gives none, and one about another order or market
says nothing of what was asked. A value that is left out is neither 0 nor another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gridbot.exchanges.known_exchange import KnownExchange
from gridbot.exchanges.values import decimal
from gridbot.model.types import ExchangeOrder

ANOTHER_ORDER = {"client_id": 7007, "exchange_id": "4707"}
ANOTHER_MARKET = {"id": "97", "id2": "97", "symbol": "OTHER/USDC:USDC"}
EMPTY = "without a list"
# A call -> what may be left out of its answer.
LEFT_OUT: Mapping[str, Sequence[str]] = {
    "fills": ("exchange_id", "side", "price", "qty"),
    "open_orders": ("side", "filled"),
    "find": ("side", "filled", "exchange_id"),
    "position": ("net",),
    "holdings": ("held",),
    "held": ("held",),
    "price": ("price",),
}
# How exchanges say a side.
SIDES = {"buy": ("buy", "bid"), "sell": ("sell", "ask")}


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
        for name, changed in _lacking(case):
            try:
                rows = reader.read(changed)
            except Exception:  # noqa: BLE001
                continue
            if len(rows) != len(case["must"]):
                return f"{case['answer']}: {len(rows)} rows where {name} is left out of {len(case['must'])}"
            for row, must in zip(rows, case["must"], strict=True):
                if (value := _wrongly_told(row, name, must[name])) is not None:
                    return f"{case['answer']}: {name} is {value} although it is left out"
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


def _lacking(case: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a name, and the case without what says the rows' values of that name."""
    for name in () if case.get("refused") or not case.get("given") else LEFT_OUT.get(case["call"], ()):
        given = _emptied(case["given"], *_said(case["must"], name))
        is_told = all(must is not None and name in must for must in case["must"])
        if (
            is_told and given != case["given"]
        ):  # some say it in a way of their own, such as whether it is a sale
            yield name, {**case, "given": given}


def _said(must: Sequence[Mapping[str, Any]], name: str) -> tuple[set[str], set[Decimal]]:
    """Return by which words and numbers an answer says the rows' values of that name."""
    words, numbers = set[str](), set[Decimal | None]()
    for row in must:
        value = (row or {}).get(name)
        words.update(SIDES.get(str(value), ()))
        number = decimal(value)
        numbers.add(None if number is None else abs(number))
        if row and name == "filled" and number is not None and "qty" in row:  # some say what remains
            numbers.add(Decimal(row["qty"]) - number)
    return words, {number for number in numbers if number is not None}


def _emptied(answer: Any, words: set[str], numbers: set[Decimal]) -> Any:
    """Return the answer with null for each of these words and numbers."""
    if isinstance(answer, dict):
        return {key: _emptied(value, words, numbers) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_emptied(value, words, numbers) for value in answer]
    if isinstance(answer, bool):
        return answer
    number = decimal(answer)
    is_said = str(answer).lower() in words or (number is not None and abs(number) in numbers)
    return None if is_said else answer


def _says_something(call: str, row: Any) -> bool:
    if call in ("place", "close"):
        return row["id"] is not None
    return call != "find" or isinstance(row, ExchangeOrder)


def _wrongly_told(row: Any, name: str, expected: Any) -> Any:
    """Return what a row says in place of what is left out, None for nothing, or the same from other fields.

    In place of a mark price a last one is right, as long as it is not taken for firm. An order whose row
    cannot be read is not missing.
    """
    if row is None:
        return "that there is none"
    value = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
    if name == "price" and isinstance(row, dict) and value and not row["is_firm"]:
        return None
    number = decimal(value)
    is_same = value == expected or (number is not None and number == decimal(expected))
    return None if is_same else value
