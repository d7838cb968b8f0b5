"""Say where `docker compose` would act otherwise than the manager did: on another fleet, or as before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from manager.engine import compose_name
from manager.errors import ManagerError
from manager.fleet.project import Project
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.events import OnEvent, Warned


def own_compose_yaml(project: Project, on_event: OnEvent) -> None:
    """Render compose.yaml anew if it is another fleet's: `docker compose stop` in a clone would act there."""
    path = project.fleet.compose_file
    if (named := compose_name.name_by_variable(path, project.variables)) not in ("", project.fleet.name):
        on_event(
            Warned(
                Text(
                    "COMPOSE_PROJECT_NAME={other}: `docker compose` here acts on fleet {other}, not on"
                    " {fleet}",
                    other=named,
                    fleet=project.fleet.name,
                )
            )
        )
    other = compose_name.name_in(path)
    if other in ("", project.fleet.name):
        return
    from manager.ops.execution import compose_yaml  # with YAML

    try:
        compose_yaml.write(project)
    except ManagerError as error:
        on_event(Warned(error.text))
    else:
        on_event(Warned(Text("compose.yaml was that of fleet {other}; it was rendered anew", other=other)))


def after_change(
    project: Project, named: Collection[str] | None, outcomes: Sequence[Outcome[Action]], on_event: OnEvent
) -> None:
    """Name the instances that were given another port, and warn if `docker compose up -d` would undo what
    was made, or does not know it, with compose.yaml as it is.

    `named`: the instances that the command was about; None for all. A compose.yaml that differs only in
    those ports is rendered anew.
    """
    moved = set()
    for outcome in outcomes:
        if outcome.port_notice is not None and outcome.error is None:
            moved.add(outcome.action.instance)
            on_event(Warned(outcome.port_notice))
    is_made = any(outcome.action.kind in {"create", "recreate"} for outcome in outcomes)
    if not is_made or compose_name.name_in(project.fleet.compose_file) != project.fleet.name:
        return
    if _is_as_rendered(project):
        return
    from manager.ops.execution import compose_yaml  # with YAML

    outdated = compose_yaml.outdated(project)
    if outdated and moved.issuperset(outdated):
        with suppress(ManagerError):
            compose_yaml.write(project)
            return
    asked = {id_: is_there for id_, is_there in outdated.items() if named is None or id_ in named}
    if absent := [id_ for id_, is_there in asked.items() if not is_there]:
        on_event(
            Warned(
                Text(
                    "compose.yaml has no service for {ids}: `docker compose` treats such containers as"
                    " orphans; `manager compose` renders it anew",
                    ids=", ".join(absent),
                )
            )
        )
    if ids := [id_ for id_, is_there in asked.items() if is_there]:
        on_event(
            Warned(
                Text(
                    "compose.yaml is not what the configs say of {ids}: `docker compose up -d` would undo"
                    " that; `manager compose` renders it anew",
                    ids=", ".join(ids),
                )
            )
        )


def _is_as_rendered(project: Project) -> bool:
    """Return whether compose.yaml is known to be what the configs say, without rendering it."""
    if project.held_back or project.loaded.broken_files:
        return False  # it then has services as they were
    from manager.engine import compose_hash  # which what was made has loaded

    try:
        text = project.fleet.compose_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return compose_hash.is_rendered_from(text, project.specs.values(), project.fleet)
