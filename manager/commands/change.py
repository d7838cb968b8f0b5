"""`up`, `down`, `start`, `stop`, `restart`, `plan`: look, plan, say, do, export."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from manager import export, lock, memory, output, ownership, plan, predecessor, waiting
from manager.commands import report
from manager.commands.show import refresh_export, require_known
from manager.context import Context, show_problems, show_warnings
from manager.errors import (
    ConfigError,
    EngineUnreachable,
    ManagerError,
    UsageError,
    worst_exit_code,
)
from manager.memory import Memory, Wish
from manager.plan import Action
from manager.survey import Survey

if TYPE_CHECKING:
    from manager.execute import Outcome

Planner = Callable[[Survey, list[str] | None], list[Action]]


class Change(NamedTuple):
    """One changing command: how it plans, and what wish it leaves behind."""

    command: str
    planner: Planner
    wish: Wish | None = None
    needs_sound_configs: bool = True


def up(context: Context) -> int:
    """Brings the fleet to what its configs say."""
    return perform(context, _up_change(context))


def plan_(context: Context) -> int:
    """Shows what `up` would do, and why."""
    context.args.dry_run = True
    return perform(context, _up_change(context))


def start(context: Context) -> int:
    """Starts instances that do not run."""
    return perform(
        context,
        Change("start", lambda survey, named: plan.start(survey.situation, _all(survey, named)), "run"),
    )


def restart(context: Context) -> int:
    """Stops and starts instances."""
    return perform(
        context, Change("restart", lambda survey, named: plan.restart(survey.situation, named), "run")
    )


def stop(context: Context) -> int:
    """Stops instances and keeps them stopped."""
    change = Change(
        "stop", lambda survey, named: plan.stop(survey.situation, named), "stopped", needs_sound_configs=False
    )
    return perform(context, change)


def down(context: Context) -> int:
    """Stops and removes containers; data stays."""
    orphans = context.args.remove_orphans
    change = Change(
        "down",
        lambda survey, named: plan.down(survey.situation, named, remove_orphans=orphans),
        needs_sound_configs=False,
    )
    return perform(context, change)


def put_back(context: Context, fallen: list[str]) -> int:
    """What `up` would start of these instances, as it is: for `watch`, which applies no config that nobody has asked for."""
    asked = {
        "ids": fallen, "config": [], "instance_id": None, "dry_run": False, "json": False, "lock_wait": 0.0,
        "project_dir": context.args.project_dir,
    }  # fmt: skip
    own = Context(Namespace(**asked))
    try:
        return perform(own, Change("watch", lambda survey, named: _starts(survey, named or [])))
    finally:
        own.close()


def _starts(survey: Survey, named: list[str]) -> list[Action]:
    return [
        each
        for each in plan.up(survey.situation)
        if (each.kind == "start" or each.keeps_image) and each.instance in named
    ]


def _up_change(context: Context) -> Change:
    recreate, orphans = context.args.recreate, context.args.remove_orphans
    return Change(
        "up",
        lambda survey, named: plan.up(survey.situation, named, recreate=recreate, remove_orphans=orphans),
        "run" if context.args.ids or context.args.config else None,
    )


def _all(survey: Survey, named: list[str] | None) -> list[str]:
    return list(survey.situation.wanted) if named is None else named


def perform(context: Context, change: Change) -> int:
    """Runs one changing command from the look to the exit code."""
    args = context.args
    if args.dry_run:
        survey = _look(context, change)
        return report.say_plan(context, survey, _planned(context, change, survey)[0])
    fleet = context.project().fleet
    force = getattr(args, "force", False)
    with lock.held(fleet.lock_file, change.command, args.lock_wait, force=force) as held:
        if held.follows_a_kill:
            waiting.until_settled()
        if args.instance_id and args.config:
            _name_instance(context)
        survey = _look(context, change)
        actions, named = _planned(context, change, survey)
        if held.was_passed():
            raise ManagerError("the fleet was stopped by force meanwhile; nothing was done")
        unsaved = _save_wish(change, survey, _memory_after(change, survey, actions, named))
        outcomes = _carry_out(context, change, survey, actions, held)
        is_all = change.command == "down" and named is None
        with _network_removed(context, fleet.network) if is_all else nullcontext():
            after = _looked_after(context, survey, actions, outcomes)
            write_export(after)
    failed = {outcome.action.instance for outcome in outcomes if outcome.error is not None}
    left = {each.instance for each in actions if each.kind == "leave"}
    dead = {each for each in left if after.views[each].verdict.state == "failed"}
    after, late = _wait(context, after, (left - dead) | failed)
    code = report.say_outcomes(context, after, actions, outcomes, late)
    if not change.needs_sound_configs:
        show_problems(after.project)
    if unsaved is not None:
        output.error(unsaved)
        return worst_exit_code([code, unsaved.exit_code])
    return code


@contextmanager
def _network_removed(context: Context, network: str) -> Iterator[None]:
    """The engine takes its time to remove a network, in which the export is written."""
    remover = Thread(target=context.engine().remove_network_if_empty, args=(network,))
    remover.start()
    try:
        yield
    finally:
        remover.join()


def _looked_after(context: Context, survey: Survey, actions: list[Action], outcomes: list[Outcome]) -> Survey:
    """The fleet after all that; what was done before the engine went is said all the same."""
    if not outcomes:
        return survey
    started = [each.action.instance for each in outcomes if each.has_started]
    try:
        return context.look_again(survey, lambda: waiting.until_heard(survey.project.fleet, started))
    except EngineUnreachable:
        report.say_outcomes(context, survey, actions, outcomes, [])
        raise


def _name_instance(context: Context) -> None:
    """`--config FILE --instance-id ID`: from now on this config's instance bears that id."""
    survey, wanted = context.survey(), context.args.instance_id
    if len(context.args.config) != 1:
        raise UsageError("--instance-id names the instance of one --config FILE, not of several")
    present = survey.project.instance_of(context.args.config[0])
    if present == wanted:
        return
    if present in survey.situation.containers:
        raise UsageError(
            "{id} has a container; `manager down {id}` first, or one config runs twice", id=present
        )
    file = survey.project.specs[present].config_file
    _require_free_id(wanted, file, survey)
    remember(survey, survey.project.memory.with_id(file, wanted))


def _require_free_id(instance: str, file: str, survey: Survey) -> None:
    """Raises before the id is remembered: one that cannot be loaded again would keep every later command from working."""
    from manager.load import id_faults  # pydantic, 0.1 s

    if faults := list(id_faults(file, instance)):
        raise ConfigError(faults)
    found = survey.situation.containers.get(instance)
    if found is not None and found.config_file != file:
        raise UsageError(
            "{id} is the container of {file}; `manager down {id}` first", id=instance, file=found.config_file
        )
    for other in survey.project.specs.values():
        if other.id.lower() == instance.lower() and other.config_file != file:
            raise UsageError("{id} is already the instance of {file}", id=instance, file=other.config_file)


def _look(context: Context, change: Change) -> Survey:
    survey = context.survey()
    survey.require_ours()
    if change.needs_sound_configs:
        require_sound(context, survey)
    return survey


def require_sound(context: Context, survey: Survey) -> None:
    """Everything must load before the whole fleet is touched; a named instance needs only its own file."""
    project = survey.project
    show_warnings(project)
    named = project.select(context.args.ids, context.args.config)
    beside = survey.beside(named)
    if named is None:
        if problems := [*project.problems, *beside]:
            raise ConfigError(problems)
        return
    files = {spec.config_file for each, spec in project.specs.items() if each in named}
    kept = survey.situation.kept.intersection(named)  # their containers tell which file is broken
    files |= {survey.observed.containers[each].config_file for each in kept}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.memory_file)})
    ] + beside
    if own or (project.problems and any(each not in survey.views for each in named)):
        raise ConfigError(own or project.problems)


def _planned(context: Context, change: Change, survey: Survey) -> tuple[list[Action], list[str] | None]:
    named = survey.project.select(context.args.ids, context.args.config)
    for each in named or ():
        require_known(each, survey)
        if change.needs_sound_configs:
            require_config(each, survey)
    return change.planner(survey, named), named


def require_config(instance: str, survey: Survey) -> None:
    """Raises UsageError for an instance of which only the container is left."""
    if instance not in survey.situation.wanted:
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )


def _save_wish(change: Change, survey: Survey, after: Memory) -> ManagerError | None:
    """The wish is written before the deed: a manager killed in between must not leave a lie behind.

    A bot that is to be stopped is stopped, though, even on a disk that is full; the error is for the end.
    """
    try:
        remember(survey, after)
    except ManagerError as error:
        if change.command == "down":  # a hint for `watch`, and nothing that a stop may fail for
            return None
        if change.wish != "stopped":
            raise
        return error
    return None


def _carry_out(
    context: Context, change: Change, survey: Survey, actions: list[Action], held: lock.Held
) -> list[Outcome]:
    todo = plan.effective(actions)
    for action in actions:
        if action.kind == "leave" and not context.as_json:
            output.say(report.action_line(action))
    if not todo and not (change.command == "stop" and actions):
        return []
    from manager import execute  # with thread pools, YAML and more: a no-op does without them
    from manager.commands import means

    elsewhere = predecessor.still_running(
        survey, [each.instance for each in actions if each.kind != "remove"]
    )
    refused = [
        execute.Outcome(each, 0.0, elsewhere[each.instance]) for each in actions if each.instance in elsewhere
    ]
    for outcome in refused:
        _say_done(context, outcome)
    todo = [each for each in todo if each.instance not in elsewhere]
    if not todo:
        return refused
    gathered = means.gather(context, survey, todo, held)
    if not sys.stdout.isatty() or context.as_json:
        return refused + execute.run(todo, gathered, lambda outcome: _say_done(context, outcome))
    from manager.progress import Progress

    with Progress(each.instance for each in todo) as progress:
        return refused + execute.run(
            todo, gathered, lambda each: progress.done(each.action.instance, report.outcome_line(each))
        )


def _say_done(context: Context, outcome: Outcome) -> None:
    if not context.as_json:
        output.say(report.outcome_line(outcome))


def _memory_after(change: Change, survey: Survey, actions: list[Action], named: list[str] | None) -> Memory:
    """What is remembered from now on."""
    after = survey.project.memory
    situation = survey.situation
    if change.wish is not None:
        after = after.with_wish(_asked(change, situation, actions, named), change.wish)
    elif change.command == "resume":
        after = after.with_resumed(named or [])
    elif change.command == "up":  # what a person stopped here, and then started by docker's own means
        wishes = situation.memory.instances
        after = after.with_wish([each for each in wishes if situation.is_up(each)], "run")
    if change.command == "down":
        gone = [action.instance for action in actions if action.kind == "remove"]
        after = after.with_taken_down(gone, time.time())
    starting = [action.instance for action in actions if action.starts]
    after = after.with_registered(starting, export.local_iso(time.time()))
    open_ports = {
        each: spec.web_port
        for each, spec in survey.project.specs.items()
        if each in starting and spec.web_port is not None
    }
    return after.with_ports(open_ports)


def _asked(
    change: Change, situation: plan.Situation, actions: list[Action], named: list[str] | None
) -> list[str]:
    """Of which instances a person has just asked something."""
    if named is not None:
        return named
    if change.command == "restart":  # leaves alone what is stopped
        return [action.instance for action in actions if action.kind != "leave"]
    everything = [*{**situation.wanted, **situation.containers}]
    if change.command == "stop":  # keeps what is halted on the list of `resume`
        return [each for each in everything if situation.is_up(each) or not situation.memory.of(each).halted]
    return everything


def remember(survey: Survey, after: Memory) -> None:
    """Writes the memory, if it has changed. Raises ManagerError."""
    if after == survey.project.memory:
        return
    if after.faults:
        raise ManagerError("this cannot be remembered: {fault}", fault=after.faults[0])
    path = survey.project.fleet.memory_file
    try:
        ownership.make_folder(path.parent)
        memory.save(path, after)
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=path, why=error.strerror or error) from error


def _wait(context: Context, survey: Survey, excepted: set[str]) -> tuple[Survey, list[str]]:
    """With --wait: until everything that should run is healthy, and with the lock given back: a person may want to stop it.

    Returns the fleet as it then is, and the instances that did not get there in time.
    """
    if not getattr(context.args, "wait", False):
        return survey, []
    named = survey.project.select(context.args.ids, context.args.config)
    ids = [each for each in (survey.situation.wanted if named is None else named) if each not in excepted]
    after, late = waiting.until_healthy(
        context, survey, ids, context.args.wait_timeout, quiet=context.as_json
    )
    refresh_export(context, after, export.bot_pids(after))
    return after, late


def write_export(survey: Survey) -> None:
    """Writes instances.json; what keeps it from being written is a warning."""
    try:
        if remark := export.write(survey, export.bot_pids(survey)):
            output.warning(remark)
    except ManagerError as error:
        output.warning(error)
