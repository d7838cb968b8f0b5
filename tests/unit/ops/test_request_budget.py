"""What the bots ask of their exchanges, who may start, and what each one's share is."""

from __future__ import annotations

from typing import Any

import pytest

from manager.config.request_limits import ExchangeLimits, RequestTable
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.requests import request_budget
from manager.ops.requests.request_budget import Caller, Share, interval_of, loads, refuse, shares

TABLE = RequestTable(
    {"aster": ExchangeLimits(address=2400), "paradex": ExchangeLimits(address=1500, account=600)}
)


def bots(exchange: str, count: int, a_minute: float = 24.0, **changes: Any) -> dict[str, Caller]:
    """So many live bots, by default with a tick of two calls every five seconds, each on its account."""
    return {
        (name := f"{exchange}_{number:03}"): Caller(name, exchange, True, a_minute, name)._replace(**changes)
        for number in range(count)
    }


def starts(asking: dict[str, Caller]) -> list[Action]:
    return [Action("create", instance, Text("no container")) for instance in asking]


def lines(account_loads: list[request_budget.Load]) -> list[str]:
    return [str(load.text()) for load in account_loads]


def test_the_load_of_an_address_an_account_and_a_proxy() -> None:
    of_one_account = bots("paradex", 30, account="paradex_000")
    behind_a_proxy = bots("aster", 10, address="http://user:secret@proxy:3128")
    on_paper = {"paper": Caller("paper", "aster", False, 30.0)}
    assert lines(loads([*of_one_account.values(), *behind_a_proxy.values(), *on_paper.values()], TABLE)) == [
        "paradex: the account of paradex_000 and its bots (30) makes 720 requests a minute of 600 (120 %)",
        "paradex: the bots (30) on this address make 720 requests a minute of 1,500 (48 %)",
        "aster: the bots (10) behind the proxy of aster_000 make 240 requests a minute of 2,400 (10 %)",
        "aster: the bots (1) on this address make 30 requests a minute of 2,400 (1 %)",
    ]


@pytest.mark.parametrize(
    ("a_minute", "limit", "shown", "is_warned", "is_refused"),
    [
        (840, 1051, "840 requests a minute of 1,051 (79 %)", False, False),
        (839.9, 1050, "839 requests a minute of 1,050 (79 %)", False, False),
        (840, 1050, "840 requests a minute of 1,050 (80 %)", True, False),
        (1049, 1049, "1,049 requests a minute of 1,049 (100 %)", True, False),
        (1050, 1049, "1,050 requests a minute of 1,049 (101 %)", True, True),
        (2400.4, 2400, "2,401 requests a minute of 2,400 (101 %)", True, True),
        (29, 100, "29 requests a minute of 100 (29 %)", False, False),
        (sum([0.1] * 10), 1, "1 requests a minute of 1 (100 %)", True, False),
        (sum([0.7] * 3), 2.1, "2 requests a minute of 2 (100 %)", True, False),
    ],
)
def test_the_figures_say_why_a_load_is_warned_of_or_refused(
    a_minute: float, limit: float, shown: str, *, is_warned: bool, is_refused: bool
) -> None:
    load = request_budget.Load("aster", "address", ("one",), a_minute, limit)
    assert str(load.text()).endswith(shown)
    assert (load.used >= request_budget.WARN_AT, load.used > 1) == (is_warned, is_refused)


def test_what_fits_at_80_percent_is_what_the_table_of_the_documents_says() -> None:
    for exchange, at_5_s, at_2_s in (("aster", 80, 32), ("paradex", 50, 20)):
        for count, a_minute in ((at_5_s, 24.0), (at_2_s, 60.0)):
            assert loads(bots(exchange, count, a_minute).values(), TABLE)[0].used <= request_budget.WARN_AT
            more = bots(exchange, count + 1, a_minute).values()
            assert loads(more, TABLE)[0].used > request_budget.WARN_AT


def test_live_bots_beyond_the_limit_are_not_started_and_what_runs_goes_on() -> None:
    asking = bots("aster", 120)
    settled = refuse(asking, set(), starts(asking), TABLE)
    assert [action.kind for action in settled] == ["create"] * 100 + ["leave"] * 20
    assert settled[-1].is_refused
    assert "2,424 requests a minute of 2,400 (101 %)" in str(settled[-1].cause)
    again = [Action("restart", instance, Text("requested")) for instance in asking]
    assert refuse(asking, set(asking), again, TABLE) == again


def test_what_runs_counts_before_what_would_start() -> None:
    asking = bots("aster", 101)
    *running, last = asking
    [settled] = refuse(asking, set(running), starts({last: asking[last]}), TABLE)
    assert (settled.kind, settled.is_refused) == ("leave", True)
    first, *others = asking
    [settled] = refuse(asking, set(others), starts({first: asking[first]}), TABLE)
    assert settled.kind == "leave"


def test_a_bot_alone_with_its_limit_is_slowed_down_and_not_refused() -> None:
    asking = bots("paradex", 2, 700.0)
    settled = refuse(asking, set(), starts(asking), RequestTable({"paradex": ExchangeLimits(account=600)}))
    assert [action.kind for action in settled] == ["create", "create"], "each on its own account"
    settled = refuse(asking, set(), starts(asking), RequestTable({"paradex": ExchangeLimits(address=600)}))
    assert [action.kind for action in settled] == ["create", "leave"]


def test_bots_on_paper_and_other_exchanges_are_never_refused() -> None:
    on_paper = bots("aster", 300, is_live=False)
    elsewhere = bots("kraken", 300)
    planned = starts(on_paper | elsewhere)
    assert refuse(on_paper | elsewhere, set(), planned, TABLE) == planned


def test_shares_follow_what_each_asks_for_and_keep_the_limit() -> None:
    asking = bots("aster", 10, 60.0) | bots("paradex", 40, account="paradex_000")
    slow = {"slow": Caller("slow", "aster", True, 24.0, "slow")}
    result = shares([*asking.values(), *slow.values()], TABLE)
    assert result["slow"].a_minute / result["aster_000"].a_minute == pytest.approx(24 / 60)
    of_aster = [share for name, share in result.items() if not name.startswith("paradex")]
    assert sum(share.a_minute for share in of_aster) == pytest.approx(0.8 * 2400)
    assert sum(share.for_cancels for share in of_aster) == pytest.approx(0.1 * 2400)
    assert result["paradex_000"] == Share(0.8 * 600 / 40, 0.1 * 600 / 40), "the account is the tighter limit"
    assert shares(bots("kraken", 3).values(), TABLE) == {}


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        (["--interval", "5"], 5.0),
        (["--interval=0.5"], 0.5),
        (["--interval", "often"], 2.0),
        (["--interval"], 2.0),
        ([], 2.0),
        (["--interval", "0"], 0.1),
    ],
)
def test_the_interval_is_the_bots_own(command: list[str], seconds: float) -> None:
    assert interval_of(command, 2.0) == seconds


def test_starts_are_spread_and_a_few_need_not_wait() -> None:
    table = RequestTable({"aster": ExchangeLimits(address=2400, start=24)})
    told = request_budget.allot(bots("aster", 200).values(), table)
    phases = [row.phase for row in told.values()]
    a_minute = 0.8 * 2400 / 24
    assert phases == sorted(phases)
    assert phases[:20] == [0.0] * 20
    for at in phases:
        starts_within = sum(at <= phase < at + 60 for phase in phases)
        assert starts_within <= a_minute * 1.25 + 1
    assert phases[-1] == pytest.approx((200 - 20) * 60 / a_minute)


def test_bots_on_paper_do_not_wait_nor_keep_others_waiting() -> None:
    on_paper = bots("aster", 300, is_live=False)
    told = request_budget.allot([*on_paper.values(), *bots("aster", 3).values()], TABLE)
    assert {row.phase for row in told.values()} == {0.0}
    assert told["aster_000"].share.a_minute < 0.8 * 2400 / 300


def test_the_orders_of_an_account_are_shared_by_its_live_bots() -> None:
    table = RequestTable({"aster": ExchangeLimits(address=2400, orders=1200)})
    asking = [
        *bots("aster", 10, account="aster_000").values(),
        Caller("alone", "aster", True, 24.0, "alone"),
        Caller("paper", "aster", False, 30.0),
    ]
    shared = shares(asking, table)
    assert shared["aster_003"].orders == 1200 * request_budget.SHARED / 10
    assert shared["alone"].orders == 1200 * request_budget.SHARED
    assert shared["paper"].orders == 0
    assert all(share.orders == 0 for share in shares(asking, TABLE).values())
