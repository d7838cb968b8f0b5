"""Figures side by side, their sums, and how they are written."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal

import pytest

from manager import i18n
from manager.cli import argument_types
from manager.fleet import amounts
from manager.fleet.bot_report import FIGURES, KeptReport, Report, parse_report
from manager.fleet.state_file import InstanceState, Wish
from manager.fleet.tombstone import Tombstone
from manager.monitor.disk.usage import DiskUse
from manager.monitor.stats import columns, figure_columns, instance_stats
from manager.monitor.stats.columns import COLUMNS
from manager.monitor.stats.instance_stats import InstanceStats
from manager.util import formatting
from manager.util.text_table import GAP, fitting, padded, width
from tests.builders import a_container, some_figures


def test_paper_is_no_money_and_two_currencies_make_no_sum() -> None:
    sums = instance_stats.sum_up(
        [
            some_figures("a", pnl="1.10", quote="USDC", mode="live", cpu=2.0, memory=100),
            some_figures("b", pnl="2.20", quote="USDC", mode="live", cpu=0.5, memory=50),
            some_figures("c", pnl="100", quote="USDC"),
            some_figures("d", pnl="-3", quote="USDT", mode="live"),
            some_figures("e", pnl="7"),  # of what, it does not say
            some_figures("f", "failed"),
            InstanceStats(
                some_figures("g", mode="live").view, report=Report(Decimal(1000), "USDC", mode="paper")
            ),
        ]
    )
    assert sums.pnl == {
        ("live", "USDC"): Decimal("3.30"),
        ("live", "USDT"): Decimal(-3),
        ("paper", "USDC"): Decimal(100),
    }
    assert (sums.cpu, sums.memory) == (2.5, 150)
    assert list(sums.states.items()) == [("failed", 1), ("running", 6)]
    assert columns.total_line(sums) == (
        "total: 1 failed, 6 running; P&L live +3.30 USDC, live -3.00 USDT, paper +100.00 USDC (4 of 7"
        " instances);"
        " CPU 2.5%, memory 150B"
    )


def test_what_was_moved_to_another_machine_is_summed_up_there() -> None:
    here = some_figures("a", pnl="1.10", quote="USDC", mode="live")
    gone = some_figures("b", "stopped", pnl="2.20", quote="USDC", mode="live")
    both_sums = [
        instance_stats.sum_up([here, gone._replace(view=gone.view._replace(tombstone=stone))])
        for stone in (Tombstone(1, "tokyo", "m"), Tombstone(1, "tokyo", "m", is_arriving=True))
    ]
    assert [sums.pnl["live", "USDC"] for sums in both_sums] == [Decimal("1.10"), Decimal("3.30")]
    assert columns.total_line(both_sums[0]) == ("total: 1 running, 1 stopped; P&L live +1.10 USDC")


def test_a_gain_on_invented_prices_is_called_so_and_is_in_no_other_sum() -> None:
    rows = [
        some_figures("a", pnl="5", quote="USDC", market="synthetic"),
        some_figures("b", pnl="1", quote="USDC"),
    ]
    assert instance_stats.sum_up(rows).pnl == {
        ("paper", "USDC"): Decimal(1),
        ("synthetic", "USDC"): Decimal(5),
    }
    assert [row["pnl"].strip() for row in columns.cells(rows)] == ["+5.00 USDC synthetic", "+1.00 USDC"]


def test_the_points_of_amounts_stand_below_each_other() -> None:
    assert amounts.aligned(["+12.34 USDC", "", "-0.0042 USDC", "5 SOL", "0.00"]) == [
        "+12.34   USDC",
        "",
        " -0.0042 USDC",
        "  5      SOL",
        "  0.00",
    ]


def test_a_sum_of_all_says_no_more_than_the_sum() -> None:
    sums = instance_stats.sum_up(
        [some_figures("a", pnl="1", quote="USDC"), some_figures("b", pnl="2", quote="USDC")]
    )
    assert columns.total_line(sums) == "total: 2 running; P&L paper +3.00 USDC"


def test_a_fleet_that_reports_nothing_has_no_sum_of_nothing() -> None:
    assert columns.total_line(instance_stats.sum_up([some_figures()])) == "total: 1 running"


def test_what_is_not_known_is_blank_and_never_0() -> None:
    (cells,) = columns.cells([some_figures()])
    known = {"id", "state", "doing", "mode", "symbol", "restarts"}
    assert {key: text for key, text in cells.items() if key not in known} == dict.fromkeys(
        set(cells) - known, ""
    )
    written = instance_stats.stats_object(some_figures())
    for key in (
        "cpu_percent",
        "memory_bytes",
        "pids",
        "uptime_s",
        "pnl",
        "position",
        "open_orders",
        "trades",
    ):
        assert written[key] is None
    json.dumps(written)


def test_amounts_are_exact_in_json() -> None:
    stats = instance_stats.stats_object(
        some_figures(pnl="0.10000000", position="1E-7", quote="USDC", cpu=1.234, memory=5)
    )
    assert (stats["pnl"], stats["position"], stats["cpu_percent"]) == ("0.10000000", "0.0000001", 1.23)


@pytest.mark.parametrize(
    ("value", "text"),
    [("12.346", "+12.35"), ("-0.00421", "-0.0042"), ("0", "0.00"), ("-0.00001", "0.00"), ("-1", "-1.00")],
)
def test_money(value: str, text: str) -> None:
    assert amounts.money(Decimal(value), None) == text
    assert amounts.money(Decimal(value), "USDC") == f"{text} USDC"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.250", "1.25 SOL"),
        ("0", "0 SOL"),
        ("-0.000000001", "0 SOL"),
        ("100", "100 SOL"),
        ("1E+3", "1000 SOL"),
    ],
)
def test_positions(value: str, text: str) -> None:
    assert amounts.amount(Decimal(value), "SOL") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0K"),
        (145_000_000, "138M"),
        (10_000_000, "9.5M"),
        (1 << 30, "1.0G"),
        (1023 << 20, "1.0G"),
        (1 << 60, "1024P"),
    ],
)
def test_sizes(value: int | None, text: str) -> None:
    assert formatting.memory_size(value) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999B"), (95_420_416, "95.4M"), (999_500_000, "1.0G")])
def test_folders_are_shown_in_the_units_of_their_limits(value: int, text: str) -> None:
    cells = {column.name: column.cell for column in COLUMNS}
    row = some_figures("a")._replace(disk=DiskUse(value, 3, is_whole=True, growth=-value))
    assert (cells["size"](row), cells["growth"](row)) == (text, f"-{text}")


def test_a_narrow_terminal_gets_what_matters() -> None:
    widths = columns.widths(columns.cells([some_figures(cpu=1.0, pnl="1", quote="USDC", position="2")]))
    assert fitting(COLUMNS, widths, None) == list(COLUMNS)
    kept = [column.name for column in fitting(COLUMNS, widths, 80)]
    assert kept[:6] == ["id", "mode", "state", "doing", "pnl", "position"]
    assert "share" not in kept
    tighter = {column.name for column in fitting(COLUMNS, widths, 60)}
    assert not {"cpu", "memory"} & tighter, "these go before any word of the trade"
    assert sum(widths[name] + GAP for name in kept) - GAP <= 80
    assert [column.name for column in fitting(COLUMNS, widths, 1)] == ["id", "mode", "doing", "pnl"]


def test_wide_characters_take_two_cells() -> None:
    assert width("運行中") == 6
    assert padded("運行中", 8) == "運行中  "
    assert padded("1.5", 5, "right") == "  1.5"


def test_order_is_by_the_column_then_by_id_and_what_is_not_known_is_last() -> None:
    rows = [
        some_figures("b", cpu=1.0),
        some_figures("a", cpu=1.0),
        some_figures("none"),
        some_figures("c", cpu=9.0),
    ]
    cpu = next(column for column in COLUMNS if column.name == "cpu")
    assert ids(columns.ordered(rows, cpu)) == ["a", "b", "c", "none"]
    assert ids(columns.ordered(rows, cpu, is_reverse=True)) == ["c", "a", "b", "none"]


def test_a_bot_that_trades_otherwise_than_it_was_made_to_needs_a_look() -> None:
    misled = InstanceStats(some_figures(mode="paper").view, report=Report(mode="live"))
    assert misled.has_mode_mismatch
    assert misled.needs_attention
    assert misled.is_live
    assert not some_figures().needs_attention
    assert some_figures(state="failed").needs_attention


def test_who_was_killed_needs_a_look_and_who_was_stopped_does_not() -> None:
    def needs_a_look(code: int, wish: Wish = "run") -> bool:
        container = a_container(state="exited", Status=f"Exited ({code}) 2 minutes ago")
        view = some_figures(state="stopped").view._replace(container=container, saved=InstanceState(wish))
        return InstanceStats(view).needs_attention

    assert needs_a_look(137)
    assert not needs_a_look(0)  # `docker stop`, in good order
    assert not needs_a_look(137, "stopped")


def test_heads_and_states_are_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "_language", "zh_TW")
    assert columns.cells([some_figures()])[0]["state"] != "running"


def ids(rows: list[InstanceStats]) -> list[str]:
    return [row.id for row in rows]


def test_how_a_run_goes_is_told_as_the_bot_reports_it() -> None:
    raw = {"maker_share": 0.75, "reject_rate": 0, "max_drawdown": "12.5", "apr": "NaN", "order_latency": None}
    row = some_figures("a")._replace(report=parse_report(raw))
    told = instance_stats.stats_object(row)
    assert [told[name] for name in FIGURES] == ["0.75", "0", "12.5", None, None, None]


def test_how_a_run_goes_has_columns_that_are_shown_when_they_are_named() -> None:
    report = Report(
        quote="USDC",
        maker_share=Decimal("0.985"),
        reject_rate=Decimal(0),
        max_drawdown=Decimal("3.5"),
        profit_per_grid=Decimal("0.0123"),
        apr=Decimal("-0.071"),
        order_latency=Decimal("0.0834"),
    )
    rows = [some_figures("a")._replace(report=report), some_figures("b")]
    wanted = figure_columns.named(["apr", "id", *FIGURES[:4], "order_latency"])
    assert [list(row.values()) for row in columns.cells(rows, wanted)] == [
        ["-7.1%", "a", "98.5%", "0.0%", "-3.50 USDC", "+0.0123 USDC", "83ms"],
        ["", "b", "", "", "", "", ""],
    ]
    assert figure_columns.named(None) == COLUMNS
    assert set(FIGURES) <= figure_columns.ALL.keys()


def test_an_unknown_column_is_answered_with_all_names() -> None:
    assert argument_types.stats_columns("id,apr") == ["id", "apr"]
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be one of id, .*order_latency, not “profit”"):
        argument_types.stats_columns("id,profit")


@pytest.mark.parametrize(
    ("answer", "pnl", "as_of"),
    [
        ({"contract": 2, "pnl": "7", "position": "1", "quote": "USDC"}, "7", None),
        ({"contract": 2, "pnl": None, "position": None, "mode": "live"}, "-14.30", 50.0),  # just started
        ({}, "-14.30", 50.0),
        ({"contract": 2, "pnl": None, "position": "0"}, None, None),  # it knows that it holds nothing
        (None, "-14.30", 50.0),
    ],
)
def test_a_bot_that_does_not_know_yet_what_it_has_keeps_the_figures_that_were_known_last(
    answer: dict[str, object] | None, pnl: str | None, as_of: float | None
) -> None:
    view = some_figures("a").view._replace(
        report=KeptReport(parse_report({"contract": 2, "pnl": "-14.30", "position": "1.1"}), 50.0)
    )
    row = instance_stats.with_best_report(view, None, None if answer is None else parse_report(answer))
    assert row.report.pnl == (None if pnl is None else Decimal(pnl))
    assert row.as_of == as_of
    if answer and answer.get("mode"):
        assert row.report.mode == "live"
