"""Run `import`: import a folder of the old system.

Without `--yes` or a confirmation it only prints the plan.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manager.cli import closing_table
from manager.cli.notices import say_problems
from manager.errors import ConfigError, UsageError, worst_exit_code
from manager.fleet import lock
from manager.fleet.project import Project
from manager.fleet.selection import no_instance
from manager.fleet.session import Session
from manager.i18n import Text, _, labelled, mark
from manager.ops.actions.action import Outcome
from manager.ops.migrate import closing, conflicts, execute, inspect, plan
from manager.ops.migrate.closing import Closing
from manager.ops.migrate.inspect import ImportFacts
from manager.ops.migrate.plan import ImportAction, ImportOptions, Kind
from manager.util import console, prompt
from manager.util.real_path import real_path
from manager.util.sanitize import replace_unprintable

PLANNED: Mapping[Kind, str] = {
    "stop": mark("stop the old daemon"),
    "database": mark("copy database"),
    "logs": mark("copy logs"),
    "remember": mark("record"),
    "config": mark("copy config"),
    "names": mark("add names"),
    "values": mark("add variables"),
    "warn": mark("warning"),
    "leave": mark("skip"),
    "refuse": mark("refused"),
}
DONE: Mapping[Kind, str] = {
    "stop": mark("old daemon stopped"),
    "database": mark("database copied"),
    "logs": mark("logs copied"),
    "remember": mark("recorded"),
    "config": mark("config copied"),
    "names": mark("names added"),
    "values": mark("variables added"),
}


def import_(session: Session, args: Namespace) -> int:
    """Import configs, databases and more from a folder of the old system, which is not changed."""
    folder = Path(args.folder)
    options = ImportOptions(args.logs, args.env, args.stop_old, tuple(args.ids))
    project = _target(session, folder)
    facts, actions = _look(folder, project, options)
    table = closing.look(facts, project.fleet, options)
    has_changes = any(action.changes for action in actions)
    if not args.json:
        _say_plan(actions)
        if args.dry_run or not (args.yes and has_changes):  # else it ends what is said
            closing_table.say(table)
        if not has_changes:
            console.say(_("nothing to do"))
    if not has_changes or not _is_wanted(args):
        if args.json:
            console.say_json(_object(facts, actions, [], table))
        say_problems(project)
        return plan.exit_code(actions)
    fleet = project.fleet
    with lock.held(fleet.lock_file, "import", args.lock_wait, on_wait=console.warning):
        facts, actions = _look(
            folder, _target(session, folder), options
        )  # what was seen without the lock may be history
        outcomes = execute.run(
            actions, facts, fleet, lambda outcome: None if args.json else _say_outcome(outcome)
        )
    if args.json:
        console.say_json(_object(facts, actions, outcomes, table))
    else:
        closing_table.say(table)
    stopped = {
        outcome.action.subject for outcome in outcomes if outcome.action.kind == "stop" and not outcome.error
    }
    for outcome in outcomes:
        if outcome.error:
            console.error(outcome.error)
            if outcome.action.subject in stopped:
                console.error(
                    Text(
                        "{id} is not running anywhere: its old daemon was stopped", id=outcome.action.subject
                    )
                )
    _say_next(facts, outcomes, as_json=args.json)
    return worst_exit_code(
        [plan.exit_code(actions), *(outcome.error.exit_code for outcome in outcomes if outcome.error)]
    )


def _target(session: Session, folder: Path) -> Project:
    """Return the importing fleet.

    Raises UsageError for its own folder, ConfigError for an unusable state file.
    """
    project = session.project()
    if not folder.is_dir():
        raise UsageError("{folder} is not a folder", folder=folder)
    if real_path(folder) in (project.fleet.project_dir, project.fleet.data_dir):
        raise UsageError(
            "{folder} is this fleet's own folder, so its configs and databases are already in use; see "
            "`manager config --check` and `manager plan`",
            folder=real_path(folder),
        )
    if project.fleet_state.faults:
        raise ConfigError(project.fleet_state.faults)
    return project


def _look(folder: Path, project: Project, options: ImportOptions) -> tuple[ImportFacts, list[ImportAction]]:
    facts = inspect.inspect_folder(folder, project, with_values=options.env)
    facts = conflicts.added(facts, project, options.ids)
    known = [config.id for config in facts.configs]
    for instance in options.ids:
        if instance not in known:
            raise no_instance(instance, known, folder)
    return facts, plan.plan_import(facts, options)


def _is_wanted(args: Namespace) -> bool:
    if args.dry_run or args.yes:
        return bool(args.yes and not args.dry_run)
    if not args.json and prompt.is_possible():
        return prompt.confirm(_("continue?"))
    if not args.json:
        console.say(_("nothing was changed; use --yes to carry out the plan"))
    return False


def _say_plan(actions: list[ImportAction]) -> None:
    for action in actions:  # quotes the names of files that others made
        console.say(replace_unprintable(labelled(action.subject, _(PLANNED[action.kind]), action.cause)))


def _say_outcome(outcome: Outcome[ImportAction]) -> None:
    result = _("failed") if outcome.error else _(DONE[outcome.action.kind])
    console.say(labelled(replace_unprintable(outcome.action.subject), result))


def _say_next(facts: ImportFacts, outcomes: list[Outcome[ImportAction]], *, as_json: bool) -> None:
    imported = [
        outcome.action.subject
        for outcome in outcomes
        if outcome.action.kind == "config" and not outcome.error
    ]
    if as_json or not imported:
        return
    console.say(
        Text(
            "instances imported: {count}; {folder} is unchanged. Next: run `manager config --check`, then "
            "`manager start ID --wait`, one instance at a time",
            count=len(imported),
            folder=facts.folder,
        )
    )
    modes = {config.id: config.loaded.spec.mode for config in facts.configs if config.loaded.spec}
    if on_paper := sum(modes.get(instance) == "paper" for instance in imported):
        console.say(
            Text(
                "{count} of them trade on paper, without any key, until config/fleet.toml or the config "
                'sets `mode = "live"`',
                count=on_paper,
            )
        )


def _object(
    facts: ImportFacts, actions: list[ImportAction], outcomes: list[Outcome[ImportAction]], table: Closing
) -> dict[str, Any]:
    """Return the JSON: every action and the outcomes of those carried out (`done` is null for the others)."""
    by_action = {id(outcome.action): outcome for outcome in outcomes}
    return {
        "from": str(facts.folder),
        "steps": [_action_object(action, by_action.get(id(action))) for action in actions],
        "instances": closing_table.objects(table),
        "unused_variables": list(table.unused_variables),
    }


def _action_object(action: ImportAction, outcome: Outcome[ImportAction] | None) -> dict[str, Any]:
    return {
        "subject": action.subject,
        "action": action.kind,
        "cause": str(action.cause),
        "done": None if outcome is None else outcome.error is None,
        "error": None if outcome is None or outcome.error is None else str(outcome.error),
    }
