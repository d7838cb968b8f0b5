"""What `top` shows in which order, its bars and its questions.

How it looks on a terminal is in tests/integration.
"""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from textual.geometry import Size
from textual.widgets import Static

from manager.errors import EngineUnreachable
from manager.fleet.bot_report import Report
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.i18n import Text, speaking
from manager.monitor.stats.columns import COLUMNS
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.top import confirm, sorting, source, sparkline
from manager.monitor.top.app import Top
from manager.monitor.top.screens import printable
from manager.monitor.top.sorting import Order
from manager.monitor.top.source import Snapshot, Source
from manager.monitor.top.sparkline import Trends
from manager.monitor.top.table import GUTTER, FleetTable
from manager.util import text_table
from manager.util.text_table import GAP
from tests.builders import a_fleet, some_figures

ROWS = [
    some_figures("bp_sol_01", cpu=1.0),
    some_figures("bp_eth_01", "failed", mode="live"),
    some_figures("bp_btc_01", cpu=9.0),
]


def ids(rows: Sequence[InstanceStats]) -> list[str]:
    return [row.id for row in rows]


def test_every_word_of_a_filter_must_be_there() -> None:
    assert ids(sorting.matching(ROWS, "")) == ids(ROWS)
    assert ids(sorting.matching(ROWS, "FAILED live")) == ["bp_eth_01"]
    assert ids(sorting.matching(ROWS, "failed paper")) == []
    assert ids(sorting.matching(ROWS, "sol_usdc")) == ids(ROWS)


def test_the_largest_is_first_where_that_is_what_one_looks_for() -> None:
    assert ids(sorting.arranged(ROWS, "", Order())) == ["bp_eth_01", "bp_btc_01", "bp_sol_01"], "worst first"
    assert ids(sorting.arranged(ROWS, "", Order("id"))) == ["bp_btc_01", "bp_eth_01", "bp_sol_01"]
    assert ids(sorting.arranged(ROWS, "", Order("cpu"))) == ["bp_btc_01", "bp_sol_01", "bp_eth_01"]
    assert ids(sorting.arranged(ROWS, "", Order("cpu", is_turned=True))) == [
        "bp_sol_01",
        "bp_btc_01",
        "bp_eth_01",
    ]
    assert ids(sorting.arranged(ROWS, "", Order("state")))[0] == "bp_eth_01"


def test_sorting_moves_through_the_shown_columns_and_round() -> None:
    shown = COLUMNS[:3]
    assert Order("id").moved(shown, 1) == Order("mode")
    assert Order("id", is_turned=True).moved(shown, -1) == Order("state")
    assert Order("pnl").moved(shown, 1) == Order("mode")  # its column has given way


def test_held_rows_keep_their_places() -> None:
    assert ids(sorting.held(ROWS, ["bp_btc_01", "gone", "bp_sol_01"])) == [
        "bp_btc_01",
        "bp_sol_01",
        "bp_eth_01",
    ]


def test_the_cursor_stays_on_its_instance() -> None:
    assert sorting.cursor_after(["c", "a"], ["a", "b", "c"], "a") == "a"
    assert sorting.cursor_after(["a", "c"], ["a", "b", "c"], "b") == "c"
    assert sorting.cursor_after(["a"], ["a", "b", "c"], "c") == "a"
    assert sorting.cursor_after([], ["a"], "a") is None
    assert sorting.cursor_after(["a"], [], None) == "a"


def test_bars() -> None:
    assert sparkline.bars([0, 50, 100], "cpu") == "▁▅█"
    assert sparkline.bars([1.0, 1.1], "cpu") == "▂▂"  # the noise of an idle bot is no mountain
    assert sparkline.bars([-5.0, None, 5.0], "pnl") == "▁ █"
    assert sparkline.bars([3.0, 3.0], "pnl") == "▁▁"
    assert sparkline.bars([None, None], "pnl") == "  "


def test_trends_forget_what_is_gone_and_add_a_bar_when_it_is_time() -> None:
    trends = Trends()
    for at, pnl in ((0.0, 1), (2.0, 2), (4.0, 3), (30.0, 4)):
        trends.add([some_figures("a", cpu=100.0, pnl=str(pnl))], at)
    assert trends.line("a", "cpu", 40) == "████"
    assert trends.line("a", "cpu", 2) == "██"
    assert trends.line("a", "pnl", 40) == "▁█"
    trends.add([], 32.0)
    assert trends.line("a", "cpu", 40) == ""


def test_bots_are_asked_in_even_shares() -> None:
    everyone = [f"bot{number:03}" for number in range(100)]
    assert source.due(everyone, {}, 0.0, 2.0) == everyone
    ask_at = dict.fromkeys(everyone, 10.0)
    assert source.due(everyone, ask_at, 9.0, 2.0) == []
    assert len(source.due(everyone, ask_at, 10.0, 2.0)) == 20  # ten a second
    assert len(source.due(everyone[:20], ask_at, 10.0, 2.0)) == 4, "each every ten seconds"
    assert source.due([*everyone, "new"], {**ask_at, "bot007": 5.0}, 9.0, 2.0) == ["new", "bot007"]


def test_a_question_says_what_will_happen() -> None:
    row = some_figures(
        "bp_eth_01", mode="live", position="1.5", base="ETH", pnl="-3", quote="USDC", open_orders=4
    )
    asked = "\n".join(confirm.before("stop", row))
    for part in (
        "Stop bp_eth_01?",
        "real money",
        "open orders: 4",
        "position: 1.5 ETH",
        "P&L: -3.00 USDC",
        "stays stopped",
    ):
        assert part in asked
    assert "is not running: orders that it may have left" in asked  # nobody is there to cancel them
    assert "places orders" in "\n".join(confirm.before("restart", row))


def test_a_position_is_closed_only_where_nothing_trades() -> None:
    held: dict[str, Any] = {"mode": "live", "position": "1.5", "base": "ETH"}
    running, stopped = some_figures("bp_eth_01", **held), some_figures("bp_eth_01", "stopped", **held)
    stopped = stopped._replace(view=stopped.view._replace(saved=InstanceState(wish="stopped")))
    assert "Nothing is closed while it is neither stopped nor halted." in confirm.before("close", running)
    asked = "\n".join(confirm.before("close", stopped))
    assert "Close the position of bp_eth_01?" in asked
    assert "position: 1.5 ETH" in asked
    assert "at most 1 % beyond the mark price" in asked


def test_the_detail_names_a_bot_that_is_misled() -> None:
    row = InstanceStats(some_figures(mode="paper").view, report=Report(mode="live"))
    assert "the bot reports live mode, but its container was created for paper mode" in confirm.detail(
        row, a_fleet()
    )
    assert "http://127.0.0.1:5001" in confirm.detail(row, a_fleet())


def test_fees_in_the_detail_do_not_read_as_income() -> None:
    row = InstanceStats(
        some_figures().view, report=Report(realized=Decimal(1), fees=Decimal("0.0783"), quote="USDC")
    )
    assert "realised +1.00 USDC  fees 0.0783 USDC" in confirm.detail(row, a_fleet())


def test_a_bots_line_moves_no_cursor() -> None:
    assert printable("\x1b[31mred\x1b[0m \x1b]0;title\x07\r") == "red �]0;title��"
    assert len(printable("x" * 10**6)) == 2000


def run(folder: Path, *words: str, **streams: int) -> subprocess.CompletedProcess[bytes]:
    (folder / "config/active").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "manager", "--project-dir", str(folder), *words]
    environ = {**os.environ, "DOCKER_HOST": f"unix://{folder}/none", "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(command, capture_output=not streams, check=False, env=environ, **streams)  # type: ignore[call-overload,no-any-return]


def test_without_a_terminal_it_names_what_works_without_one(tmp_path: Path) -> None:
    done = run(tmp_path, "top")
    assert done.returncode == 2
    assert b"`manager stats`" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "why"), [((), 5, b"no Docker Engine"), (("--interval", "0"), 2, b"0.5")]
)
def test_what_cannot_begin_says_so_before_the_screen_is_taken(
    tmp_path: Path, words: tuple[str, ...], code: int, why: bytes
) -> None:
    ours, theirs = pty.openpty()
    try:
        done = run(tmp_path, "top", *words, stdin=theirs, stdout=theirs, stderr=theirs)
        output = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert why in output
    assert b"\x1b" not in output


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_position_and_symbol_stay_longer_than_the_trend(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FleetTable, "size", property(lambda _self: Size(width, 20)))
    table = FleetTable(Trends(), has_colour=False)
    rows = [some_figures("bp_sol_01", mode="live", pnl="-1.67", quote="USDC", position="1", base="SOL")]
    table.rows = rows
    table._fit()
    names = [column.name for column in table.shown]
    needed = sum(table._widths[column.name] + GAP for column in table.shown)
    assert GUTTER + needed - GAP <= width
    assert [name for name in names if name != "state"][:5] == ["id", "mode", "doing", "pnl", "position"]
    assert ("state" in names) or set(names) == {"id", "mode", "doing", "pnl", "position"}
    if table._bars():
        assert {"position", "as_of", "symbol"} <= set(names)
    if "cpu" in names or "memory" in names:
        assert {"position", "as_of", "symbol", "up", "restarts"} <= set(names)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_mode_doing_pnl_and_position_come_before_all_else(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 70 columns with a shipped config's id, and a P&L with the word that its market is none."""
    monkeypatch.setattr(FleetTable, "size", property(lambda _self: Size(70, 20)))
    figures: dict[str, Any] = {
        "pnl": "-1234.5",
        "quote": "USDC",
        "position": "-12.5",
        "base": "SOL",
        "market": "synthetic",
    }
    table = FleetTable(Trends(), has_colour=False)
    table.rows = [
        some_figures("backpack_eth_usdc_perp_grid", "failed", mode="live", **figures),
        some_figures("backpack_sol_usdc_perp_grid", **figures),
    ]
    with speaking(language):
        table._fit()
        texts = table._cells
    assert [column.name for column in table.shown] == ["id", "mode", "doing", "pnl", "position"]
    assert GUTTER + sum(table._widths[column.name] + GAP for column in table.shown) - GAP <= 70
    assert texts[0]["doing"] == ("失敗" if language == "zh-TW" else "failed")
    assert len({text["id"] for text in texts}) == 2
    assert all("-1,234.50 USDC" in text["pnl"] or "-1234.50 USDC" in text["pnl"] for text in texts)


@pytest.mark.parametrize(
    ("names", "room", "short"),
    [
        (["backpack_sol", "b"], 12, ["backpack_sol", "b"]),
        (["backpack_sol", "b"], 8, ["back…sol", "b"]),
        (["back_eth_grid", "back_sol_grid"], 8, ["…eth_gr…", "…sol_gr…"]),
        (["back_eth_grid", "back_sol_grid"], 9, ["…eth_grid", "…sol_grid"]),
        (["bp_eth_0_grid", "bp_eth_1_grid", "c"], 7, ["bp_eth_0_grid", "bp_eth_1_grid", "c"]),
        ([], 7, []),
    ],
)
def test_ids_that_are_cut_stay_different(names: list[str], room: int, short: list[str]) -> None:
    assert list(text_table.shortened(names, room)) == short


@dataclass
class Still:
    """Observes the same fleet each time."""

    rows: Sequence[InstanceStats]

    def look(self) -> Snapshot:
        return Snapshot(time.monotonic(), self.rows, a_fleet(), [])


LONG = "the exchange refuses every order: backpack: the account of this key is being liquidated, and (HALTED)"


@pytest.mark.parametrize("width", [60, 200])
def test_a_reason_is_whole_whatever_the_terminals_width(width: int) -> None:
    """A reason that is cut is none: its end says what is the matter."""
    view = ROWS[1].view._replace(status=Status("failed", why=Text(LONG)))
    row = ROWS[1]._replace(view=view)

    async def shown() -> list[str]:
        app = Top(None, cast(Source, Still([row])), 0.1)
        async with app.run_test(size=(width, 24)) as pilot:
            for _ in range(100):
                await pilot.pause(0.05)
                text = str(app.query_one("#detail", Static).render())
                lines = text.splitlines()
                is_wrapped = max(map(len, lines)) <= width - 2  # once it has been laid out
                if "HALTED" in text and is_wrapped and app.query_one("#detail").size.height >= len(lines):
                    break
            return lines

    lines = asyncio.run(shown())
    assert LONG in " ".join(lines)
    assert max(map(len, lines)) <= width - 2


@dataclass
class Gone(Still):
    """Observes the fleet once; then no engine answers."""

    looks: int = 0

    def look(self) -> Snapshot:
        self.looks += 1
        if self.looks > 1:
            raise EngineUnreachable("no Docker Engine answers ({why}); start it", why="unix:///a/path " * 20)
        return super().look()


def test_how_old_the_fleet_is_stands_before_a_cause_that_has_no_room() -> None:
    async def shown() -> tuple[str, bool]:
        app = Top(None, cast(Source, Gone(ROWS)), 0.1)
        async with app.run_test(size=(60, 24)) as pilot:
            for _ in range(100):
                await pilot.pause(0.05)
                if app.query_one("#banner").display:
                    break
            return str(app.query_one("#banner", Static).render()), app.query_one(FleetTable).is_old

    text, is_old = asyncio.run(shown())
    assert text.startswith("showing the fleet as it was ")
    assert is_old
