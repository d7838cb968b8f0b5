"""Print a changing command's plan, its actions as they end, and its result."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from manager.cli.left_behind import (
    answer_object,
    killed_text,
    position_object,
    position_text,
    reported_amount,
    say_answer,
    say_reported,
)
from manager.cli.notices import say_problems
from manager.config import bundled_reads, handover
from manager.config.bot_argv import other_arguments
from manager.errors import FAILED, ManagerError, worst_exit_code
from manager.fleet import causes, doing
from manager.fleet.selection import EVERYTHING, Selection
from manager.i18n import Text, _, bracketed, labelled, listed, mark
from manager.ops.actions.action import Kind
from manager.ops.actions.events import (
    ActionDone,
    ActionsEnded,
    ActionsStarted,
    Event,
    Healthy,
    LeftAlone,
    Warned,
)
from manager.ops.planning import plan
from manager.typed import TYPE_CHECKING, Any, assert_never
from manager.util import console, formatting
from manager.util.sanitize import replace_unprintable

if TYPE_CHECKING:
    from manager.errors import Problem
    from manager.fleet.observe import FleetSnapshot
    from manager.ops.actions.action import Action, Outcome
    from manager.ops.actions.result import Planned, Result
    from manager.ops.exchange.live_checks import LiveCheck
    from manager.util.progress_line import Progress


LIVE_LEVELS = {"ok": mark("ok"), "warn": mark("warn"), "fail": mark("fail")}
WORST_FIRST = ("fail", "warn", "ok")


class Reporter:
    """Print progress. Use it in a `with` statement, so that its last line is always cleared.

    With `as_json` only warnings are printed, on standard error. On a terminal, the last line shows what is in
    progress. With `goes_on`, the work goes on where nothing can be printed, as on a full disk: `code` says so
    at its end. `warned`: what need not be warned of again, with what is warned of here.
    """

    def __init__(
        self, *, as_json: bool = False, goes_on: bool = False, warned: set[str] | None = None
    ) -> None:
        self._as_json, self._goes_on, self._warned = as_json, goes_on, warned
        self._unsaid: ManagerError | None = None
        self._progress: Progress | None = None

    def __call__(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, Warned):
            self._warn(event)
        elif not self._as_json:
            try:
                self._say(event)
            except ManagerError as error:
                if not self._goes_on:
                    raise
                self._unsaid = error
                console.discard_output(sys.stdout)

    def _warn(self, event: Warned) -> None:
        if self._warned is not None:
            if (text := str(event.message)) in self._warned:
                return
            self._warned.add(text)
        console.warning(event.message)

    def code(self, code: int) -> int:
        """Return the command's exit code; print first that lines could not be printed."""
        if self._unsaid is None:
            return code
        console.error(self._unsaid)
        return worst_exit_code([code, self._unsaid.exit_code])

    def _say(self, event: LeftAlone | ActionsStarted | ActionDone | ActionsEnded | Healthy) -> None:
        match event:
            case LeftAlone(action):
                console.say(action_line(action))
            case ActionsStarted(actions):
                self._begin([action.instance for action in actions])
            case ActionDone(outcome):
                line = outcome_line(outcome)
                if self._progress is None:
                    console.say(line)
                else:
                    self._progress.finish(outcome.action.instance, line)
            case ActionsEnded():
                self._end()
            case Healthy(instance, url, None):
                console.say(Text("{id}: healthy, {url}", id=instance, url=url))
            case Healthy(instance, url, trouble):
                console.say(Text("{id}: running, {url}: {trouble}", id=instance, url=url, trouble=trouble))
            case _:
                assert_never(event)

    def _begin(self, ids: Sequence[str]) -> None:
        if sys.stdout.isatty():
            from manager.util.progress_line import Progress  # threads, and what knows a terminal's width

            self._progress = Progress(ids)
            self._progress.__enter__()

    def _end(self) -> None:
        if self._progress is not None:
            progress, self._progress = self._progress, None
            progress.__exit__(None, None, None)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def say_plan(
    planned: Planned,
    changes: Mapping[str, Sequence[Text]],
    checks: Sequence[LiveCheck] = (),
    *,
    as_json: bool,
    selection: Selection = EVERYTHING,
) -> int:
    """Print what would be done, `changes` (what a changed config changes, by instance), and what the
    exchanges were asked. `selection`: what the command was about.

    Returns the exit code.
    """
    checks_by_instance = {check.instance: check for check in checks}
    code = planned.exit_code or (0 if all(check.is_sound for check in checks) else FAILED)
    if as_json:
        console.say_json(
            [
                {
                    **_action_object(action),
                    "changes": [str(change) for change in changes.get(action.instance, ())],
                    "literals": _literals(planned, action),
                    "arguments": _other_arguments(planned, action),
                    **_live_object(checks_by_instance.get(action.instance)),
                }
                for action in planned.actions
            ]
        )
        _say_what_holds_back(planned.problems)
        return code
    for action in planned.actions:
        console.say(action_line(action))
        for change in changes.get(action.instance, ()):
            console.say(f"    {change}")
        for name, text in _literals(planned, action).items():
            line = Text("its config gives the bot {name}={text}", name=name, text=text)
            console.say(f"    {replace_unprintable(str(line))}")
        if arguments := _other_arguments(planned, action):
            line = Text("its config gives the bot the arguments {arguments}", arguments=" ".join(arguments))
            console.say(f"    {replace_unprintable(str(line))}")
        for live_line in _live_lines(checks_by_instance.get(action.instance)):
            console.say(f"    {live_line}")
    _say_drift(planned.snapshot, planned.actions, selection)
    if not plan.effective(planned.actions):
        console.say(_("nothing to do"))
    _say_what_holds_back(planned.problems)
    return code


def _live_lines(check: LiveCheck | None) -> Iterator[str]:
    """Yield what the exchange was asked for one instance, the worst first."""
    if check is None:
        return
    if check.why is not None:
        yield str(Text("cannot be checked at its exchange: {why}", why=check.why))
    for line in sorted(check.lines, key=lambda line: WORST_FIRST.index(line.level)):
        yield str(Text("{id}: {what}", id=_(LIVE_LEVELS[line.level]), what=line.text))
        if line.remedy is not None:
            yield f"    → {line.remedy}"


def _live_object(check: LiveCheck | None) -> dict[str, Any]:
    """Return the same for programs; nothing where the exchange was not asked."""
    if check is None:
        return {}
    lines = [
        {
            "level": line.level,
            "code": line.code,
            "text": str(line.text),
            "remedy": None if line.remedy is None else str(line.remedy),
        }
        for line in check.lines
    ]
    return {"live": {"checks": lines, "error": None if check.why is None else str(check.why)}}


def _say_what_holds_back(problems: Sequence[Problem]) -> None:
    """Print the faults of configs that hold instances back."""
    for problem in problems:
        console.error(problem)


def _literals(planned: Planned, action: Action) -> dict[str, str]:
    """Return what a config itself would hand over to the bot that the action starts."""
    spec = planned.snapshot.project.specs.get(action.instance)
    if spec is None or not action.starts or action.as_it_was:
        return {}
    project = planned.snapshot.project
    if planned.snapshot.image.has_bundled_bot(project.fleet):
        spec = bundled_reads.reaching(spec, project.fleet)
    return handover.literals(spec, project.variables)


def _other_arguments(planned: Planned, action: Action) -> list[str]:
    """Return the arguments that a config invents for the bot that the action starts."""
    spec = planned.snapshot.project.specs.get(action.instance)
    return [] if spec is None or not action.starts or action.as_it_was else other_arguments(spec.command)


def say_result(
    result: Result, *, as_json: bool, with_problems: bool = False, selection: Selection = EVERYTHING
) -> int:
    """Print the result and return the exit code. Raises the error if the engine became unreachable.

    `selection`: what the command was about.
    `with_problems`: also print which configs are invalid, after a command that needs none.
    """
    outcomes = result.outcomes
    if as_json:
        by_id = sorted(outcomes, key=lambda outcome: outcome.action.instance)
        console.say_json([_outcome_object(outcome) for outcome in by_id])
    else:
        if not outcomes and not result.late:
            console.say(_("nothing to do"))
        _say_drift(result.snapshot, result.actions, selection)
    for outcome in outcomes:
        if outcome.error is not None:
            console.error(outcome.error)
    for outcome in outcomes:
        if outcome.was_killed:
            console.error(killed_text(outcome))
    for outcome in outcomes:
        if outcome.answer is not None:
            say_answer(outcome, outcome.answer)
        else:
            say_reported(outcome)
    for instance in result.late:
        view = result.snapshot.views[instance]
        why = causes.of_waiting(doing.with_last_words(result.snapshot.project.fleet, view))
        console.error(Text("{id} is {state}: {why}", id=instance, state=Text(view.status.state), why=why))
    for error in result.errors:
        console.error(error)
    if result.engine_error is not None:
        raise result.engine_error
    if with_problems:
        say_problems(result.snapshot.project, selection.named(result.snapshot.project))
    _say_what_holds_back(result.problems)
    return result.exit_code


def _say_drift(snapshot: FleetSnapshot, actions: Sequence[Action], selection: Selection) -> None:
    """Print which of these instances run an older image: a new one does not restart anything by itself."""
    named = selection.named(snapshot.project)
    settled = {
        action.instance
        for action in actions
        if action.kind not in {"start", "restart"} and not action.keeps_image
    }
    behind = [
        instance
        for instance, view in snapshot.views.items()
        if "image" in view.drift
        and not view.is_rolled_back
        and instance not in settled
        and (named is None or instance in named)
    ]
    if behind:
        console.say(
            Text(
                "{count} of the instances run an older image; `manager upgrade` upgrades them: {ids}",
                count=len(behind),
                ids=", ".join(behind),
            )
        )


DONE: Mapping[Kind, str] = {
    "create": mark("created"),
    "recreate": mark("recreated"),
    "rollback": mark("rolled back"),
    "start": mark("started"),
    "restart": mark("restarted"),
    "update": mark("updated"),
    "stop": mark("stopped"),
    "remove": mark("removed"),
    "leave": mark("left alone"),
}
PLANNED: Mapping[Kind, str] = {
    "create": mark("create"),
    "recreate": mark("recreate"),
    "rollback": mark("roll back"),
    "start": mark("start"),
    "restart": mark("restart"),
    "update": mark("update"),
    "stop": mark("stop"),
    "remove": mark("remove"),
    "leave": mark("left alone"),
}


def action_line(action: Action) -> str:
    """Return `bp_sol_01: recreate: config changed`."""
    kind = action.kind if action.is_for_bot else "leave"
    return replace_unprintable(labelled(action.instance, _(PLANNED[kind]), action.cause))


def outcome_line(outcome: Outcome[Action]) -> str:
    """Return `bp_sol_01: recreated (config changed, 1.2 s)`."""
    if outcome.error is None and not outcome.action.is_for_bot:
        return action_line(outcome.action)
    verb = _("failed") if outcome.error else _(DONE[outcome.action.kind])
    about = bracketed(outcome.action.cause, formatting.duration(outcome.seconds))
    text = labelled(outcome.action.instance, f"{verb}{about}")
    if outcome.open_orders_left is not None:
        text = listed([text, Text("{count} open orders left", count=outcome.open_orders_left)])
    if outcome.answer is None or (outcome.position is not None and outcome.position.is_of_exchange):
        return text + position_text(outcome.position)
    if outcome.position is None:
        return listed([text, _("position unknown")])
    return listed([text, Text("position {amount}", amount=reported_amount(outcome.position))])


def _action_object(action: Action) -> dict[str, Any]:
    return {"id": action.instance, "action": action.kind, "cause": str(action.cause)}


def _outcome_object(outcome: Outcome[Action]) -> dict[str, Any]:
    return {
        **_action_object(outcome.action),
        "seconds": round(outcome.seconds, 3),
        "error": str(outcome.error) if outcome.error else None,
        "killed": outcome.was_killed,
        "open_orders_left": outcome.open_orders_left,
        **position_object(outcome.position),
        **answer_object(outcome.answer),
    }
