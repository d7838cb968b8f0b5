"""What a changing command says: its plan, each action as it ends, and what all of it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.errors import FAILED, OK, TIMED_OUT, worst_exit_code
from manager.fleet import display
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops import plan
from manager.ops.action import Action
from manager.util import console

if TYPE_CHECKING:
    from manager.ops.execute import Outcome


def say_plan(session: Session, snapshot: FleetSnapshot, actions: list[Action]) -> int:
    """Shows what would be done, and stops there."""
    if session.as_json:
        console.say_json([_action_object(action) for action in actions])
        return OK
    for action in actions:
        console.say(action_line(action))
    _say_drift(snapshot, actions)
    if not plan.effective(actions):
        console.say(_("nothing to do"))
    return OK


def say_outcomes(
    session: Session,
    after: FleetSnapshot,
    actions: list[Action],
    outcomes: list[Outcome],
    late: list[str],
) -> int:
    """Says how it went. Returns the exit code that all of it comes to."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    killed = [outcome for outcome in outcomes if outcome.was_killed]
    if session.as_json:
        console.say_json(
            [_outcome_object(outcome) for outcome in sorted(outcomes, key=lambda each: each.action.instance)]
        )
    elif not outcomes and not late:
        console.say(_("nothing to do"))
    if not session.as_json:
        _say_drift(after, actions)
    for error in errors:
        console.error(error)
    for outcome in killed:
        console.error(killed_text(outcome))
    left = [outcome for outcome in outcomes if outcome.open_orders_left and not outcome.was_killed]
    for outcome in left:
        console.error(
            Text(
                "{id} has ended and reported {count} open orders left: look at the exchange",
                id=outcome.action.instance,
                count=outcome.open_orders_left,
            )
        )
    for each in late:
        view = after.views[each]
        why = display.note(view)
        console.error(Text("{id} is {state}: {why}", id=each, state=Text(view.verdict.state), why=why))
    failed = [FAILED for each in late if after.views[each].verdict.state in {"failed", "stopped", "missing"}]
    codes = (
        [error.exit_code for error in errors]
        + [TIMED_OUT for _each in killed]
        + [FAILED for _each in left]
        + failed
    )
    codes += [TIMED_OUT for _each in late] if len(failed) < len(late) else []
    return worst_exit_code(codes)


def killed_text(outcome: Outcome) -> Text:
    """What a person must know of a bot that had to be killed."""
    if outcome.open_orders_left is None:
        return Text(
            "{id} did not end in time and was killed; it did not report its orders: look at the exchange",
            id=outcome.action.instance,
        )
    return Text(
        "{id} did not end in time and was killed; it reported {count} open orders left",
        id=outcome.action.instance,
        count=outcome.open_orders_left,
    )


def _say_drift(snapshot: FleetSnapshot, actions: list[Action]) -> None:
    """A new image restarts nothing by itself, so it is said."""
    touched = {action.instance for action in actions}
    behind = [
        each
        for each, view in snapshot.views.items()
        if "image" in view.drift and not view.is_rolled_back and each not in touched
    ]
    if behind:
        console.say(
            Text(
                "{count} of the instances run an older image; `manager upgrade` renews them: {ids}",
                count=len(behind),
                ids=", ".join(behind),
            )
        )


DONE = {
    "create": mark("created"),
    "recreate": mark("recreated"),
    "rollback": mark("rolled back"),
    "start": mark("started"),
    "restart": mark("restarted"),
    "stop": mark("stopped"),
    "remove": mark("removed"),
    "leave": mark("left alone"),
}
PLANNED = {
    "create": mark("create"),
    "recreate": mark("recreate"),
    "rollback": mark("roll back"),
    "start": mark("start"),
    "restart": mark("restart"),
    "stop": mark("stop"),
    "remove": mark("remove"),
    "leave": mark("left alone"),
}


def action_line(action: Action) -> str:
    """`bp_sol_01: recreate: config changed`."""
    return f"{action.instance}: {_(PLANNED[action.kind])}: {action.cause}"


def outcome_line(outcome: Outcome) -> str:
    """`bp_sol_01: recreated (config changed, 1.2 s)`."""
    verb = _("failed") if outcome.error else _(DONE[outcome.action.kind])
    text = f"{outcome.action.instance}: {verb} ({outcome.action.cause}, {outcome.seconds:.1f} s)"
    if outcome.open_orders_left is not None:
        text += f", {Text('{count} open orders left', count=outcome.open_orders_left)}"
    return text


def _action_object(action: Action) -> dict[str, Any]:
    return {"id": action.instance, "action": action.kind, "cause": str(action.cause)}


def _outcome_object(outcome: Outcome) -> dict[str, Any]:
    return {
        **_action_object(outcome.action),
        "seconds": round(outcome.seconds, 3),
        "error": str(outcome.error) if outcome.error else None,
        "killed": outcome.was_killed,
        "open_orders_left": outcome.open_orders_left,
    }
