"""Halt: stop every container at once, verify each, and ask the exchange for open orders.

Nothing here starts a bot, and no failure prevents other bots from being stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial

from manager.config.fleet import Fleet
from manager.engine.client import MOST_CALLS, Engine
from manager.engine.containers import Container
from manager.errors import EngineError, EngineUnreachable, ManagerError
from manager.fleet import (
    bot_report,
    closed_report,
    event_spool,
    halt_mark,
    hidden_lock,
    instances_json_refresh,
    lock,
    supervisor_state,
)
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import ASKED_AT_ONCE, Answer
from manager.ops.actions.events import Warned
from manager.ops.exchange import container_gone, oneoff, open_orders, unknown_rest
from manager.ops.execution import desired_state
from manager.ops.execution.stop import stop
from manager.ops.execution.stop_turns import StopTurns, exchange_of, longest
from manager.ops.halt import stop_for_good, untrusted_folders
from manager.ops.halt.chosen import Named, alive, chosen_instances, named_by
from manager.ops.halt.halt_events import (
    ContainerStopped,
    ExchangeAnswered,
    FoundMark,
    MarksMade,
    MayTrade,
    OnHaltEvent,
)
from manager.ops.halt.halt_result import HaltOutcome, Result
from manager.ops.halt.stop_for_good import Marked, Starts
from manager.typed import NamedTuple
from manager.util import kept_text
from manager.util.threads import TaskGroup


def halt(
    session: Session,
    on_event: OnHaltEvent,
    selection: Selection = EVERYTHING,
    held_back: Callable[[], AbstractContextManager[None]] = nullcontext,
    because: Text | None = None,
) -> Result:
    """Stop every instance at once, even if locks are held or configs are invalid, and verify.

    What nothing here has is an error of the result, and keeps nothing else up. `held_back`: keeps
    interruptions until the marks exist, and MarksMade is reported. `because`: who halts, other than a
    person, and why. Raises ManagerError.
    """
    with held_back():
        first = stop_for_good.mark_first(session.folders_to_halt(), selection)
        if first is not None:
            on_event(MarksMade(*first))
    project = session.project_to_halt()
    fleet, named = project.fleet, named_by(selection, project)
    with held_back():
        marked = stop_for_good.mark_rest(fleet, named.instances, project.specs, first)
        on_event(MarksMade(fleet, marked))
    ran = alive(fleet)
    starts = Starts(fleet)
    try:
        by = None if because is None else "watch"
        with lock.held(fleet.lock_file, "halt", force=True, by=by) as held:
            return _halt(session, named, held, marked, starts, on_event, because)
    except EngineUnreachable:
        if marked.error is not None:  # no supervisor stops a bot that has no mark
            on_event(Warned(Text("{problem}", problem=marked.error)))
        left = alive(fleet)
        if ended := [instance for instance in ran if instance not in left]:
            on_event(FoundMark(ended))
        _save_unknown(fleet, {instance for instance in ended if _was_live(fleet, instance)}, known=())
        if left:
            on_event(MayTrade(left))
        raise


def _halt(
    session: Session,
    named: Named,
    held: lock.HeldLock,
    marked: Marked,
    starts: Starts,
    on_event: OnHaltEvent,
    because: Text | None,
) -> Result:
    snapshot, engine = session.observe(), session.engine()
    fleet = snapshot.project.fleet
    chosen, unknown = chosen_instances(named, snapshot)
    if unknown and not chosen:
        return Result(snapshot, [], unknown=unknown)
    if named.files:
        _mark_again(fleet, chosen)  # only their containers told whose these are
    ran = {instance for instance in chosen if snapshot.plan_input.is_up(instance)}
    _remember(snapshot, chosen, ran, because)

    def look_again(before: FleetSnapshot) -> FleetSnapshot:
        held.wait_for_engine()
        return session.look_again(before)

    halted = bring_down(snapshot, chosen, look_again, engine, starts, on_event)
    again = _mark_again(fleet, chosen)
    halt_mark.sync(fleet, chosen)
    # now, for a manager that is killed while it waits for the exchanges
    _save_unknown(fleet, {one.instance for one in halted.seen.values() if one.mode == "live"}, known=())
    answers = ask(halted, chosen, engine, on_event)
    unsaved = _remember(halted.snapshot, chosen, ran | halted.came_up, because)
    # a mark outlives a file that cannot be written
    if all(halt_mark.find(fleet, instance) for instance in chosen):
        unsaved = None
    instances_json_refresh.write(halted.snapshot, lambda why: on_event(Warned(why)))
    outcomes = sorted(outcomes_of(halted, chosen, answers), key=lambda outcome: outcome.instance)
    event_spool.note(fleet, [_event(outcome, because) for outcome in outcomes])
    _keep_answers(fleet, outcomes)
    _keep_unknown(fleet, outcomes)
    return Result(
        halted.snapshot,
        outcomes,
        again.error or (unsaved and (marked.error or unsaved)),
        None if halted.is_complete else starts.error(),
        untrusted_folders.error(fleet, chosen),
        is_all=named.instances is not None or not halted.snapshot.foreign(),
        unknown=unknown,
    )


def _keep_answers(fleet: Fleet, outcomes: Sequence[HaltOutcome]) -> None:
    """Keep what the exchange has said that bots have left: it is shown as long as they are halted."""
    for outcome in outcomes:
        answer = outcome.answer
        if outcome.is_down and outcome.hidden is None and answer is not None and answer.left is not None:
            state_dir = fleet.instance_state_dir(outcome.instance)
            closed_report.keep_answer(state_dir, answer.left, answer.position)


def _keep_unknown(fleet: Fleet, outcomes: Sequence[HaltOutcome]) -> None:
    """Keep of which live bots nobody knows what they have left: what they said before is no answer."""
    live = [outcome for outcome in outcomes if outcome.mode == "live"]
    unknown = {outcome.instance for outcome in live if outcome.is_left_unknown}
    known = {outcome.instance for outcome in live} - unknown
    _save_unknown(fleet, unknown, known)


def _save_unknown(fleet: Fleet, unknown: Collection[str], known: Collection[str]) -> None:
    since = {instance: unknown_rest.from_now(fleet, instance) for instance in unknown}
    with suppress(ManagerError):  # the halt has said so
        desired_state.save_state(fleet, lambda state: state.with_left_known(known).with_left_unknown(since))


def _was_live(fleet: Fleet, instance: str) -> bool:
    kept_report = bot_report.read_kept(fleet.instance_state_dir(instance))
    return kept_report is not None and kept_report.report.mode == "live"


def _mark_again(fleet: Fleet, chosen: Sequence[str]) -> Marked:
    """Mark what has no mark of its own, by the end: others lift the one that they have read, or it could not
    be made. The fleet's mark does not keep a supervisor from starting its bot.
    """
    unmarked = [instance for instance in chosen if halt_mark.own(fleet, instance) is None]
    return stop_for_good.mark_all(fleet, "halt", unmarked) if unmarked else Marked([])


def _event(outcome: HaltOutcome, because: Text | None) -> event_spool.SpooledEvent:
    """Return what the history keeps of it, after everything is stopped."""
    left = "?" if outcome.left is None else str(outcome.left)
    action = Text("halt, {count} orders left", count=left) if outcome.mode == "live" else "halt"
    error = outcome.stopped.error if outcome.stopped is not None else None
    return event_spool.happened("halt", outcome.instance, action, error or because, is_done=outcome.is_down)


def _remember(
    snapshot: FleetSnapshot, chosen: Sequence[str], ran: set[str], because: Text | None
) -> ManagerError | None:
    """Save which instances ran before stopping them, so that a manager killed in between leaves a list.

    Bots are stopped even if it cannot be saved: the error is returned.
    """
    down = [instance for instance in chosen if instance not in ran]
    why = None if because is None else kept_text.kept(because)
    try:
        desired_state.save_state(snapshot.project.fleet, lambda state: state.with_halted(ran, down, why))
    except ManagerError as error:
        return error
    return None


class Halted(NamedTuple):
    """Hold the fleet after every container was told to stop. `seen`, `stopped`: by id, all containers seen
    meanwhile.

    `is_complete`: whether no earlier start is still in progress.
    """

    snapshot: FleetSnapshot
    seen: Mapping[str, Container]
    stopped: Mapping[str, Outcome[Action]]
    is_complete: bool = True

    @property
    def came_up(self) -> set[str]:
        """Return the instances whose own container was up at any moment, including those just being
        started.
        """
        name = self.snapshot.project.fleet.container_name
        containers = (self.seen[container_id] for container_id in self.stopped)
        return {container.instance for container in containers if container.name == name(container.instance)}


def containers(snapshot: FleetSnapshot, chosen: Collection[str]) -> list[Container]:
    """Return the containers of these instances, including unexpected ones, which may trade.

    Those of another folder's fleet are excluded.
    """
    present = (*snapshot.observed.containers.values(), *snapshot.observed.strays)
    return [
        container
        for container in present
        if container.instance in chosen and snapshot.foreign_folder(container) is None
    ]


def running(snapshot: FleetSnapshot, chosen: Collection[str]) -> list[Container]:
    """Return those containers in which a bot may run: up, and not idle because of a halt mark."""
    own, idle = snapshot.observed.containers, snapshot.plan_input.idle
    return [
        container
        for container in containers(snapshot, chosen)
        if container.is_up and not (container.instance in idle and own.get(container.instance) is container)
    ]


def bring_down(
    snapshot: FleetSnapshot,
    chosen: Collection[str],
    look_again: Callable[[FleetSnapshot], FleetSnapshot],
    engine: Engine,
    starts: Starts,
    on_event: OnHaltEvent,
) -> Halted:
    """Stop all that is up, at once, or as fast as the exchanges take the cancellations of live bots.

    Observe again and stop what has come up, until every earlier start has ended.
    """
    fleet, turns = snapshot.project.fleet, StopTurns()
    seen: dict[str, Container] = {}
    stopped: dict[str, Outcome[Action]] = {}

    def stop_one(container: Container) -> tuple[Container, Outcome[Action]]:
        return container, stop(container, fleet, engine, turns.wait)

    while True:
        present = containers(snapshot, chosen)
        seen |= {container.id: container for container in present}
        # those without a turn first: who waits holds one of the calls
        up = sorted(
            (container for container in present if container.is_up),
            key=lambda container: bool(exchange_of(container)),
        )
        if (spread := longest(up)) > 0:
            starts.extend(spread)
            on_event(Warned(_spread_text(spread)))
        for container, outcome in TaskGroup([partial(stop_one, container) for container in up], MOST_CALLS):
            stopped[container.id] = outcome
            on_event(ContainerStopped(container, outcome, fleet))
        have_ended = starts.have_ended()
        time.sleep(stop_for_good.LIST_LAG_S)
        snapshot = look_again(snapshot)
        still_up = running(snapshot, chosen)
        failed = [container for container in still_up if _has_failed(stopped.get(container.id))]
        if have_ended and len(failed) == len(still_up):
            return Halted(snapshot, seen, stopped)
        if starts.are_too_slow:
            return Halted(snapshot, seen, stopped, is_complete=have_ended)


def _spread_text(seconds: float) -> Text:
    return Text(
        "the stops are spread over {seconds:.0f} s, so that no exchange bans this address while orders are "
        "cancelled",
        seconds=seconds,
    )


def _has_failed(outcome: Outcome[Action] | None) -> bool:
    return outcome is not None and outcome.error is not None


def ask(halted: Halted, chosen: Collection[str], engine: Engine, on_event: OnHaltEvent) -> dict[str, Answer]:
    """Return instance → the exchange's answer, for live instances.

    Only some run at a time, to limit memory.
    """
    fleet = halted.snapshot.project.fleet
    live = {
        container.instance: container
        for container in containers(halted.snapshot, chosen)[::-1]
        if container.mode == "live"
    }
    gone = {container.instance for container in halted.seen.values() if container.mode == "live"}
    answers = {
        instance: Answer(None, why=Text("its container is gone, so the exchange cannot be asked"))
        for instance in gone.difference(live)
    }
    if not live:
        return answers
    with suppress(EngineError):  # what a killed manager has left is no obstacle
        oneoff.sweep(fleet, engine)

    def ask_one(container: Container) -> tuple[Container, Answer]:
        return container, open_orders.ask(container, halted.snapshot, engine)

    for container, answer in TaskGroup(
        [partial(ask_one, container) for container in live.values()], ASKED_AT_ONCE
    ):
        answers[container.instance] = answer
        on_event(ExchangeAnswered(container, answer))
    return answers


def outcomes_of(halted: Halted, chosen: Collection[str], answers: Mapping[str, Answer]) -> list[HaltOutcome]:
    """Return one outcome per container seen, and one per instance without a container."""
    snapshot = halted.snapshot
    fleet = snapshot.project.fleet
    still_up = {container.id for container in running(snapshot, chosen)}
    outcomes = [
        _outcome(
            container.instance, container, container.mode, fleet, is_down=container.id not in still_up
        )._replace(stopped=halted.stopped.get(container.id), answer=answers.get(container.instance))
        for container in halted.seen.values()
    ]
    with_container = {outcome.instance for outcome in outcomes}
    modes = {view.id: view.mode or "" for view in snapshot.views.values()}
    without = [
        _outcome(instance, None, modes.get(instance, ""), fleet, is_down=True)._replace(
            gone=container_gone.not_asked(snapshot, instance)
        )
        for instance in chosen
        if instance not in with_container
    ]
    # unknown by config and container, it counts only while its bot holds the lock
    return outcomes + [outcome for outcome in without if outcome.instance in modes or not outcome.is_down]


def _outcome(
    instance: str, container: Container | None, mode: str, fleet: Fleet, *, is_down: bool
) -> HaltOutcome:
    """Combine a container and its instance's files. `is_down`: as the engine says.

    An instance whose supervisor holds its lock is up, in whatever container of whatever engine.
    """
    state_dir = fleet.instance_state_dir(instance)
    return HaltOutcome(
        instance,
        container,
        mode,
        stopped=None,
        is_down=is_down and not supervisor_state.has_bot(state_dir),
        reported=supervisor_state.open_orders_left(state_dir),
        has_run=supervisor_state.read(state_dir) is not None,
        answer=None,
        last_position=bot_report.position_left(state_dir),
        hidden=hidden_lock.hidden_text(instance, state_dir) if is_down else None,
    )
