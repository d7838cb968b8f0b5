"""What an answer does not say is unknown: read as zero, as an id or as this order's, it refuses live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gridbot.exchanges import answer_check, unknown_answers
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.known_exchange import KnownExchange
from tests.bot.test_answer_check import MARKETS, settings_of
from tests.bot.test_known_calls import Market, require_refused

WITHOUT_IDS = "lighter"  # its answer to a new order has none, and is about none


@pytest.mark.parametrize("market", MARKETS)
def test_an_answer_without_a_list_that_is_taken_for_an_empty_one_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = READERS[market[0]].rows
    monkeypatch.setattr(READERS[market[0]], "rows", lambda *of: own(*of) or [])
    require_refused(market, "executions: taken for one although it is without a list")


@pytest.mark.parametrize("market", MARKETS)
def test_rows_of_another_market_that_are_taken_for_this_ones_refuse_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most known lists have none, and ccxt does not filter every one."""
    monkeypatch.setattr(READERS[market[0]], "is_of", lambda *_: True)
    require_refused(market, "(executions|an open order, partly filled): ")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] in ("aster", "paradex", "apex")])
def test_another_order_that_is_taken_for_the_one_that_was_asked_for_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are asked for one order by its name."""
    monkeypatch.setattr(READERS[market[0]], "order_asked_for", lambda self, _, raw, of: self.order(raw, of))
    require_refused(market, "an order .*: taken for one although it is of another order")


def _of_id(_: Any, answer: Any, __: Any) -> str:
    return str(answer["id"])


def _of_id_or_text(_: Any, answer: Any, __: Any) -> str:
    return str(answer.get("id"))


@pytest.mark.parametrize("market", [market for market in MARKETS if market[0] != WITHOUT_IDS])
@pytest.mark.parametrize(
    ("reads", "why"), [(_of_id, "of another order|without an id"), (_of_id_or_text, "without an id")]
)
def test_an_id_that_is_none_or_another_orders_refuses_live(
    reads: Callable[..., str], why: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As apex's trades once had the order "None"."""
    monkeypatch.setattr(READERS[market[0]], "new_id", reads)
    require_refused(market, f"the answer to a new order: taken for one although it is ({why})")


@pytest.mark.parametrize("market", MARKETS)
def test_no_answer_is_changed_for_what_is_read_next(market: Market) -> None:
    settings = settings_of(*market)
    known = answer_check.load(settings)
    reader = KnownExchange(settings, known)
    for _ in range(2):
        assert unknown_answers.difference(reader, known["cases"]) is None
        for case in known["cases"]:
            assert answer_check.differing(case["must"], reader.read(case)) is None


def test_what_is_changed_is_of_every_kind_for_each_market() -> None:
    """So that none of it is left out where a case is written otherwise."""
    for market in MARKETS:
        cases = answer_check.load(settings_of(*market))["cases"]
        kinds = {what for case in cases for what, _ in unknown_answers._changed(case)}
        assert kinds == {"without a list", "of another market", "without an id", "of another order"}
