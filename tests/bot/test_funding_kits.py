"""Funding payments: each of them counts once, with its sign, however many there are and how they are listed.

backpack: docs.backpack.exchange, "Get funding payments" (received above 0; newest first; by offset).
aster: github.com/asterdex/api-docs, futures V3, "Get Income History", 2026-06-30 (oldest first).
paradex: `openapi.json` 1.132.1 of github.com/tradeparadex/paradex-docs, 2026-08-20 (a cursor).
apex: ccxt 4.5.90's parser, unverified.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.types import Funding
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster
from tests.bot.kits.backpack import Backpack
from tests.bot.kits.kit import Kit
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
HOUR = 3600
BEGAN = 1_780_000_000 // HOUR * HOUR
Payment = tuple[int, str]
ASTER_ROW = {"symbol": "SOLUSDT", "incomeType": "FUNDING_FEE", "asset": "USDT", "tradeId": ""}


def listed(kit: Kit, payments: list[Payment], params: dict[str, Any]) -> Any:
    """Return what the exchange answers about payments, which are oldest first."""
    newest = payments[::-1]
    if isinstance(kit, Backpack):
        start = int(params.get("offset", 0))
        return [_backpack(at, amount) for at, amount in newest[start : start + int(params["limit"])]]
    if isinstance(kit, Aster):
        rows = [_aster(at, amount) for at, amount in payments if at * 1000 >= int(params["startTime"])]
        return rows[: int(params["limit"])]
    if isinstance(kit, Paradex):
        start, most = int(params.get("cursor") or 0), int(params["page_size"])
        mine = [pair for pair in newest if pair[0] * 1000 >= int(params["start_at"])]
        more = str(start + most) if len(mine) > start + most else None
        return {"results": [_paradex(*pair) for pair in mine[start : start + most]], "next": more}
    start = int(params.get("page", 0)) * int(params["limit"])
    return {
        "data": {"fundingValues": [_apex(*pair) for pair in newest[start : start + int(params["limit"])]]}
    }


def _backpack(at: int, amount: str) -> dict[str, Any]:
    end = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
    own = {"userId": 1813870, "subaccountId": 0, "symbol": "SOL_USDC_PERP", "fundingRate": "0.0001"}
    return {**own, "quantity": amount, "intervalEndTimestamp": end}


def _aster(at: int, amount: str) -> dict[str, Any]:
    return {**ASTER_ROW, "income": amount, "time": at * 1000, "tranId": str(at)}


def _paradex(at: int, amount: str) -> dict[str, Any]:
    return {"id": f"p{at}", "market": "SOL-USD-PERP", "payment": amount, "created_at": at * 1000}


def _apex(at: int, amount: str) -> dict[str, Any]:
    own = {"symbol": "SOL-USDT", "rate": "0.0001", "side": "LONG", "status": "SUCCESS"}
    return {**own, "id": str(at), "fundingValue": amount, "fundingTime": at * 1000}


def paid(kind: type[Kit], payments: list[Payment], page: int = 100) -> Kit:
    """Return a kit whose account has these payments, so many on a page."""
    kit = kind()
    kit.adapter._answers.most_on_page = page
    answer = kit.answer

    def with_payments(path: str, method: str, params: dict[str, Any]) -> Any:
        is_funding = "funding" in path.split("/")[-1] or path.endswith(("funding/payments", "income"))
        return (
            listed(kit, payments, params) if is_funding and method == "GET" else answer(path, method, params)
        )

    kit.answer = with_payments  # type: ignore[method-assign]
    return kit


@pytest.mark.parametrize("kind", [Apex, Aster, Backpack, Paradex])
@pytest.mark.parametrize("count", [2, 100, 250])
def test_each_payment_counts_once(kind: type[Kit], count: int, tmp_path: Path) -> None:
    """Received and paid ones in turn; those from before the run are not its own."""
    amounts = [str(D(-1 if hour % 3 else 1) * (hour + 1) / 1000) for hour in range(count)]
    before = [(BEGAN - hour * HOUR, "-7") for hour in (3, 2, 1)]
    kit = paid(kind, before + [(BEGAN + hour * HOUR, amount) for hour, amount in enumerate(amounts)])
    store = Store(tmp_path / "bot.db", durable=False)
    store.begin_run(kit.settings.identity, "live", {}, Ledger())
    for since in (BEGAN, BEGAN, BEGAN + (count - 1) * HOUR):
        payments = kit.adapter.funding(since)
        assert payments is not None
        store.add_funding(payments)
        assert store.funding == sum(map(D, amounts))
    store.close()


@pytest.mark.parametrize("kind", [Apex, Aster, Backpack, Paradex])
@pytest.mark.parametrize("amount", ["", "NaN", "much"])
def test_a_payment_that_cannot_be_read_is_not_left_out(kind: type[Kit], amount: str) -> None:
    kit = paid(kind, [(BEGAN, "-1"), (BEGAN + HOUR, amount)])
    assert kit.adapter.funding(BEGAN) is None


def test_what_is_paid_in_another_currency_is_not_taken_for_the_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = paid(Aster, [(BEGAN, "-1")])
    assert kit.adapter.funding(BEGAN) == [Funding(str(BEGAN), float(BEGAN), D(-1))]
    monkeypatch.setitem(ASTER_ROW, "asset", "BNB")
    assert kit.adapter.funding(BEGAN) is None


def test_of_lighter_nothing_is_known() -> None:
    assert Lighter().adapter.funding(BEGAN) is None


def test_what_an_earlier_version_has_stored_under_the_users_id_counts_once(tmp_path: Path) -> None:
    kit = paid(Backpack, [(BEGAN, "-0.5"), (BEGAN + HOUR, "-0.25")])
    store = Store(tmp_path / "bot.db", durable=False)
    store.begin_run(kit.settings.identity, "live", {}, Ledger())
    store.add_funding([Funding("1813870", float(BEGAN), D("-0.5"))])
    for _ in range(2):
        store.add_funding(kit.adapter.funding(BEGAN) or [])
        assert store.funding == D("-0.75")
    store.close()
