"""What the pre-flight learns of each exchange's account, through ccxt's own class on that exchange's shapes.

Each answer cites its document; apex has none that could be read, so its answers are known from ccxt 4.5.90.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges.account_facts import AccountFacts, read_facts
from gridbot.trading.preflight import check_run
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.kit import Kit
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
# github.com/asterdex/api-docs, futures V3 and spot V3, 2026-06-30: "Futures Account Balance v3", "Account
# information with JoinMargin", "User Commission Rate", "Account Information".
ASTER: dict[str, Any] = {
    "balance": [{"accountAlias": "a", "asset": "USDT", "balance": "900.5", "availableBalance": "800.25"}],
    "accountWithJoinMargin": {"canTrade": True, "feeTier": 0},
    "commissionRate": {
        "symbol": "SOLUSDT",
        "makerCommissionRate": "0.0001",
        "takerCommissionRate": "0.00035",
    },
    "account": {
        "canTrade": True,
        "balances": [
            {"asset": "USDT", "free": "70.5", "locked": "1"},
            {"asset": "SOL", "free": "3.25", "locked": "0"},
        ],
    },
    "time": {"serverTime": 0},
}
# openapi.json 1.132.1 of github.com/tradeparadex/paradex-docs at commit 9b82a75, 2026-08-20: "Get account
# information", "Get account margin configuration", "List available markets".
PARADEX: dict[str, Any] = {
    "account": {
        "account": "0x1",
        "account_value": "1000.5",
        "free_collateral": "600.25",
        "settlement_asset": "USDC",
        "status": "ACTIVE",
    },
    "margin": {
        "account": "0x1",
        "configs": [
            {"market": "ETH-USD-PERP", "leverage": 50, "margin_type": "CROSS"},
            {"market": "SOL-USD-PERP", "leverage": 5, "margin_type": "CROSS"},
        ],
    },
    "markets": {
        "results": [
            {
                "symbol": "SOL-USD-PERP",
                "fee_config": {
                    "api_fee": {"maker_fee": {"fee": "-0.00005"}, "taker_fee": {"fee": "0.0003"}},
                },
            }
        ]
    },
    "balance": {"results": [{"token": "USDC", "size": "1000.5", "last_updated_at": 1718529757240}]},
    "time": {"server_time": "0"},
}
# github.com/elliottech/lighter-python, openapi.json at commit 051d1ba, DetailedAccount and AccountPosition.
LIGHTER: dict[str, Any] = {
    "account": {
        "code": 200,
        "total": 1,
        "accounts": [
            {
                "index": 1077,
                "status": 1,
                "collateral": "900.5",
                "available_balance": "400.25",
                "positions": [
                    {"market_id": 1, "symbol": "BTC", "initial_margin_fraction": "2.00", "position": "0"},
                    {"market_id": 2, "symbol": "SOL", "initial_margin_fraction": "20.00", "position": "0"},
                ],
                "assets": [],
            }
        ],
    },
    "": {"status": 200, "network_id": 1, "timestamp": 0},
}
APEX: dict[str, Any] = {
    "account-balance": {"data": {"totalEquityValue": "900.5", "availableBalance": "300.25"}},
    "time": {"data": {"time": 0}},
}
ANSWERS: Mapping[type[Kit], Mapping[str, Any]] = {
    Aster: ASTER,
    AsterSpot: ASTER,
    Paradex: PARADEX,
    Lighter: LIGHTER,
    Apex: APEX,
}


def facts(kit: Kit, answers: Mapping[str, Any]) -> AccountFacts:
    """What the pre-flight learns from these answers, by the last part of their paths."""
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        name = path.split("/")[-1]
        return answers[name] if name in answers else carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    return read_facts(kit.adapter, kit.adapter.market())


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (Aster, {"free": "800.25", "leverage": "10", "maker_fee": "0.0001", "can_trade": True}),
        (
            AsterSpot,
            {"free": "70.5", "held": "3.25", "leverage": "1", "maker_fee": "0.0001", "can_trade": True},
        ),
        (Paradex, {"free": "600.25", "leverage": "5", "maker_fee": "-0.00005", "can_trade": True}),
        (Lighter, {"free": "400.25", "leverage": "5", "maker_fee": None, "can_trade": None}),
        (Apex, {"free": "300.25", "leverage": None, "maker_fee": None, "can_trade": True}),
    ],
)
def test_what_an_exchange_says_of_the_account_is_known(kind: type[Kit], known: Mapping[str, Any]) -> None:
    account_facts = facts(kind(), ANSWERS[kind])
    for name, value in known.items():
        assert getattr(account_facts, name) == (D(value) if isinstance(value, str) else value), name
    assert account_facts.price == 150


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_it_does_not_say_is_a_warning_and_never_a_failure(kind: type[Kit]) -> None:
    kit = kind()
    nothing = {name: dict[str, Any]() for name in ANSWERS[kind]}
    if kind in (Paradex, Apex):
        # Nor does a cancellation that is refused for another reason than the key.
        kit.refusal = lambda err: kit.refusals["below_minimum"]  # type: ignore[method-assign]
    account_facts = facts(kit, nothing)
    assert (account_facts.can_trade, account_facts.maker_fee) == (None, None)
    levels = {
        check.code: check.level.value
        for check in check_run(kit.settings, kit.adapter.market(), account_facts)
    }
    assert "fail" not in levels.values(), levels
    assert levels["keys_unknown"] == levels["fees_unknown"] == "warn"


def test_a_paradex_account_in_liquidation_takes_no_orders() -> None:
    account_facts = facts(Paradex(), {**PARADEX, "account": {**PARADEX["account"], "status": "LIQUIDATION"}})
    assert (account_facts.can_trade, account_facts.refusal) == (False, "the account is LIQUIDATION")
    kit = Paradex()
    checks = {check.code: check for check in check_run(kit.settings, kit.adapter.market(), account_facts)}
    assert checks["account_blocked"].level.value == "fail"
    assert "make a key" not in checks["account_blocked"].remedy, "another key of this account is no better"


def test_an_aster_account_that_may_not_trade_is_no_fault_of_its_key() -> None:
    account_facts = facts(Aster(), {**ASTER, "accountWithJoinMargin": {"canTrade": False}})
    assert (account_facts.can_trade, account_facts.is_account_blocked) == (False, True)
    assert not facts(Aster(), ASTER).is_account_blocked


def test_a_lighter_account_that_never_traded_a_market_has_its_beginning_leverage() -> None:
    kit = Lighter()
    market = kit.adapter._loaded()
    market["info"] |= {"default_initial_margin_fraction": 500, "maintenance_margin_fraction": 120}
    account = {**LIGHTER["account"]["accounts"][0], "positions": []}
    account_facts = facts(kit, {**LIGHTER, "account": {"code": 200, "accounts": [account]}})
    assert (account_facts.leverage, account_facts.maintenance) == (D(20), D("0.012"))


@pytest.mark.parametrize("leverage", [0, -1, "0", None, "x"])
def test_a_leverage_of_nothing_or_less_is_unknown(leverage: Any) -> None:
    kit = Paradex()
    margin = {"configs": [{"market": "SOL-USD-PERP", "leverage": leverage}]}
    account_facts = facts(kit, {**PARADEX, "margin": margin})
    assert (account_facts.leverage, account_facts.bound) == (None, None)
    assert check_run(kit.settings, kit.adapter.market(), account_facts)


def test_lighter_funds_are_not_those_of_another_account_of_the_wallet() -> None:
    [account] = LIGHTER["account"]["accounts"]
    other = {**account, "index": 281474976710608, "available_balance": "30", "positions": []}
    account_facts = facts(Lighter(), {**LIGHTER, "account": {"code": 200, "accounts": [other, account]}})
    assert (account_facts.free, account_facts.leverage) == (D("400.25"), D(5))
    strangers = [other, {**other, "index": 7}]
    assert facts(Lighter(), {**LIGHTER, "account": {"code": 200, "accounts": strangers}}).free is None


def test_apex_has_one_balance_for_markets_in_either_currency() -> None:
    class InUsdc(Apex):
        quote = "USDC"

    assert facts(InUsdc(), APEX).free == D("300.25")
