"""Run `halt`, the kill switch: stop everything at once, and verify that no orders are left."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

from manager.cli import ending, halt_interrupted, halt_signals
from manager.cli.commands.close import close_positions, closing_object
from manager.cli.left_behind import (
    how_killed,
    orders_left_text,
    position_object,
    position_text,
    reported_amount,
    unknown_orders_text,
)
from manager.cli.notices import say_problems
from manager.engine.containers import Container
from manager.errors import ConfigError, ManagerError, UsageError, worst_exit_code
from manager.fleet import supervisor_state
from manager.fleet.instance import market_of
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text, _, bracketed, labelled, listed, mark
from manager.ops.actions.answer import Answer
from manager.ops.actions.events import Warned
from manager.ops.exchange.close import Closing
from manager.ops.halt import halt as halting
from manager.ops.halt.chosen import Unknown
from manager.ops.halt.halt_events import (
    ContainerStopped,
    ExchangeAnswered,
    FoundMark,
    HaltEvent,
    MarksMade,
    MayTrade,
)
from manager.ops.halt.halt_result import HaltOutcome, Result
from manager.util import console, formatting
from manager.util.interrupts import Interruptions
from manager.util.text_table import Column

How = Literal["stopped", "killed", "was down", "still runs", "unknown"]
HOW: Mapping[How, str] = {
    "stopped": mark("stopped"),
    "killed": mark("killed"),
    "was down": mark("was down"),
    "still runs": mark("STILL RUNS"),
    "unknown": mark("unknown"),
}
"""Words for programs, and for users."""


def halt(session: Session, args: Namespace) -> int:
    """Stop every instance at once, even if locks are held or configs are invalid, and verify.

    One that is interrupted says what it has halted, and what not.
    """
    marks: list[MarksMade] = []
    try:
        with Interruptions() as interruptions:
            halt_signals.note_begun()
            return _halt(session, args, marks, interruptions)
    except KeyboardInterrupt as interruption:
        raise halt_interrupted.error(interruption, marks) from None
    except (ConfigError, UsageError):  # by then the marks are made
        _warn_of_marks(marks)
        raise


def _warn_of_marks(marks: Sequence[MarksMade]) -> None:
    """Say what was marked before it was known that nothing can be chosen: supervisors heed the marks."""
    if marked := sorted({instance for event in marks for instance in event.marked.instances}):
        console.warning(
            Text(
                "marked as halted all the same: {ids}; what runs of them is stopped within seconds, which"
                " was not verified, and `manager up` starts none of them before `manager resume`",
                ids=", ".join(marked),
            )
        )


class _Printer:
    """Print a halt as it goes. `unsaid`: why a line could not be printed."""

    def __init__(self, marks: list[MarksMade], *, is_json: bool) -> None:
        self._marks, self._is_json = marks, is_json
        self.unsaid: list[ManagerError] = []

    def say(self, line: object) -> None:
        """Print a line; where it cannot be printed, as on a full disk, go on with the halt."""
        if self._is_json or self.unsaid:
            return
        try:
            console.say(line)
        except ManagerError as error:
            self.unsaid.append(error)

    def on_event(self, event: HaltEvent) -> None:
        """Print what has happened, and note the marks that were made."""
        match event:
            case Warned(message):
                console.warning(message)
            case MayTrade(instances):
                console.error(Text("these bots still run and may trade: {ids}", ids=", ".join(instances)))
            case FoundMark(instances):
                console.warning(
                    Text(
                        "without the engine, their supervisors have stopped these bots: {ids}; whether orders"
                        " are left is unknown",
                        ids=", ".join(instances),
                    )
                )
            case MarksMade():
                self._marks.append(event)
            case ContainerStopped():
                self.say(_stopped_line(event))
            case ExchangeAnswered(container, answer):
                self.say(_answer_line(container, answer))
            case _:
                assert_never(event)


def _halt(session: Session, args: Namespace, marks: list[MarksMade], interruptions: Interruptions) -> int:
    printer = _Printer(marks, is_json=args.json)
    selection = Selection(args.ids, args.config)
    result = halting.halt(session, printer.on_event, selection, interruptions.held_back)
    closed: dict[str, Closing] = {}
    if result.outcomes:
        printer.say(console.table(COLUMNS, result.outcomes))
    for outcome in sorted(result.outcomes, key=_is_left):  # the end is what a reader sees of many lines
        _say_what_is_wrong(outcome, result.snapshot)
    for problem in result.snapshot.foreign():
        console.warning(problem)
    say_problems(result.snapshot.project, args.ids if args.ids and not args.config else None)
    for name in result.unknown:
        console.error(Text("NOT HALTED: {why}", why=name.error) if result.outcomes else name.error)
    if result.unknown and not result.outcomes:
        _warn_of_marks(marks)
    for error in (*result.errors, *printer.unsaid):
        console.error(error)

    def finish() -> int:
        if args.close_positions:
            closings = close_positions(session, result.snapshot, _down(result), args, "halt")
            closed.update({closing.instance: closing for closing in closings})
        if args.json:
            known = [_object(outcome, closed) for outcome in result.outcomes]
            console.say_json([*known, *map(_unknown_object, result.unknown)])
        codes = [closing.exit_code for closing in closed.values()]
        codes += [error.exit_code for error in printer.unsaid]
        return worst_exit_code([result.exit_code, *codes])

    return ending.in_order(session, finish) if args.close_positions else finish()


def _is_left(outcome: HaltOutcome) -> bool:
    """Return whether it runs, or real orders are or may be left of it."""
    return not outcome.is_down or (outcome.mode == "live" and outcome.left != 0)


def _down(result: Result) -> list[str]:
    """Return the halted instances, each once."""
    return list(dict.fromkeys(outcome.instance for outcome in result.outcomes))


def _say_what_is_wrong(outcome: HaltOutcome, snapshot: FleetSnapshot) -> None:
    """Print what the user must do now, one line each."""
    instance, stopped = outcome.instance, outcome.stopped
    if stopped is not None and stopped.error is not None:
        console.error(Text("cannot stop {id}: {why}", id=instance, why=stopped.error))
    if outcome.hidden is not None:
        console.error(outcome.hidden)
    elif not outcome.is_down:
        state = supervisor_state.read(snapshot.project.fleet.instance_state_dir(instance))
        name = outcome.container.name if outcome.container else (state.container[:12] if state else "?")
        console.error(
            Text(
                "{id} STILL RUNS, apparently in container {container}: run `docker kill {container}`, and"
                " check the exchange",
                id=instance,
                container=name,
            )
        )
    if outcome.stopped is not None and outcome.was_killed:
        console.error(how_killed(outcome.stopped))
    if outcome.mode == "live" and outcome.left != 0:
        console.error(_left_text(outcome, snapshot))


def _left_text(outcome: HaltOutcome, snapshot: FleetSnapshot) -> Text:
    exchange, symbol = _market(outcome, snapshot)
    answer = (outcome.answer or Answer(outcome.left))._replace(exchange=exchange, symbol=symbol)
    if outcome.left is None:
        no_container = Text("it has no container to ask from, and its bot did not report")
        return unknown_orders_text(outcome.instance, answer, answer.why or outcome.gone or no_container)
    return orders_left_text(outcome.instance, answer)


def _market(outcome: HaltOutcome, snapshot: FleetSnapshot) -> tuple[str, str]:
    return market_of(outcome.container, snapshot.views.get(outcome.instance))


def _how(outcome: HaltOutcome) -> How:
    if not outcome.is_down:
        return "still runs" if outcome.hidden is None else "unknown"
    if outcome.stopped is None:
        return "was down"
    return "killed" if outcome.was_killed else "stopped"


def _left_at_exchange(outcome: HaltOutcome) -> str:
    if outcome.answer is None:
        return ""
    return _("unknown") if outcome.answer.left is None else str(outcome.answer.left)


def _of_others(outcome: HaltOutcome) -> str:
    answer = outcome.answer
    return "" if answer is None or answer.left is None else str(answer.others)


def _position(outcome: HaltOutcome) -> str:
    if outcome.position is None:
        return _("unknown") if outcome.mode == "live" else ""
    if outcome.mode != "live" or outcome.position.is_of_exchange:
        return str(outcome.position)
    return str(reported_amount(outcome.position))


COLUMNS: Sequence[Column[HaltOutcome]] = (
    Column("id", "ID", lambda outcome: outcome.instance),
    Column(
        "container", mark("CONTAINER"), lambda outcome: outcome.container.name if outcome.container else ""
    ),
    Column("mode", mark("MODE"), lambda outcome: _(outcome.mode) if outcome.mode else ""),
    Column("how", mark("HOW"), lambda outcome: _(HOW[_how(outcome)])),
    Column(
        "seconds",
        mark("SECONDS"),
        lambda outcome: f"{outcome.stopped.seconds:.1f}" if outcome.stopped else "",
    ),
    Column(
        "reported",
        mark("REPORTED LEFT"),
        lambda outcome: "" if outcome.reported is None else str(outcome.reported),
    ),
    Column("left", mark("LEFT AT EXCHANGE"), _left_at_exchange),
    Column("others", mark("OF OTHERS"), _of_others),
    Column("position", mark("POSITION LEFT"), _position),
)


def _object(outcome: HaltOutcome, closed: Mapping[str, Closing]) -> dict[str, Any]:
    stopped, answer = outcome.stopped, outcome.answer
    closing = closed.get(outcome.instance)
    return {
        "id": outcome.instance,
        "container": outcome.container.name if outcome.container else None,
        "mode": outcome.mode or None,
        "down": outcome.is_down,
        "how": _how(outcome),
        "killed": outcome.was_killed,
        "seconds": round(stopped.seconds, 3) if stopped else None,
        "error": str(stopped.error) if stopped and stopped.error else None,
        "open_orders_reported": outcome.reported,
        "asked": answer is not None,
        "open_orders_at_exchange": answer.left if answer else None,
        "orders_of_others": answer.others if answer and answer.left is not None else None,
        "orders": list(answer.orders) if answer else [],
        **position_object(outcome.position),
        "why": _why(outcome),
        **({"closing": closing_object(closing)} if closing else {}),
    }


def _unknown_object(name: Unknown) -> dict[str, Any]:
    """Return the row of what nothing is known of, with the keys of the others."""
    nobody = HaltOutcome(name.instance or "", None, "", None, False, None, False, None)
    row = _object(nobody, {})
    return {**row, "id": name.instance, "how": "unknown", "error": str(name.error)}


def _why(outcome: HaltOutcome) -> str | None:
    """Return why it is not known what it has left."""
    why = (outcome.answer.why if outcome.answer else None) or outcome.gone
    return None if why is None else str(why)


def _stopped_line(event: ContainerStopped) -> str:
    """Return `bp_sol_01: stopped (4.7 s), 0 open orders left`, with the name of an unexpected container."""
    container, outcome, fleet = event
    is_own = container.name == fleet.container_name(container.instance)
    verb = _("failed") if outcome.error else _("killed") if outcome.was_killed else _("stopped")
    subject = container.instance if is_own else container.name
    text = labelled(subject, f"{verb}{bracketed(formatting.duration(outcome.seconds))}")
    left = outcome.open_orders_left
    if left is not None:
        text = listed([text, Text("{count} open orders left", count=left)])
    position = outcome.position
    if position is not None and container.mode == "live" and not position.is_of_exchange:
        return listed([text, Text("position {amount}", amount=reported_amount(position))])
    return text + position_text(position)


def _answer_line(container: Container, answer: Answer) -> Text:
    return Text("{id}: {answer}", id=container.instance, answer=answer.text)
