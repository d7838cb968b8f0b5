"""What must be there before containers can be made: the image, the network, the bots' user, Compose's hashes."""

from __future__ import annotations

from collections.abc import Collection

from manager import execute, history, lock, users
from manager.action import Action
from manager.container import NETWORK_OPTIONS, START_INTERVAL_API, Place
from manager.context import Context
from manager.errors import EngineError, ManagerError
from manager.i18n import Text
from manager.labels import SUPERVISOR, SUPERVISOR_CONTRACT, of_network
from manager.spec import config_hash
from manager.survey import NO_IMAGE, Survey


def gather(
    context: Context,
    survey: Survey,
    todo: Collection[Action],
    held: lock.Held,
    steps: history.Steps = history.NONE,
) -> execute.Means:
    """Everything that these actions need, in a few engine calls whatever their number. Raises ManagerError.

    `steps`: what each `rollback` among them brings back.
    """
    project, engine = survey.project, context.engine()
    fleet = project.fleet
    kinds = {action.kind for action in todo}

    def called_off() -> Text | None:
        return Text("the fleet was stopped by force meanwhile") if held.was_passed() else None

    if not any(action.starts or action.kind == "rollback" for action in todo):
        return execute.Means(
            engine, fleet, project.specs, survey.situation.containers, survey.env_values, _no_place,
            called_off,
        )  # fmt: skip
    as_user = users.bot_user(fleet, project.variables, engine)
    if "rollback" in kinds:
        _ensure_network(context, survey)
    if kinds & {"create", "recreate"}:
        from manager.composehash import service_hashes  # and with it `subprocess`

        _require_image(survey)
        _ensure_network(context, survey)
        variables = users.remembered(fleet, project.variables, as_user)
        hashes = service_hashes(project.specs.values(), fleet, variables)
        api_version = engine.api_version()
    else:
        hashes, api_version = {}, START_INTERVAL_API

    def place(instance: str) -> Place:
        return Place(
            uid=as_user.uid,
            gid=as_user.gid,
            owner=as_user.owner,
            image_id=survey.image.id,
            compose_hash=hashes.get(instance) or _own_hash(instance, survey),
            api_version=api_version,
        )

    return execute.Means(
        engine, fleet, project.specs, survey.situation.containers, survey.env_values, place, called_off, steps
    )


def _own_hash(instance: str, survey: Survey) -> str:
    """Where Compose gives none. A container that is brought back has its own, and may have no config any more."""
    spec = survey.project.specs.get(instance)
    return config_hash(spec, survey.project.fleet) if spec else ""


def _no_place(instance: str) -> Place:
    raise AssertionError(f"{instance} is not being started")


def _require_image(survey: Survey) -> None:
    name = survey.project.fleet.image_name
    if survey.image == NO_IMAGE:
        raise ManagerError("the image {image} is not there; build it: `manager build`", image=name)
    if survey.image.contract != SUPERVISOR_CONTRACT:
        raise ManagerError(
            "the image {image} has no botfleet supervisor (label {label}); build it with `manager build --bot DIR`",
            image=name, label=f"{SUPERVISOR}={SUPERVISOR_CONTRACT}",
        )  # fmt: skip


def _ensure_network(context: Context, survey: Survey) -> None:
    fleet, engine = survey.project.fleet, context.engine()
    if engine.has_network(fleet.network):
        return
    try:
        engine.create_network(fleet.network, of_network(fleet.name), NETWORK_OPTIONS)
    except EngineError:
        if not engine.has_network(fleet.network):
            raise
