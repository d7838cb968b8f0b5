"""Tell what a bot has left that does not run: a position, orders, and whether somebody has ended it. Pure."""

from decimal import Decimal

from manager.fleet.amounts import amount
from manager.fleet.bot_report import KeptReport
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.fleet.supervisor_state import Cancel, SupervisorState
from manager.i18n import Text, mark

ENDED: frozenset[State] = frozenset({"completed", "failed", "restarting", "stopped", "missing"})
"""States in which no bot runs."""

ASKS_ITS_EXCHANGE = frozenset({"trading", "out_of_range"})
"""Conditions of a bot that knows its open orders: at its start it has asked for those of an earlier run."""


def position_left(view: Instance) -> Decimal | None:
    """Return the position in the bot's last report; None if unknown, which never counts as flat.

    The exchange's own figure comes before the bot's.
    """
    if view.report is None:
        return None
    at_exchange = view.report.left_at_exchange
    return view.report.report.position if at_exchange is None else at_exchange


def has_left_money(view: Instance) -> bool:
    """Return whether no bot runs, and real money is, or may be, in a position that it has left."""
    if view.report is None or view.mode != "live" or view.tombstone is not None:
        return False
    return view.status.own_state in ENDED and may_have_position(view)


def may_have_position(view: Instance) -> bool:
    """Return whether it has, or may have, left a position that somebody can close: dust is none."""
    if view.mode == "live" and view.report is not None and view.report.report.mode == "paper":
        return False  # of before its config's mode was changed
    return position_left(view) != 0 and not has_left_dust(view)


def has_left_dust(view: Instance) -> bool:
    """Return whether what it has left is known to be less than an order may be of."""
    return view.report is not None and view.report.is_dust and not _may_orders_change_it(view)


def _may_orders_change_it(view: Instance) -> bool:
    """Return whether orders that are not known to be cancelled may have changed what it last reported."""
    if is_left_unknown(view):
        return True
    if (cancel := _cancel(view)) is not None:
        return cancel.state != "confirmed"
    kept_report = view.report
    if view.mode != "live" or kept_report is None or kept_report.left_at_exchange is not None:
        return False
    is_told = kept_report.orders_left == 0 or (
        kept_report.report.is_final and kept_report.orders_left is None
    )
    return not (kept_report.has_ended and is_told)


def may_have_left_orders(view: Instance) -> bool:
    """Return whether its container is gone, and nothing tells that its live bot has left no order."""
    kept_report = view.report
    if view.status.state != "missing" or view.tombstone is not None or _is_settled(view):
        return False
    if view.supervisor is None and (kept_report is None or kept_report.is_previous):
        return False  # it has not run, or not since a start has cleared what the run before has left
    mode = (kept_report.report.mode if kept_report is not None else None) or view.mode
    return mode == "live" and (kept_report is None or kept_report.orders_left != 0)


def orders_left(view: Instance) -> int:
    """Return how many orders a live bot that is down has left at its exchange, as was said at its end, or as
    the exchange has said since. While they are being cancelled, that is said instead.
    """
    is_over = view.status.state in {"stopped", "completed", "missing"} or _is_given_up(view)
    if not is_over or not _is_real(view) or _is_settled(view):
        return 0
    told = _orders_told_by_last_run(view)
    if told is None and _is_given_up(view) and (cancel := _cancel(view)) is not None:
        told = cancel.open_orders_left
    return told or 0


def known_orders_left(view: Instance) -> int | None:
    """Return how many orders a live bot has left that no longer runs; None while it runs, and where nobody
    knows.
    """
    if not _is_real(view) or view.status.own_state not in ENDED:
        return None
    if is_left_unknown(view) or are_orders_unknown(view) or _is_settled(view):
        return None
    if count := orders_left(view):
        return count
    cancel = _cancel(view)
    if cancel is not None and view.status.state == "failed":
        return cancel.open_orders_left
    return _orders_told_by_last_run(view)


def _is_settled(view: Instance) -> bool:
    """Return whether its container is gone, and a person has said since then that nothing is left."""
    settled_at, kept_report = view.saved.settled_at, view.report
    if settled_at is None or view.status.state != "missing":
        return False
    told_at = (kept_report.orders_told_at or kept_report.at) if kept_report is not None else None
    began_at = view.supervisor.bot_started_at if view.supervisor is not None else None
    return all(at is None or at <= settled_at for at in (told_at, began_at))


def _is_given_up(view: Instance) -> bool:
    """Return whether it has failed, and no program cancels its orders: there is none, or its container has
    ended before the exchange had confirmed.
    """
    cancel, supervisor = _cancel(view), view.supervisor
    if view.status.state != "stopped":
        return view.status.state == "failed" and cancel is None
    return (
        supervisor is not None
        and supervisor.state == "failed"
        and (cancel is None or cancel.state != "confirmed")
    )


def _cancel(view: Instance) -> Cancel | None:
    return view.supervisor.cancel if view.supervisor is not None else None


def _is_real(view: Instance) -> bool:
    return view.mode == "live" and view.tombstone is None


def _orders_told(kept_report: KeptReport | None) -> int | None:
    """Return the orders that the last run has left; None if nobody said."""
    if kept_report is None or kept_report.is_previous or not kept_report.has_ended:
        return None
    return kept_report.orders_left


def _orders_told_by_last_run(view: Instance) -> int | None:
    """Return what `_orders_told` does, but None if it was told before a run that was killed had begun.

    On a full disk its supervisor cannot mark the report as that of the run before.
    """
    told, kept_report = _orders_told(view.report), view.report
    if told is None or kept_report is None or view.supervisor is None or not was_killed(view):
        return told
    began_at, told_at = view.supervisor.bot_started_at, kept_report.orders_told_at or kept_report.at
    return None if began_at is not None and told_at is not None and told_at < began_at else told


def is_down_unasked(view: Instance) -> bool:
    """Return whether it does not run although nobody has stopped it or taken it down by the manager."""
    saved, state = view.saved, view.status.own_state
    if view.tombstone is not None or saved.halted is not None or saved.wish == "stopped":
        return False
    if state == "stopped":
        had_ended = view.supervisor is not None and view.supervisor.state == "completed"
        return view.container is not None and view.container.engine_state == "exited" and not had_ended
    if state != "missing" or view.spec is None or saved.registered_at is None:
        return False
    has_run = view.supervisor is not None or view.report is not None
    return saved.taken_down_at is None or (has_run and not was_taken_down(view))


def is_between_machines(view: Instance) -> bool:
    """Return whether it ran, and runs on no machine until its move is finished or called off."""
    stone = view.tombstone
    is_down = view.status.own_state in {"stopped", "missing"}
    return stone is not None and stone.is_unfinished and stone.did_run and is_down


def was_killed(view: Instance) -> bool:
    """Return whether its container ended without its supervisor's word, or its stop had to kill the bot."""
    if view.status.state != "stopped" or view.supervisor is None or view.container is None:
        return False
    if view.supervisor.state == "stopped":
        last_exit = view.supervisor.last_exit
        return last_exit is not None and (last_exit.killed or last_exit.oom)
    has_ended = view.supervisor.state in ("failed", "completed")
    return not has_ended and view.container.engine_state == "exited"


def are_orders_unknown(view: Instance) -> bool:
    """Return whether a live bot has ended without a word on its orders, and nobody has asked since."""
    kept_report = view.report
    is_over = view.status.state == "completed" or _is_given_up(view) or was_killed(view)
    if not is_over or not _is_real(view) or _orders_told_by_last_run(view) is not None:
        return False
    is_explained = kept_report is not None and kept_report.has_ended and kept_report.report.is_final
    return was_killed(view) or not is_explained


def is_left_unknown(view: Instance) -> bool:
    """Return whether the exchange was asked in vain what a live run has left, and nobody has learnt it since.

    A bot on paper, which has taken that one's place, learns nothing of it.
    """
    if view.saved.left_unknown_at is None or view.tombstone is not None:
        return False
    trades = view.mode == "live" and view.status.own_state not in ENDED
    return not trades and not is_left_known(view.saved.left_unknown_at, view.report, view.supervisor)


def is_left_known(
    unknown_at: float | None, kept_report: KeptReport | None, supervisor: SupervisorState | None
) -> bool:
    """Return whether nothing was unknown, or a live bot has said since what is open at its exchange.

    What was said before is not enough: orders that were sent in the last moment may rest all the same.
    """
    if unknown_at is None:
        return True
    began_at = supervisor.bot_started_at if supervisor is not None else None
    has_run_since = began_at is not None and began_at > unknown_at
    if kept_report is None or (kept_report.report.contract is None and _orders_told(kept_report) is None):
        return has_run_since and not (kept_report is not None and kept_report.report.mode == "paper")
    told_at = kept_report.orders_told_at or kept_report.at
    is_since = has_run_since if told_at is None else told_at > unknown_at
    is_told = _orders_told(kept_report) is not None or _has_traded(kept_report)
    return is_since and is_told and kept_report.report.mode != "paper"


def unknown_from(now: float, kept_report: KeptReport | None, supervisor: SupervisorState | None) -> float:
    """Return from when on a word on its orders is an answer to what is asked now.

    What was said before the clock was set back bears a later time, and is none.
    """
    told = [kept_report.orders_told_at or kept_report.at] if kept_report is not None else []
    told += [supervisor.bot_started_at] if supervisor is not None else []
    return max([now, *(at for at in told if at is not None)])


def _has_traded(kept_report: KeptReport) -> bool:
    """Return whether the bot's report is that of one which has its orders from its exchange."""
    condition = kept_report.report.condition
    return not kept_report.is_previous and condition is not None and condition.code in ASKS_ITS_EXCHANGE


def was_taken_down(view: Instance) -> bool:
    """Return whether `manager down` has taken it down since its bot was last started: what was known of its
    orders was said then.
    """
    taken_down_at, supervisor = view.saved.taken_down_at, view.supervisor
    if taken_down_at is None:
        return False
    if supervisor is not None:  # its last words are of after that
        return taken_down_at > (supervisor.started_at or supervisor.bot_started_at or supervisor.updated_at)
    reported_at = view.report.at if view.report is not None else None
    return reported_at is not None and taken_down_at > reported_at


def ending(view: Instance) -> Text:
    """Return the position that is left after a run has ended, as a sentence.

    Orders that are not known to be cancelled may have changed it since.
    """
    left = position_left(view)
    if left is None:
        return Text("its position is not known")
    if _may_orders_change_it(view) and view.report is not None:
        return Text("last known position: {amount}", amount=amount(left, view.report.report.base))
    if not left:
        return Text("no position is left")
    assert view.report is not None
    if has_left_dust(view):
        text = mark("only dust is left, less than can be traded: {amount}")
        return Text(text, amount=amount(left, view.report.report.base))
    return Text("position left: {amount}", amount=amount(left, view.report.report.base))
