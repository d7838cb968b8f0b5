"""Run `upgrade`: roll out a new image or changed configs, and print the order."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any, assert_never

from manager.cli import left_behind, report
from manager.cli.notices import say_problems
from manager.errors import FAILED, OK, ManagerError
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text, _, labelled, mark
from manager.ops.actions.action import Outcome
from manager.ops.rollout import rollout, rollout_order
from manager.ops.rollout.rollout_events import (
    BatchStarted,
    HealthyAfter,
    OwnEvent,
    Ready,
    RolloutEvent,
    Starting,
    Stopping,
    WaitsFor,
)
from manager.ops.rollout.rollout_result import Result, RolloutAction, RolloutKind, exit_code_of
from manager.util import console, formatting

RESULTS: Mapping[RolloutKind, str] = {
    "upgrade": "upgraded",
    "rolled back": "put back",
    "not reached": "not reached",
    "leave": "left",
}
"""The results in JSON; `failed` if there is an error."""

WORDS: Mapping[str, str] = {
    "upgraded": mark("upgraded"),
    "put back": mark("rolled back"),
    "failed": mark("FAILED"),
    "not reached": mark("not reached"),
    "left": mark("left alone"),
}


def upgrade(session: Session, args: Namespace) -> int:
    """Roll out a new image or changed configs."""
    request = rollout_order.Request(
        Selection(args.ids, args.config), args.canary, args.batch, args.ready, args.wait_timeout
    )
    with report.Reporter(as_json=args.json, goes_on=True) as reporter:

        def on_event(event: RolloutEvent) -> None:
            if not isinstance(event, OwnEvent):
                reporter(event)
            elif not args.json:
                console.say(_event_text(event))

        if args.dry_run:
            return _say_order(rollout_order.planned(session, request, on_event), as_json=args.json)
        result = rollout.upgrade(session, request, on_event, lock_wait=args.lock_wait)
    return reporter.code(_say_result(result, Selection(args.ids, args.config), as_json=args.json))


def _event_text(event: OwnEvent) -> Text:
    match event:
        case BatchStarted(1, _count, instances):
            return Text("canary: {ids}", ids=", ".join(instances))
        case BatchStarted(number, count, instances):
            return Text(
                "batch {number} of {count}: {ids}", number=number, count=count, ids=", ".join(instances)
            )
        case Stopping(action):
            return Text("{id}: stopping ({cause})", id=action.instance, cause=action.cause)
        case HealthyAfter(instance, seconds):
            return Text("{id}: healthy after {duration}", id=instance, duration=formatting.duration(seconds))
        case WaitsFor(instance, why, most):
            return Text(
                "{id}: it cannot trade: {why}; waiting up to {minutes} min until it can",
                id=instance,
                why=why,
                minutes=round(most / 60),
            )
        case Starting(instance, why, most):
            return Text(
                "{id}: it is still starting: {why}; waiting up to {minutes} min from its start",
                id=instance,
                why=why,
                minutes=round(most / 60),
            )
        case Ready(instance):
            return Text("{id}: ready", id=instance)
        case _:
            assert_never(event)


def _say_order(order: rollout_order.Order, *, as_json: bool) -> int:
    code = FAILED if any(action.is_moved for action in order.left) else OK
    if as_json:
        upgraded = [
            {"id": action.instance, "batch": number, "action": action.kind, "cause": str(action.cause)}
            for number, batch in enumerate(order.batches, start=1)
            for action in batch
        ]
        left = [
            {"id": action.instance, "batch": None, "action": "leave", "cause": str(action.cause)}
            for action in order.left
        ]
        console.say_json(upgraded + left)
        return code
    for number, batch in enumerate(order.batches, start=1):
        head = _("canary") if number == 1 else str(Text("batch {number}", number=number))
        for action in batch:
            console.say(labelled(head, action.instance, action.cause))
    for action in order.left:
        console.say(report.action_line(action))
    if not order.batches:
        console.say(_("nothing to upgrade"))
    return code


def _say_result(result: Result, selection: Selection, *, as_json: bool) -> int:
    """Print the result. Returns the exit code."""
    if as_json:
        by_id = sorted(result.outcomes, key=lambda outcome: outcome.action.instance)
        console.say_json([_object(outcome) for outcome in by_id])
    else:
        _summarise(result)
    for killed in result.killed:
        console.error(left_behind.killed_text(killed))
    failed = [outcome for outcome in result.outcomes if exit_code_of(outcome)]
    for outcome in failed:
        word = Text(WORDS[_word(outcome)])
        console.error(
            Text("{id}: {result}: {why}", id=outcome.action.instance, result=word, why=_why(outcome))
        )
    say_problems(result.snapshot.project, selection.named(result.snapshot.project))
    stopped = result.stopped
    if isinstance(stopped, ManagerError) and all(_why(outcome) is not stopped for outcome in failed):
        console.error(stopped)
    return result.exit_code


def _summarise(result: Result) -> None:
    if all(outcome.action.kind == "leave" for outcome in result.outcomes):
        console.say(_("nothing to upgrade"))
    for word in ("upgraded", "not reached"):
        if ids := [outcome.action.instance for outcome in result.outcomes if _word(outcome) == word]:
            console.say(labelled(_(WORDS[word]), ", ".join(ids)))
    if result.stopped is not None:
        console.say(Text("the roll-out has stopped: {why}", why=result.stopped))


def _word(outcome: Outcome[RolloutAction]) -> str:
    return "failed" if outcome.error is not None else RESULTS[outcome.action.kind]


def _why(outcome: Outcome[RolloutAction]) -> Text | ManagerError:
    return outcome.error or outcome.action.cause


def _object(outcome: Outcome[RolloutAction]) -> dict[str, Any]:
    return {"id": outcome.action.instance, "result": _word(outcome), "why": str(_why(outcome))}
