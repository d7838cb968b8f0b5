"""Prepare what containers need: the image, the network, the bots' user, Compose's hashes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import fleet_network
from manager.engine.client import Engine
from manager.engine.container_config import START_INTERVAL_API, HostContext
from manager.engine.labels import NEWEST_CONTRACT, SUPERVISOR, is_contract, is_known_contract
from manager.errors import ImageMissing, ManagerError
from manager.fleet import bot_options_file, lock, upgrade_records
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.fleet.state_file import NOTHING, CalledOffBy
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.checks import shared_market
from manager.ops.egress.egress_limiter import Limiter
from manager.ops.execution.context import ExecutionContext
from manager.ops.execution.port_choice import PortChoice
from manager.ops.folders import bot_user, mount_probe
from manager.ops.requests import request_files, request_plan
from manager.typed import Any
from manager.util.threads import Deferred

NEW_CONTAINER = frozenset({"create", "recreate", "rollback"})


def gather(
    session: Session,
    snapshot: FleetSnapshot,
    todo: Collection[Action],
    held: lock.HeldLock,
    steps: upgrade_records.Steps = upgrade_records.NONE,
    called_off_since: Mapping[str, CalledOffBy] = NOTHING,
    *,
    limit: Limiter,
    has_fixed_ports: bool = False,
    warn: Callable[[object], object] = lambda _why: None,
    info: Callable[[], Mapping[str, Any]] | None = None,
) -> ExecutionContext:
    """Return everything that these actions need, in a few engine calls for any number. Raises ManagerError.

    `steps`: the records that the `rollback` actions restore. `called_off_since`: what was stopped or
    removed since the command was given. `limit`: what limits the fleet's network. `has_fixed_ports`:
    whether a port that turns out to be in use is kept, because the new container is recorded already. `warn`:
    is told what the engine or Compose cannot do for the new containers. `info`: returns the engine's
    description of itself, where it was asked for already.
    """
    project, engine = snapshot.project, session.engine()
    fleet = project.fleet

    def called_off() -> Text | None:
        return Text("the fleet was stopped by force meanwhile") if held.was_overridden() else None

    context = ExecutionContext(
        engine,
        fleet,
        project.specs,
        snapshot.plan_input.containers,
        snapshot.env_values,
        _no_place,
        called_off,
        steps,
        called_off_since=called_off_since,
        ending=session.ending,
    )
    if not any(action.starts or action.kind == "rollback" for action in todo):
        return context
    described = info() if info is not None else engine.info()
    return _for_starts(context, snapshot, todo, limit, warn, described, has_fixed_ports=has_fixed_ports)


def _for_starts(
    context: ExecutionContext,
    snapshot: FleetSnapshot,
    todo: Collection[Action],
    limit: Limiter,
    warn: Callable[[object], object],
    info: Mapping[str, Any],
    *,
    has_fixed_ports: bool,
) -> ExecutionContext:
    """Return the context with what a start needs: image, network, places, ports, the exchanges' turns."""
    engine, fleet, kinds = context.engine, context.fleet, {action.kind for action in todo}
    as_user = bot_user.bot_user(fleet, snapshot.project.variables, info)
    if kinds & {"create", "recreate"}:
        _require_image(snapshot)
        _warn_of_limits(fleet, info, warn)
        made = [action.instance for action in todo if action.kind in {"create", "recreate"}]
        for problem in bot_options_file.problems(snapshot.project, made):
            warn(problem)  # and starts it: the bot's help may be wrong
    ready = partial(_ready_network, engine, fleet, limit)
    network = Deferred(ready) if kinds & NEW_CONTAINER else None
    try:
        if network and (kinds != {"create"} or (fleet.egress is not False and not limit.is_strict)):
            network.result()  # before a bot is stopped that could then not be started; and for its warnings
        place = _place_maker(engine, snapshot, todo, as_user, info, warn)
        files = request_files.of_plan(snapshot, request_plan.running_after(snapshot, todo))
        files.write_all({action.instance for action in todo})
        tell_of_others = shared_market.tell(snapshot, [action.instance for action in todo if action.starts])
    except BaseException:
        if network:
            network.wait()
        raise

    def give_turn(instance: str) -> None:
        tell_of_others(instance)
        files.give_turn(instance)

    def compose_hashes(specs: Mapping[str, InstanceSpec]) -> Mapping[str, str]:
        return _compose_hashes(snapshot.project._replace(specs=specs), as_user, warn)

    context = context._replace(place=place, give_turn=give_turn)
    if not has_fixed_ports:
        context = context._replace(port_choice=PortChoice(snapshot, compose_hashes))
    return context._replace(await_network=network.result) if network else context


def _warn_of_limits(fleet: Fleet, info: Mapping[str, Any], warn: Callable[[object], object]) -> None:
    """Tell once for each engine that it enforces no limits, as a rootless one without cgroups."""
    has_limits = info.get("MemoryLimit", True) and info.get("PidsLimit", True)
    points = mount_probe.mount_points()
    if not has_limits and not mount_probe.known_mounts(fleet, str(info.get("ID") or ""), points):
        warn(
            Text(
                "the engine enforces no memory or process limits: one bot can use up the machine's memory;"
                " `manager doctor` says what to do"
            )
        )


def _place_maker(
    engine: Engine,
    snapshot: FleetSnapshot,
    todo: Collection[Action],
    as_user: bot_user.BotUser,
    info: Mapping[str, Any],
    warn: Callable[[object], object],
) -> Callable[[str], HostContext]:
    """Return the function that gives a new container's place by its instance. It raises ManagerError where
    containers cannot write: before anything of that bot is touched.
    """
    project = snapshot.project
    hashes: Mapping[str, str] = {}
    api_version = START_INTERVAL_API
    unwritable: Mapping[str, ManagerError] = {}
    made = [project.specs[action.instance] for action in todo if action.kind in {"create", "recreate"}]
    if made:
        api_version = engine.api_version()
        there = HostContext(as_user.uid, as_user.gid, as_user.owner, snapshot.image.id, "", api_version)
        with mount_probe.alongside(engine, snapshot, made, there, info) as unwritable:
            hashes = _compose_hashes(project, as_user, warn)

    def place(instance: str) -> HostContext:
        if (fault := unwritable.get(instance)) is not None:
            raise fault
        return HostContext(
            uid=as_user.uid,
            gid=as_user.gid,
            owner=as_user.owner,
            image_id=snapshot.image.id,
            compose_hash=hashes.get(instance) or _own_hash(instance, snapshot),
            api_version=api_version,
        )

    return place


def _compose_hashes(
    project: Project, as_user: bot_user.BotUser, warn: Callable[[object], object]
) -> dict[str, str]:
    """Return Compose's hash of each service, as it will find the variables."""
    from manager.engine.compose_hash import service_hashes  # and with it `subprocess`

    fleet = project.fleet
    if fleet.compose_file.exists():
        with suppress(ManagerError):  # a note for Compose, and nothing that a start may fail for
            bot_user.save_compose_path(fleet)
    variables = bot_user.compose_variables(fleet, project.variables, as_user)
    return service_hashes(project.specs.values(), fleet, variables, warn)


def _ready_network(engine: Engine, fleet: Fleet, limit: Limiter) -> None:
    """Have the fleet's network, and what limits it, before a container starts in it. Raises ManagerError."""
    fleet_network.ensure(engine, fleet)
    if fleet.egress is not False:
        limit()


def _own_hash(instance: str, snapshot: FleetSnapshot) -> str:
    """Return our own hash where Compose gives none.

    A container that is restored has its own, and may have no config any more.
    """
    wanted = snapshot.plan_input.wanted.get(instance)
    return wanted.config_hash if wanted else ""


def _no_place(instance: str) -> HostContext:
    raise AssertionError(f"{instance} is not being started")


def _require_image(snapshot: FleetSnapshot) -> None:
    name = snapshot.project.fleet.image_name
    if snapshot.image == NO_IMAGE:
        raise ImageMissing("the image {image} does not exist; build it with `manager build`", image=name)
    if not is_contract(snapshot.image.contract):
        raise ManagerError(
            "the image {image} has no botfleet supervisor (label {label}); build it with `manager build"
            " --bot DIR`",
            image=name,
            label=f"{SUPERVISOR}={NEWEST_CONTRACT}",
        )
    if not is_known_contract(snapshot.image.contract):
        raise ManagerError(
            "the image {image} uses contract version {contract}, which this manager does not support (label"
            " {label}); update the manager, or build the image again with `manager build`",
            image=name,
            contract=snapshot.image.contract,
            label=SUPERVISOR,
        )
