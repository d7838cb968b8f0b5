"""The kill switch: every container told to stop at once, what came of each, and the exchange asked again.

Nothing here starts a bot, and nothing that fails keeps another from being stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.engine.client import MOST_CALLS, Engine
from manager.engine.containers import Container
from manager.errors import (
    FAILED,
    OK,
    TIMED_OUT,
    EngineError,
    EngineUnreachable,
    ManagerError,
    worst_exit_code,
)
from manager.fleet import event_spool, halt_mark, instances_json_refresh, lock, supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import EVERYTHING, Selection, no_instance
from manager.fleet.session import Session
from manager.fleet.supervisor_state import Position
from manager.i18n import Text
from manager.ops import desired_state, open_orders, stop_for_good
from manager.ops.action import Action, Outcome
from manager.ops.events import Warned
from manager.ops.open_orders import Answer
from manager.ops.stop import stop
from manager.ops.stop_for_good import Marked, Starts
from manager.util.threads import TaskGroup

ASKED_AT_ONCE = 8
"""Each loads an exchange's client: 80 MB, and half a second of a core."""

LIST_LAG_S = 0.2
"""The engine's list shows a container as running for a moment after its stop has returned."""


class HaltOutcome(NamedTuple):
    """What became of one instance's container, or of an instance that has none.

    `stopped`: None for one that was not up. `is_down`: verified. `reported`: the open orders that its bot told of when it
    ended. `answer`: the exchange's, None where it was not asked. `position`: what it held by its last report.
    """

    instance: str
    container: Container | None
    mode: str
    stopped: Outcome[Action] | None
    is_down: bool
    reported: int | None
    has_run: bool
    answer: Answer | None
    position: Position | None = None

    @property
    def was_killed(self) -> bool:
        """Whether its bot did not end in time."""
        return self.stopped is not None and self.stopped.was_killed

    @property
    def exit_code(self) -> int:
        """0 only for what is down and, where it trades live, known to have left nothing at the exchange."""
        codes = [OK if self.is_down else FAILED, TIMED_OUT if self.was_killed else OK]
        if self.mode == "live" and self.left != 0:
            codes.append(FAILED)
        return worst_exit_code(codes)

    @property
    def left(self) -> int | None:
        """Open orders left: the exchange's word; of an instance without a container, whom nobody can ask for, its own last one."""
        if self.answer is not None or not self.has_run:
            return self.answer.left if self.answer else 0
        return self.reported


class Result(NamedTuple):
    """The halted fleet. `unsaved`: why the halt could not be remembered, although everything was stopped.

    `unfinished`: who may still start something.
    """

    snapshot: FleetSnapshot
    outcomes: Sequence[HaltOutcome]
    unsaved: ManagerError | None = None
    unfinished: ManagerError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that all of it comes to."""
        codes = [outcome.exit_code for outcome in self.outcomes]
        codes += [error.exit_code for error in (self.unsaved, self.unfinished) if error is not None]
        return worst_exit_code(codes)


class ContainerStopped(NamedTuple):
    """A container was told to stop, and this came of it. `fleet` names it."""

    container: Container
    outcome: Outcome[Action]
    fleet: Fleet


class ExchangeAnswered(NamedTuple):
    """The exchange was asked for an instance's open orders."""

    container: Container
    answer: Answer


class MayTrade(NamedTuple):
    """No engine answers, so nothing can be stopped: these bots hold their locks, and may trade."""

    instances: Sequence[str]


HaltEvent = Warned | ContainerStopped | ExchangeAnswered | MayTrade
OnHaltEvent = Callable[[HaltEvent], object]


def halt(session: Session, on_event: OnHaltEvent, selection: Selection = EVERYTHING) -> Result:
    """Stop every instance at once, whatever else is locked or cannot be read, and verify it. Raises ManagerError."""
    project = session.project_to_halt()
    fleet, named = project.fleet, selection.named(project)
    marked = stop_for_good.mark_all(fleet, "halt", named)
    starts = Starts(fleet)
    try:
        with lock.held(fleet.lock_file, "halt", force=True) as held:
            return _halt(session, selection, held, marked, starts, on_event)
    except EngineUnreachable:
        if alive := _alive(fleet):
            on_event(MayTrade(alive))
        raise


def _halt(
    session: Session,
    selection: Selection,
    held: lock.Held,
    marked: Marked,
    starts: Starts,
    on_event: OnHaltEvent,
) -> Result:
    snapshot, engine = session.observe(), session.engine()
    fleet = snapshot.project.fleet
    chosen = chosen_instances(selection, snapshot)
    ran = {instance for instance in chosen if snapshot.plan_input.is_up(instance)}
    _remember(snapshot, chosen, ran)

    def look_again(before: FleetSnapshot) -> FleetSnapshot:
        held.settle()
        return session.look_again(before)

    halted = bring_down(snapshot, chosen, look_again, engine, starts, on_event)
    lifted = [each for each in chosen if halt_mark.find(fleet, each) is None]
    again = stop_for_good.mark_all(fleet, "halt", lifted) if lifted else Marked([])
    halt_mark.sync(fleet, chosen)
    answers = ask(halted, chosen, engine, on_event)
    unsaved = _remember(halted.snapshot, chosen, ran | halted.came_up)
    if all(halt_mark.find(fleet, each) for each in chosen):  # a mark outlives a file that cannot be written
        unsaved = None
    instances_json_refresh.write(halted.snapshot, lambda why: on_event(Warned(why)))
    outcomes = sorted(outcomes_of(halted, chosen, answers), key=lambda outcome: outcome.instance)
    event_spool.note(fleet, [_event(outcome) for outcome in outcomes])
    return Result(
        halted.snapshot,
        outcomes,
        unsaved and (again.error or marked.error or unsaved),
        None if halted.is_complete else starts.error(),
    )


def _event(outcome: HaltOutcome) -> event_spool.SpooledEvent:
    """Return what the history keeps of it, after everything is stopped."""
    left = "?" if outcome.left is None else str(outcome.left)
    what = f"halt, {left} orders left" if outcome.mode == "live" else "halt"
    error = outcome.stopped.error if outcome.stopped is not None else None
    return event_spool.happened("halt", outcome.instance, what, error, is_done=outcome.is_down)


def chosen_instances(selection: Selection, snapshot: FleetSnapshot) -> list[str]:
    """Return the instances meant: those named, else all that a config, a container or a stray is of.

    Another folder's are not: they run on. Raises ConfigError for one of these that is named, UsageError for an unknown one.
    """
    others = {
        container.instance
        for container in snapshot.observed.containers.values()
        if snapshot.elsewhere(container)
    }
    strays = (container.instance for container in snapshot.observed.strays)
    known = sorted({*snapshot.views, *strays} - others)
    named = selection.named(snapshot.project)
    for instance in named or ():
        if instance in others:
            snapshot.require_ours()
        if instance not in known:
            raise no_instance(instance, known)
    return known if named is None else named


def _remember(snapshot: FleetSnapshot, chosen: Sequence[str], ran: set[str]) -> ManagerError | None:
    """Write who ran, before the deed, so that a manager killed in between leaves a list.

    A bot is stopped whether or not it can be written: the error is returned.
    """
    down = [instance for instance in chosen if instance not in ran]
    try:
        desired_state.remember(snapshot.project.fleet, lambda memory: memory.with_halted(ran, down))
    except ManagerError as error:
        return error
    return None


def _alive(fleet: Fleet) -> list[str]:
    """Return the instances whose bots live, from the locks they hold: which needs no engine."""
    try:
        folders = sorted(folder for folder in fleet.state_dir.iterdir() if folder.is_dir())
    except OSError:
        return []
    return [folder.name for folder in folders if supervisor_state.has_bot(folder)]


class Halted(NamedTuple):
    """The fleet after every container was told to stop. `seen`, `stopped`: by container id, all that there were on the way.

    `is_complete`: whether no start of before is under way any more.
    """

    snapshot: FleetSnapshot
    seen: Mapping[str, Container]
    stopped: Mapping[str, Outcome[Action]]
    is_complete: bool = True

    @property
    def came_up(self) -> set[str]:
        """The instances whose own container was up at some moment, one that was only just being started too."""
        name = self.snapshot.project.fleet.container_name
        containers = (self.seen[container_id] for container_id in self.stopped)
        return {container.instance for container in containers if container.name == name(container.instance)}


def containers(snapshot: FleetSnapshot, chosen: Collection[str]) -> list[Container]:
    """Return the containers of these instances, strays too: one-offs and doubles may trade. Not those of another folder's fleet."""
    found = (*snapshot.observed.containers.values(), *snapshot.observed.strays)
    return [
        container
        for container in found
        if container.instance in chosen and snapshot.elsewhere(container) is None
    ]


def running(snapshot: FleetSnapshot, chosen: Collection[str]) -> list[Container]:
    """Return those of these containers in which a bot may run: up, and not idle by a halt mark."""
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
    """Tell all that is up to stop, at once; look again, and stop what has come up, until every start of before has ended."""
    fleet = snapshot.project.fleet
    seen: dict[str, Container] = {}
    stopped: dict[str, Outcome[Action]] = {}

    def stop_one(container: Container) -> tuple[Container, Outcome[Action]]:
        return container, stop(container, fleet, engine)

    while True:
        present = containers(snapshot, chosen)
        seen |= {container.id: container for container in present}
        up = [container for container in present if container.is_up]
        for container, outcome in TaskGroup([partial(stop_one, each) for each in up], MOST_CALLS):
            stopped[container.id] = outcome
            on_event(ContainerStopped(container, outcome, fleet))
        have_ended = starts.have_ended()
        time.sleep(LIST_LAG_S)
        snapshot = look_again(snapshot)
        still_up = running(snapshot, chosen)
        failed = [container for container in still_up if _has_failed(stopped.get(container.id))]
        if have_ended and len(failed) == len(still_up):
            return Halted(snapshot, seen, stopped)
        if starts.are_too_slow:
            return Halted(snapshot, seen, stopped, is_complete=have_ended)


def _has_failed(outcome: Outcome[Action] | None) -> bool:
    return outcome is not None and outcome.error is not None


def ask(halted: Halted, chosen: Collection[str], engine: Engine, on_event: OnHaltEvent) -> dict[str, Answer]:
    """Return instance → the exchange's answer, of those that trade live; some at a time, each a Python program of its own."""
    fleet = halted.snapshot.project.fleet
    live = {
        container.instance: container
        for container in containers(halted.snapshot, chosen)[::-1]
        if container.mode == "live"
    }
    gone = {container.instance for container in halted.seen.values() if container.mode == "live"}
    answers = {
        instance: Answer(None, why=Text("its container is gone, nobody can ask for it"))
        for instance in gone.difference(live)
    }
    if not live:
        return answers
    with suppress(EngineError):  # what a killed manager has left hinders nobody
        open_orders.sweep(fleet, engine)

    def ask_one(container: Container) -> tuple[Container, Answer]:
        return container, open_orders.ask(container, fleet, engine)

    for container, answer in TaskGroup([partial(ask_one, each) for each in live.values()], ASKED_AT_ONCE):
        answers[container.instance] = answer
        on_event(ExchangeAnswered(container, answer))
    return answers


def outcomes_of(halted: Halted, chosen: Collection[str], answers: Mapping[str, Answer]) -> list[HaltOutcome]:
    """Return one of each container that there was, and of each instance that had none."""
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
    return outcomes + [
        _outcome(instance, None, snapshot.views[instance].mode or "", fleet, is_down=True)
        for instance in chosen
        if instance not in with_container and instance in snapshot.views
    ]


def _outcome(
    instance: str, container: Container | None, mode: str, fleet: Fleet, *, is_down: bool
) -> HaltOutcome:
    """`is_down`: as the engine says; a supervisor that holds its lock, in whatever container of whatever engine, is up."""
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
        position=supervisor_state.position_left(state_dir),
    )
