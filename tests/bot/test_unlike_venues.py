"""Venues that say the same in other forms than the kits, several of them at once, under the real engine.

Not what an exchange documents, but what one may answer some day. Whatever is not known then, no level is
doubled, max_position holds, the record agrees with the account, and a stop leaves nothing.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.trading.cancel import cancel_own_orders
from tests import cases
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import TICK_S, Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

KITS = (Backpack, BackpackSpot, Aster, AsterSpot, Paradex, Lighter, Apex)
TICKS = 200 if cases.is_long else 30
IDS = re.compile(r"(^|_)id$|Id$|(?<!market)_index$")
TIMES = re.compile(r"time|_at$|At$", re.IGNORECASE)
Change = Callable[[Kit, str, str, Any], Any]


def every_value(change: Callable[[str | None, Any], Any]) -> Change:
    """Return a change of each value of an answer, which is told its key."""

    def walk(value: Any, key: str | None = None) -> Any:
        if isinstance(value, dict):
            return {name: walk(one, name) for name, one in value.items()}
        return [walk(one, key) for one in value] if isinstance(value, list) else change(key, value)

    return lambda _kit, _path, _method, answer: walk(answer)


def _other_id(key: str | None, value: Any) -> Any:
    if key is None or not IDS.search(key) or key == "market_id" or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _as_float(key: str | None, value: Any) -> Any:
    is_number = isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)
    return float(value) if is_number and not IDS.search(key or "") else value


def _with_exponent(key: str | None, value: Any) -> Any:
    is_number = isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)
    return f"{Decimal(value):.12E}" if is_number and not IDS.search(key or "") else value


def _in_capitals(key: str | None, value: Any) -> Any:
    return value.upper() if key == "status" and isinstance(value, str) else value


def _in_micros(key: str | None, value: Any) -> Any:
    is_millis = isinstance(value, int) and value > 10**12 and TIMES.search(key or "")
    return value * 1000 if is_millis else value


def behind(name: str, seconds: float) -> Change:
    """Return a change of one list to what it was so long ago."""
    history: list[tuple[float, Any]] = []

    def change(kit: Kit, path: str, method: str, answer: Any) -> Any:
        if method != "GET" or not path.endswith(kit.paths[name]):
            return answer
        history.append((kit.now, copy.deepcopy(answer)))
        while len(history) > 1 and history[1][0] <= kit.now - seconds:
            history.pop(0)
        return history[0][1]

    return change


def without_a_value(name: str) -> Change:
    """Return a change of one value, another one each time, of one list to None."""

    def change(kit: Kit, path: str, method: str, answer: Any) -> Any:
        if method != "GET" or not path.endswith(kit.paths[name]):
            return answer
        answer = copy.deepcopy(answer)
        if rows := _rows(answer):
            row = kit.random.choice(rows)
            row[kit.random.choice(list(row))] = None
        return answer

    return change


def _rows(answer: Any) -> list[dict[str, Any]]:
    if isinstance(answer, list):
        return [row for row in answer if isinstance(row, dict)]
    inner = answer.values() if isinstance(answer, dict) else ()
    return [row for one in inner if isinstance(one, list | dict) for row in _rows(one)]


def ends_orders(kit: Kit) -> None:
    """Let the venue end some orders that are filled in part, and a few others."""
    move = kit.book.move

    def carry_out(price: Decimal) -> None:
        move(price)
        for order in kit.book.own_open():
            if kit.random.random() < (0.3 if order.filled else 0.01):
                order.status = "Cancelled"

    kit.book.move = carry_out  # type: ignore[method-assign]


def ends_post_only(kit: Kit) -> None:
    """Let some post-only orders be accepted and ended at once, as the market has just come to them."""
    place = kit.book.place

    def carry_out(side: str, kind: str, price: Any, qty: Decimal, client_id: Any = None, **how: Any) -> Any:
        order = place(side, kind, price, qty, client_id, **how)
        if order.post_only and kit.random.random() < 0.2:
            order.status = "Cancelled"
        return order

    kit.book.place = carry_out  # type: ignore[method-assign]


VENUES: dict[str, Callable[[], tuple[Sequence[Change], Sequence[Callable[[Kit], None]], str | None]]] = {
    "ids and numbers in the other form, orders 3 s behind, orders end": lambda: (
        (every_value(_other_id), every_value(_as_float), behind("orders", 3.0)),
        (ends_orders,),
        "out of order",
    ),
    "exponents, microseconds, capitals, positions 30 s behind, post-only orders end": lambda: (
        *(
            (
                every_value(_with_exponent),
                every_value(_in_micros),
                every_value(_in_capitals),
                behind("positions", 30.0),
            ),
        ),
        *((ends_post_only,), "duplicates"),
    ),
    "one value is missing in each list, executions come late": lambda: (
        *(tuple(without_a_value(name) for name in ("orders", "executions")), (ends_orders,), "late fills"),
    ),
}


SHORT = list(zip((Aster, Lighter, Apex), VENUES, strict=True))


@pytest.mark.parametrize(("kind", "venue"), list(itertools.product(KITS, VENUES)) if cases.is_long else SHORT)
def test_account_and_record_agree_on_a_venue_of_other_forms(
    kind: type[Kit], venue: str, tmp_path: Path
) -> None:
    changes, habits, fault = VENUES[venue]()
    kit = kind(lot=Decimal("0.01"))
    kit.book.partial_fills, kit.fault = 0.5, fault
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        result = carry_out(path, method, params)
        for change in changes:
            result = change(kit, path, method, result)
        return result

    kit.answer = answer  # type: ignore[method-assign]
    for habit in habits:
        habit(kit)
    run = Run(kit, tmp_path)
    run.walk(TICKS)
    kit.fault = None
    for after in (TICK_S, 20.0, 61.0, TICK_S, TICK_S):
        run.tick(after)
    assert len(kit.book.fills) > 2
    kit.answer = carry_out  # type: ignore[method-assign]
    for after in (TICK_S, 61.0, TICK_S):
        run.tick(after)
    assert run.store.ledger.position == kit.book.position()
    assert cancel_own_orders(run.store, kit.adapter, run.market, 10.0) == (0, True)
    assert kit.book.open_orders() == kit.others
    run.store.close()
