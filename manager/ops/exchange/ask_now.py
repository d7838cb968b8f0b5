"""Ask the exchange what the live instances have there now, beside what their bots last reported.

Nothing is changed there, and a bot that runs goes on: the question is asked from a container beside it. Of
one that is down, the answer is kept as what it has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.errors import ManagerError
from manager.fleet import closed_report, doing, state_file, supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.answer import ASKED_AT_ONCE, Answer
from manager.ops.exchange import open_orders
from manager.typed import NamedTuple
from manager.util.threads import TaskGroup

PURPOSE = "asked"
"""Not that of a halt's question, which must not be cut off by this one."""


def _keep(view: Instance, answer: Answer, fleet: Fleet) -> None:
    state_dir = fleet.instance_state_dir(view.id)
    if answer.left is not None and _is_down(view, state_dir):
        closed_report.keep_answer(state_dir, answer.left, answer.position)
        with suppress(ManagerError):
            state_file.update(fleet, lambda state: state.with_left_known([view.id]))


def _is_down(view: Instance, state_dir: Path) -> bool:
    """Return whether no bot writes its report any more, now that the answer is there."""
    if view.status.state == "stopped":
        return not supervisor_state.has_bot(state_dir)
    state = supervisor_state.read(state_dir)
    return (
        view.status.state in supervisor_state.FINAL and state is not None and state.state == view.status.state
    )


class OrdersRow(NamedTuple):
    """Hold one instance's answer. `reported_orders`, `reported_position`: what its bot last reported."""

    instance: str
    exchange: str
    symbol: str
    answer: Answer
    reported_orders: int | None
    reported_position: Decimal | None

    @property
    def differs(self) -> bool:
        """Return whether bot and exchange do not say the same: after a fill, for a moment, they do not."""
        orders, position = self.answer.left, self.answer.position
        return (None not in (orders, self.reported_orders) and orders != self.reported_orders) or (
            position is not None
            and self.reported_position is not None
            and position.amount != self.reported_position
        )


def ask(
    snapshot: FleetSnapshot,
    views: Sequence[Instance],
    engine: Engine,
    on_asked: Callable[[OrdersRow], object],
) -> list[OrdersRow]:
    """Return an answer for each live one of them, and tell each as it comes."""
    fleet = snapshot.project.fleet
    live = doing.with_reports(fleet, [view for view in views if view.mode == "live"])

    def ask_one(view: Instance) -> OrdersRow:
        if view.container is None:
            answer = Answer(None, why=Text("it has no container from which the exchange could be asked"))
        else:
            answer = open_orders.ask(view.container, snapshot, engine, PURPOSE)
            _keep(view, answer, fleet)
        report = view.report.report if view.report is not None else None
        return OrdersRow(
            view.id,
            view.exchange or "?",
            view.symbol or "?",
            answer,
            report.open_orders if report else None,
            report.position if report else None,
        )

    rows: dict[str, OrdersRow] = {}
    for asked in TaskGroup([partial(ask_one, view) for view in live], ASKED_AT_ONCE):
        on_asked(asked)
        rows[asked.instance] = asked
    return [rows[view.id] for view in live]
