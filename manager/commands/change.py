"""`up`, `down`, `start`, `stop`, `restart`, `plan`: look, plan, say, do, export."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from manager import compose, execute, export, lock, memory, output, plan, predecessor, users, waiting
from manager.commands.show import require_known
from manager.composehash import service_hashes
from manager.container import START_INTERVAL_API, Place
from manager.context import Context, show_problems, show_warnings
from manager.errors import (
    OK,
    TIMED_OUT,
    ConfigError,
    EngineError,
    ManagerError,
    NotFound,
    UsageError,
    worst_exit_code,
)
from manager.execute import Outcome
from manager.i18n import Text, _, mark
from manager.labels import SUPERVISOR, SUPERVISOR_CONTRACT, of_network
from manager.memory import Memory, Wish
from manager.plan import Action
from manager.spec import config_hash
from manager.survey import Survey

Planner = Callable[[Survey, list[str] | None], list[Action]]


@dataclass(frozen=True)
class Change:
    """One changing command: how it plans, and what wish it leaves behind."""

    command: str
    planner: Planner
    wish: Wish | None = None
    needs_sound_configs: bool = True


def up(context: Context) -> int:
    """Brings the fleet to what its configs say."""
    return _perform(context, _up_change(context))


def plan_(context: Context) -> int:
    """Shows what `up` would do, and why."""
    context.args.dry_run = True
    return _perform(context, _up_change(context))


def start(context: Context) -> int:
    """Starts instances that do not run."""
    return _perform(
        context,
        Change("start", lambda survey, named: plan.start(survey.situation, _all(survey, named)), "run"),
    )


def restart(context: Context) -> int:
    """Stops and starts instances."""
    return _perform(
        context, Change("restart", lambda survey, named: plan.restart(survey.situation, named), "run")
    )


def stop(context: Context) -> int:
    """Stops instances and keeps them stopped."""
    change = Change(
        "stop", lambda survey, named: plan.stop(survey.situation, named), "stopped", needs_sound_configs=False
    )
    return _perform(context, change)


def down(context: Context) -> int:
    """Stops and removes containers; data stays."""
    orphans = context.args.remove_orphans
    change = Change(
        "down",
        lambda survey, named: plan.down(survey.situation, named, remove_orphans=orphans),
        needs_sound_configs=False,
    )
    return _perform(context, change)


def _up_change(context: Context) -> Change:
    recreate, orphans = context.args.recreate, context.args.remove_orphans
    return Change(
        "up",
        lambda survey, named: plan.up(survey.situation, named, recreate=recreate, remove_orphans=orphans),
        "run" if context.args.ids or context.args.config else None,
    )


def _all(survey: Survey, named: list[str] | None) -> list[str]:
    return list(survey.situation.wanted) if named is None else named


def _perform(context: Context, change: Change) -> int:
    args = context.args
    if args.dry_run:
        survey = _look(context, change)
        return _show_plan(context, survey, _planned(context, change, survey)[0])
    fleet = context.project().fleet
    force = getattr(args, "force", False)
    with lock.held(fleet.lock_file, change.command, args.lock_wait, force=force) as held:
        if args.instance_id and args.config:
            _name_instance(context)
        survey = _look(context, change)
        actions, named = _planned(context, change, survey)
        predecessor.require_none(
            survey, [each.instance for each in actions if each.kind == "create" or change.command == "stop"]
        )
        outcomes = _carry_out(context, change, survey, actions, named, held)
        if change.command == "down" and named is None:
            _remove_empty_network(context, survey)
        failed = {outcome.action.instance for outcome in outcomes if outcome.error is not None}
        late = _wait(
            context, survey, {action.instance for action in actions if action.kind == "leave"} | failed
        )
        after = context.look_again(survey) if outcomes or late else survey
        _export(after)
    return _report(context, change, after, actions, outcomes, late)


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
    _remember(survey, survey.project.memory.with_id(file, wanted))


def _look(context: Context, change: Change) -> Survey:
    survey = context.survey()
    survey.require_ours()
    if change.needs_sound_configs:
        _require_sound(context, survey)
    return survey


def _require_sound(context: Context, survey: Survey) -> None:
    """Everything must load before the whole fleet is touched; a named instance needs only its own file."""
    project = survey.project
    show_warnings(project)
    named = project.select(context.args.ids, context.args.config)
    if named is None:
        project.require_sound()
        return
    files = {spec.config_file for each, spec in project.specs.items() if each in named}
    own = [problem for problem in project.problems if problem.file in files or problem.file == ".env"]
    if own or (project.problems and any(each not in survey.views for each in named)):
        raise ConfigError(own or project.problems)


def _planned(context: Context, change: Change, survey: Survey) -> tuple[list[Action], list[str] | None]:
    named = survey.project.select(context.args.ids, context.args.config)
    for each in named or ():
        require_known(each, survey)
        if change.needs_sound_configs and each not in survey.situation.wanted:
            raise UsageError(
                "{id} has no config any more; `manager down {id}` removes its container", id=each
            )
    return change.planner(survey, named), named


def _show_plan(context: Context, survey: Survey, actions: list[Action]) -> int:
    if context.as_json:
        output.say_json([_action_object(action) for action in actions])
        return OK
    for action in actions:
        output.say(_action_line(action))
    _say_drift(survey, actions)
    if not plan.effective(actions):
        output.say(_("nothing to do"))
    return OK


def _carry_out(
    context: Context,
    change: Change,
    survey: Survey,
    actions: list[Action],
    named: list[str] | None,
    held: lock.Held,
) -> list[Outcome]:
    todo = plan.effective(actions)
    _remember(survey, _memory_after(change, survey, actions, named))
    for action in actions:
        if action.kind == "leave" and not context.as_json:
            output.say(_action_line(action))
    if not todo:
        return []
    means = _means(context, survey, todo, held)

    def on_done(outcome: Outcome) -> None:
        if not context.as_json:
            output.say(_outcome_line(outcome))

    return execute.run(todo, means, on_done)


def _memory_after(change: Change, survey: Survey, actions: list[Action], named: list[str] | None) -> Memory:
    """The wish is written before the deed: a manager killed in between must not leave a lie behind."""
    after = survey.project.memory
    asked = named if named is not None else [action.instance for action in actions if action.kind != "leave"]
    if change.wish == "stopped" and named is None:
        asked = list(survey.situation.containers)
    if change.wish is not None:
        after = after.with_wish(asked, change.wish)
    starting = [
        action.instance for action in actions if action.kind in {"create", "recreate", "start", "restart"}
    ]
    after = after.with_registered(starting, export.local_iso(time.time()))
    open_ports = {
        each: spec.web_port
        for each, spec in survey.project.specs.items()
        if each in starting and spec.web_port is not None
    }
    return after.with_ports(open_ports)


def _remember(survey: Survey, after: Memory) -> None:
    if after == survey.project.memory:
        return
    path = survey.project.fleet.memory_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        memory.save(path, after)
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=path, why=error.strerror or error) from error


def _means(context: Context, survey: Survey, todo: Iterable[Action], held: lock.Held) -> execute.Means:
    project, engine = survey.project, context.engine()
    fleet = project.fleet
    kinds = {action.kind for action in todo}
    if not kinds & {"create", "recreate", "start", "restart"}:
        return execute.Means(
            engine, fleet, project.specs, survey.situation.containers, survey.env_values, _no_place,
            held.was_passed,
        )  # fmt: skip
    as_user = users.bot_user(fleet, project.variables, engine)
    if kinds & {"create", "recreate"}:
        _require_image(context, survey)
        _ensure_network(context, survey)
        variables = users.remembered(fleet, project.variables, as_user)
        hashes = service_hashes(compose.render(project.specs.values(), fleet), fleet, variables)
        api_version = engine.api_version()
    else:
        hashes, api_version = {}, START_INTERVAL_API

    def place(instance: str) -> Place:
        return Place(
            uid=as_user.uid,
            gid=as_user.gid,
            owner=as_user.owner,
            image_id=survey.situation.image_id,
            compose_hash=hashes.get(instance) or config_hash(project.specs[instance], fleet),
            api_version=api_version,
        )

    return execute.Means(
        engine, fleet, project.specs, survey.situation.containers, survey.env_values, place, held.was_passed
    )


def _no_place(instance: str) -> Place:
    raise AssertionError(f"{instance} is not being started")


def _require_image(context: Context, survey: Survey) -> None:
    name = survey.project.fleet.image_name
    try:
        image = context.engine().image(name)
    except NotFound as error:
        raise ManagerError("the image {image} is not there; build it: `manager build`", image=name) from error
    found = ((image.get("Config") or {}).get("Labels") or {}).get(SUPERVISOR)
    if found != SUPERVISOR_CONTRACT:
        raise ManagerError(
            "the image {image} has no botfleet supervisor (label {label}); build it with `manager build --bot DIR`",
            image=name, label=f"{SUPERVISOR}={SUPERVISOR_CONTRACT}",
        )  # fmt: skip


def _ensure_network(context: Context, survey: Survey) -> None:
    fleet, engine = survey.project.fleet, context.engine()
    if engine.has_network(fleet.network):
        return
    try:
        engine.create_network(fleet.network, of_network(fleet.name), compose.NETWORK_OPTIONS)
    except EngineError:
        if not engine.has_network(fleet.network):
            raise


def _remove_empty_network(context: Context, survey: Survey) -> None:
    """As Compose does; a network that others still use stays."""
    try:
        context.engine().remove_network(survey.project.fleet.network)
    except EngineError:
        return


def _wait(context: Context, survey: Survey, excepted: set[str]) -> list[str]:
    """With --wait: until everything that should run is healthy. Returns the instances that did not get there in time."""
    if not getattr(context.args, "wait", False):
        return []
    named = survey.project.select(context.args.ids, context.args.config)
    ids = [each for each in (survey.situation.wanted if named is None else named) if each not in excepted]
    return waiting.until_healthy(context, survey, ids, context.args.wait_timeout, quiet=context.as_json)


def _export(survey: Survey) -> None:
    try:
        if remark := export.write(survey, export.bot_pids(survey.views)):
            output.warning(remark)
    except ManagerError as error:
        output.warning(error)


def _report(
    context: Context,
    change: Change,
    after: Survey,
    actions: list[Action],
    outcomes: list[Outcome],
    late: list[str],
) -> int:
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    killed = [outcome for outcome in outcomes if outcome.was_killed]
    if context.as_json:
        output.say_json(
            [_outcome_object(outcome) for outcome in sorted(outcomes, key=lambda each: each.action.instance)]
        )
    elif not outcomes and not late:
        output.say(_("nothing to do"))
    if not context.as_json:
        _say_drift(after, actions)
    for error in errors:
        output.error(error)
    for outcome in killed:
        output.error(_killed_text(outcome))
    for each in late:
        view = after.views[each]
        why = output.note(view)
        output.error(Text("{id} is {state} {why}", id=each, state=Text(view.verdict.state), why=why))
    if not change.needs_sound_configs:
        show_problems(after.project)
    failed = [1 for each in late if after.views[each].verdict.state in {"failed", "stopped", "missing"}]
    codes = [error.exit_code for error in errors] + [TIMED_OUT for _each in killed] + failed
    codes += [TIMED_OUT for _each in late] if len(failed) < len(late) else []
    return worst_exit_code(codes)


def _killed_text(outcome: Outcome) -> Text:
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


def _say_drift(survey: Survey, actions: list[Action]) -> None:
    """A new image restarts nothing by itself, so it is said."""
    touched = {action.instance for action in actions}
    behind = [each for each, view in survey.views.items() if "image" in view.drift and each not in touched]
    if behind:
        output.say(
            Text(
                "{count} of the instances run an older image; `manager up --recreate` renews them: {ids}",
                count=len(behind),
                ids=", ".join(behind),
            )
        )


DONE = {
    "create": mark("created"),
    "recreate": mark("recreated"),
    "start": mark("started"),
    "restart": mark("restarted"),
    "stop": mark("stopped"),
    "remove": mark("removed"),
    "leave": mark("left alone"),
}
PLANNED = {
    "create": mark("create"),
    "recreate": mark("recreate"),
    "start": mark("start"),
    "restart": mark("restart"),
    "stop": mark("stop"),
    "remove": mark("remove"),
    "leave": mark("left alone"),
}


def _action_line(action: Action) -> str:
    return f"{action.instance}: {_(PLANNED[action.kind])}: {action.cause}"


def _outcome_line(outcome: Outcome) -> str:
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
