"""Which columns of `ps` a narrow terminal keeps: who it is, how it is, and why come last to go."""

from __future__ import annotations

from decimal import Decimal

from manager.fleet import display
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import State, Status
from manager.i18n import Text
from manager.util import text_table
from tests.builders import a_container, a_spec


def test_columns_go_in_order() -> None:
    container = a_container(labels={})
    view = Instance(
        "bp_sol_01", Status("failed", why=Text("exit code 1")), (), a_spec(), container, None, InstanceState()
    )
    heads = []
    for width in range(130, 45, -1):
        head = " ".join(display.ps_table([view], width).head.split())
        if head not in heads:
            heads.append(head)
    assert heads == [
        "ID MODE STATE DOING P&L POSITION EXCHANGE SYMBOL STRATEGY WEB RESTARTS SINCE NOTE",
        "ID MODE STATE DOING P&L POSITION EXCHANGE SYMBOL WEB RESTARTS SINCE NOTE",
        "ID MODE STATE DOING P&L POSITION SYMBOL WEB RESTARTS SINCE NOTE",
        "ID MODE STATE DOING P&L POSITION SYMBOL RESTARTS SINCE NOTE",
        "ID MODE STATE DOING P&L POSITION SYMBOL SINCE NOTE",
        "ID MODE STATE DOING P&L POSITION SYMBOL NOTE",
        "ID MODE STATE DOING P&L POSITION NOTE",
        "ID MODE DOING P&L POSITION NOTE",
        "ID MODE DOING P&L POSITION",
        "ID MODE STATE DOING P&L POSITION",
    ]


def test_what_a_trader_reads_first_stays_and_the_note_goes_below() -> None:
    """Mode, doing, P&L and position; the state stands in DOING where no bot works."""
    why = Text("exit code 1 " * 5)
    report = KeptReport(Report(pnl=Decimal("-12.34567"), quote="USDC", position=Decimal("0.26"), base="ETH"))
    states: list[tuple[str, State]] = [("bp_sol_01", "failed"), ("bp_eth_02", "running")]
    views = [
        Instance(name, Status(state, why=why), (), a_spec(), None, None, InstanceState(), report=report)
        for name, state in states
    ]
    table = display.ps_table(views, 50)
    assert table.head.split() == ["ID", "MODE", "DOING", "P&L", "POSITION"]
    failed, running = (lines[0].split() for lines in table.rows)
    assert failed == ["bp_sol_01", "paper", "failed", "-12.35", "USDC", "0.26", "ETH"]
    assert running[2] == "unknown"
    assert all(len(lines) > 1 for lines in table.rows), "the note is below"
    assert max(text_table.width(line) for line in table.text.splitlines()) <= 50
