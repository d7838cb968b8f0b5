"""Orders that were accepted without an id, and that no list of open orders shows as they are: lighter's next
order stands there only once the one before is cancelled.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.condition import Code
from tests.bot.kits.apex import Apex
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_senseless_values_kits import FILLED, QUANTITY, changed, each_kit, spoil

D = Decimal
ACTIVE = ("accountActiveOrders",)
SENT = ("size", "origQty", "quantity", "initial_base_amount")
HOW_MUCH = (*FILLED, *QUANTITY, "remaining_size", "remainingSize")


@pytest.mark.parametrize(
    ("name", "value"), [("orders", []), ("price", 1e30), ("is_ask", 0), ("market_index", -1)]
)
def test_an_accepted_order_is_cancelled_before_another_takes_its_place(
    name: str, value: Any, tmp_path: Path
) -> None:
    kit = Lighter()
    whole = kit.answer
    run = Run(kit, tmp_path)
    spoil(kit, ACTIVE, (name,), value)
    run.walk(40)  # each of which fails where two of a slot rest
    assert kit.book.own_open()
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)


@pytest.mark.parametrize("kind", [Lighter, Paradex], ids=lambda kind: kind.__name__)
def test_a_number_beyond_all_that_is_traded_ends_no_bot(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    whole = kit.answer
    run = Run(kit, tmp_path)
    run.walk(8)
    spoil(kit, ("orders", "accountInactiveOrders", "fills", "trades"), ("size", "filled_base_amount"), 1e30)
    run.walk(25)
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)


@each_kit
def test_an_order_of_another_quantity_than_was_sent_does_not_say_what_it_has_filled(
    kind: type[Kit], tmp_path: Path
) -> None:
    """What is filled may be told as the quantity less the rest: executions count, and the limit holds."""
    kit = kind(seed=547)
    whole = kit.answer

    def with_another(answer: Any) -> Any:
        if isinstance(answer, list):
            return [with_another(one) for one in answer]
        if not isinstance(answer, dict):
            return answer
        return {key: f"{one}9" if key in SENT else with_another(one) for key, one in answer.items()}

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = whole(path, method, params)
        return with_another(reply) if method == "GET" and "rder" in path and "fill" not in path else reply

    kit.answer = answer  # type: ignore[method-assign]
    run = Run(kit, tmp_path)
    run.walk(33)
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)


@pytest.mark.parametrize("kind", [Apex, Backpack, BackpackSpot, Paradex], ids=lambda kind: kind.__name__)
def test_a_bot_of_whose_orders_nothing_is_known_says_so(kind: type[Kit], tmp_path: Path) -> None:
    """Neither they nor their executions say how much: it placed nothing more, as a bot that trades."""
    kit = kind()
    whole = kit.answer
    run = Run(kit, tmp_path)
    run.walk(8)

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = whole(path, method, params)
        return changed(copy.deepcopy(reply), HOW_MUCH, None) if "rder" in path or "fill" in path else reply

    kit.answer = answer  # type: ignore[method-assign]
    kit.book.move(D(142))
    kit.book.move(D(158))
    run.tick(15.0)
    assert run.engine.condition().code is Code.TRADING, "what is listed late is waited for"
    for _ in range(20):
        run.tick(15.0)
    assert kit.book.own_open() == []
    condition = run.engine.condition()
    assert (condition.code, condition.params["cause"]) == (Code.LEDGER_DIFFERS, "unknown_orders")
    assert "have filled is unknown: nothing is placed at their levels" in str(condition.reason)
    kit.answer = whole  # type: ignore[method-assign]
    run.tick(15.0)
    assert run.engine.condition().code is Code.TRADING
    run.end(fees_are_known=False)
