"""Orders that were accepted without an id, and that no list of open orders shows as they are: lighter's next
order stands there only once the one before is cancelled.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_senseless_values_kits import spoil

D = Decimal
ACTIVE = ("accountActiveOrders",)


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


def test_a_fill_of_an_order_that_was_refused_in_unknown_words_is_booked(tmp_path: Path) -> None:
    """Although nothing else of that run was filled or cancelled: then no execution was read."""
    kit = Lighter(seed=432)
    whole = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = whole(path, method, params)
        return {**reply, "code": "-1"} if path == "sendTx" else reply

    kit.answer = answer  # type: ignore[method-assign]
    run = Run(kit, tmp_path)
    run.walk(8)
    run.walk(25)
    assert kit.book.position() != 0
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
