"""Which columns of `ps` a narrow terminal keeps: who it is, how it is, and why come last to go."""

from __future__ import annotations

from manager.fleet import display
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.i18n import Text
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
        "ID MODE STATE DOING P&L NOTE",
        "ID MODE STATE DOING NOTE",
    ]
