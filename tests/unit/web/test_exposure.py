"""What the live bots hold: by asset, with what no bot trades any more named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from manager.fleet.tombstone import Tombstone
from manager.monitor.stats.instance_stats import InstanceStats
from manager.web.engine_side.exposure import by_asset, held
from manager.web.engine_side.exposure import worth as worth_of
from tests.web.served import a_bot


def exposure(rows: list[InstanceStats]) -> list[dict[str, Any]]:
    return by_asset(held(rows))


def worth(rows: list[InstanceStats]) -> dict[str, Any]:
    return worth_of(held(rows))


SOL: dict[str, Any] = {"base": "SOL", "quote": "USDC", "price": "150"}


def test_long_and_short_are_netted_and_both_said() -> None:
    [sol] = exposure([a_bot("a", position="0.5", **SOL), a_bot("b", position="-0.2", **SOL)])
    assert (sol["net"], sol["long"], sol["short"], sol["without_bot"]) == ("0.3", "0.5", "0.2", "0")
    assert sol["values"] == [{"quote": "USDC", "value": "45.0"}]
    assert sol["bots_gone"] == []


def test_a_position_whose_bot_is_down_or_has_ended_is_without_a_bot() -> None:
    rows = [
        a_bot("up", position="1", **SOL),
        a_bot("down", "failed", position="-3", **SOL),
        a_bot("over", code="stopped_out", position="2", **SOL),
    ]
    [sol] = exposure(rows)
    assert (sol["net"], sol["without_bot"], sol["bots_gone"]) == ("0", "-1", ["down", "over"])


def test_dust_that_a_bot_has_left_is_waited_for_by_nobody() -> None:
    for least, bots_gone in (("0.01", []), ("0.001", ["over"])):
        row = a_bot(
            "over",
            "completed",
            code="stopped_out",
            position="0.001",
            min_order=Decimal(least),
            is_final=True,
            **SOL,
        )
        assert row.view.report is not None
        told = row.view.report._replace(has_ended=True, orders_left=0)
        [sol] = exposure([row._replace(view=row.view._replace(report=told))])
        assert (sol["net"], sol["bots_gone"]) == ("0.001", bots_gone)


def test_what_was_moved_to_another_machine_is_held_there() -> None:
    """It has a bot there: here it must not be shown as a position without one."""
    gone = a_bot("gone", "stopped", position="-3", **SOL)
    gone = gone._replace(view=gone.view._replace(tombstone=Tombstone(1, "tokyo", "m")))
    [sol] = exposure([a_bot("up", position="1", **SOL), gone])
    assert (sol["net"], sol["without_bot"], sol["bots_gone"]) == ("1", "0", [])


def test_without_a_price_nothing_is_said_of_the_worth() -> None:
    rows = [a_bot("a", position="1", **SOL), a_bot("b", position="1", base="SOL", quote="USDC")]
    assert exposure(rows)[0]["values"] == []


def test_paper_and_bots_without_a_position_are_not_in_it() -> None:
    assert exposure([a_bot("a", mode="paper", position="1", **SOL), a_bot("b", position="0", **SOL)]) == []


def test_all_positions_are_netted_by_the_currency_that_they_are_worth() -> None:
    eth: dict[str, Any] = {"base": "ETH", "quote": "USDC", "price": "3000"}
    rows = [
        a_bot("a", position="0.5", **SOL),
        a_bot("b", "failed", position="-0.01", **eth),
        a_bot("c", position="2", base="BTC", quote="USD", price="10"),
        a_bot("paper", mode="paper", position="9", **SOL),
    ]
    usd, usdc = worth(rows)["values"]
    assert (usd["quote"], usd["net"], usd["short"]) == ("USD", "20", "0")
    assert (usdc["net"], usdc["long"], usdc["short"]) == ("45.00", "75.0", "30.00")
    assert usdc["without_bot"] == "-30.00"
    assert worth(rows)["unknown"] == []


def test_a_position_without_a_price_is_in_no_sum_and_said() -> None:
    rows = [
        a_bot("a", position="1", **SOL),
        a_bot("b", position="-1", base="DOGE", quote="USDC"),
        a_bot("c", position="1", base="ETH", price="3000"),
    ]
    sums = worth(rows)
    assert [(value["quote"], value["net"]) for value in sums["values"]] == [("USDC", "150")]
    assert sums["unknown"] == ["DOGE", "ETH"]
    assert worth([]) == {"values": [], "unknown": []}
