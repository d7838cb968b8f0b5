"""Closing on each exchange's own shapes: what the engine has left is closed once, and no order rests."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.closing import CcxtClosing
from gridbot.store.ledger import closing_side
from gridbot.trading.close import Closer
from gridbot.trading.closed import Terms
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster
from tests.bot.kits.backpack import Backpack
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

# The word of each exchange for an order that is filled at once or cancelled.
IMMEDIATE = {
    Apex: '"timeInForce": "IMMEDIATE_OR_CANCEL"',
    Aster: '"timeInForce": "IOC"',
    Backpack: '"timeInForce": "IOC"',
    Lighter: '"time_in_force": 0',
    Paradex: '"instruction": "IOC"',
}
REDUCE_ONLY = ('"reduceOnly": true', '"reduceOnly": "true"', '"reduce_only": 1', "REDUCE_ONLY")

# One order may be of less than what is held.
SMALL_ORDERS = "small orders"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        # Each exchange without a fault, and each fault at the one that gives an order no id, come first.
        pytest.param(fault, kind, marks=[pytest.mark.long_form] if fault and kind is not Lighter else [])
        for fault in (None, "answer lost", "request lost", SMALL_ORDERS)
        for kind in IMMEDIATE
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_the_engine_has_left_is_closed_once(kind: type[Kit], fault: str | None, tmp_path: Path) -> None:
    kit = kind()
    run = Run(kit, tmp_path)
    run.walk(5)
    for ticks in (*[1] * 60, *[10] * 60):  # each begins in the middle of the range: short ones fill little
        if abs(kit.book.position()) >= Decimal("0.3"):
            break
        run.walk(ticks)
    run.tick()
    for order in kit.book.own_open():
        kit.book.cancel(order.id)
    run.tick(61.0)
    for order in kit.book.own_open():
        kit.book.cancel(order.id)
    carried_out, sent = kit.answer, list[str]()

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        if kit.is_write(path, method):
            sent.append(json.dumps(params).replace('\\"', '"'))
        return carried_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    kit.adapter.__class__ = CcxtClosing
    assert isinstance(kit.adapter, CcxtClosing)
    kit.fault = fault
    if fault == SMALL_ORDERS:
        kit.book.most = Decimal("0.1")
        kit.adapter._loaded()["limits"]["amount"]["max"] = 0.1
    closer = Closer(kit.settings, run.store, kit.adapter, 60.0, sleep=lambda _seconds: None)
    position = kit.book.position()
    look = closer.look(Decimal("0.01"))
    side = closing_side(position)
    assert (look["side"], sent) == (side.value, [])
    closed = closer.close(Terms(side, abs(position), closer._bound(kit.book.price, side, Decimal("0.01"))))
    assert (closed.why, closed.qty) == (None, abs(position))
    assert closed.position == 0
    assert kit.book.position() == run.store.ledger.position == 0
    assert kit.book.violations == []
    assert len(sent) >= 3 or fault != SMALL_ORDERS
    assert all(IMMEDIATE[kind] in request for request in sent), sent
    assert all(any(word in request for word in REDUCE_ONLY) for request in sent), sent
    run.store.close()
