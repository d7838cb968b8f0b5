"""Plan: specs + containers + desired states → actions with causes. Pure, so that plans are tested as text."""

from collections.abc import Iterable, Mapping, Sequence

from manager.engine.containers import Container
from manager.fleet.definition_drift import KEPT_UNNAMED, UPDATED
from manager.fleet.snapshot import Drift, PlanInput
from manager.fleet.status import STOPPING, Status
from manager.i18n import Text, listed
from manager.ops.actions.action import Action
from manager.ops.planning.left_alone import (
    left_as_read_before,
    left_ended,
    left_made_otherwise,
    left_orphan,
    left_outgrown,
    left_paused,
    left_refused,
    left_stopped,
    left_with_image,
    left_without_container,
    with_ends,
)
from manager.typed import NamedTuple

CAUSES: Mapping[Drift, Text] = {
    "config": Text("config changed"),
    "image": Text("new image"),
    "environment": Text("environment changed"),
    "network": Text("not on its network"),
    "mounts": Text("not with its folders"),
    "user": Text("not as its user"),
    "other image": Text("not from the fleet's image"),
    "limits": Text("not with its limits"),
    "restart policy": Text("not with its restart policy"),
    "shares": Text("with CPU shares, pinned CPUs or a reservation that its config does not have"),
    "settings": Text("with container settings that are not its config's"),
}


class Causes(NamedTuple):
    """Join several causes, translated when shown."""

    drift: Sequence[Drift]

    def __str__(self) -> str:
        return listed(CAUSES[drift] for drift in self.drift)


def up(
    plan_input: PlanInput,
    named: Iterable[str] | None = None,
    *,
    recreate: bool = False,
    remove_orphans: bool = False,
) -> list[Action]:
    """Plan to bring the fleet, or the named instances, to the state that the configs describe.

    Without names, instances that a user stopped, or that ended for good, are left as they are and reported.
    """
    ids = plan_input.wanted if named is None else named
    actions = [
        action
        for instance in ids
        if (action := _up_one(plan_input, instance, is_named=named is not None, recreate=recreate))
    ]
    if remove_orphans:
        actions += [Action("remove", instance, Text("it has no config")) for instance in plan_input.orphans]
    elif named is None:
        actions += [left_orphan(instance) for instance in plan_input.orphans]
    return _in_waves(plan_input, actions)


def start(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Plan to start what does not run. A running instance is left as it is, even with a changed config.

    Without names, halted and ended instances are left as they are and reported, as with `up`.
    """
    actions = []
    for instance in plan_input.wanted if named is None else named:
        container = plan_input.containers.get(instance)
        if named is None and plan_input.fleet_state.of(instance).halted and not plan_input.is_up(instance):
            actions.append(left_stopped(plan_input, instance))
        elif named is None and (ended := _ended(plan_input, instance)):
            actions.append(left_ended(instance, ended, plan_input.drift(instance)))
        elif container is not None and container.engine_state == "paused":
            actions.append(left_paused(container, instance))
        elif (
            container is not None
            and _is_busy(plan_input, instance)
            and (
                plan_input.refusal(instance)
                or not (
                    _made_otherwise(plan_input, instance, is_named=named is not None)
                    or _was_updated(plan_input.drift(instance))
                )
            )
        ):
            cause = Text("already running")
            if "config" in plan_input.drift(instance) and not plan_input.refusal(instance):
                cause = Text("already running; `manager up {id}` applies the changed config", id=instance)
            actions.append(Action("leave", instance, cause))
        elif action := _up_one(
            plan_input, instance, is_named=True, recreate=False, mends_all=named is not None
        ):
            actions.append(action)
    return _in_waves(plan_input, actions)


def restart(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Plan to stop and start, applying changed configs. Without names, what a user stopped stays stopped, and
    what has ended by itself is left as it is.
    """
    actions = []
    for instance in plan_input.wanted if named is None else named:
        container, refused = plan_input.containers.get(instance), plan_input.refusal(instance) is not None
        drift = plan_input.drift(instance)
        if named is None and plan_input.is_stopped_by_wish(instance):
            actions.append(left_stopped(plan_input, instance))
        elif named is None and (ended := _ended(plan_input, instance)):
            actions.append(left_ended(instance, ended, plan_input.drift(instance)))
        elif container is None:
            actions.append(_created(plan_input, instance))
        elif instance in plan_input.moved and not refused:
            actions.append(_moved(instance))
        elif "config" in plan_input.drift(instance) and not refused:
            actions.append(Action("recreate", instance, CAUSES["config"]))
        elif not refused and (cause := _made_otherwise(plan_input, instance, is_named=named is not None)):
            actions.append(_mended(instance, cause, plan_input.drift(instance)))
        elif not refused and named is not None and (cause := _kept_unnamed(drift)):
            actions.append(_mended(instance, cause, drift))
        elif container.is_up:
            actions.append(Action("restart", instance, Text("requested"), as_it_was=refused))
        else:
            actions.append(_started(container, instance, drift, is_fresh=True, is_refused=refused))
    return _in_waves(plan_input, actions)


def resume(plan_input: PlanInput, named: Iterable[str]) -> list[Action]:
    """Plan to start what ran when it was halted. What had failed or completed before stays in that state."""
    actions = []
    for instance in named:
        halted = plan_input.fleet_state.of(instance).halted
        if plan_input.is_up(instance):
            actions.append(_resumed(plan_input, instance))
        elif halted is None:
            actions.append(
                Action(
                    "leave", instance, Text("it was not halted; `manager start {id}` starts it", id=instance)
                )
            )
        elif halted == "down":
            actions.append(Action("leave", instance, Text("it did not run when it was halted")))
        elif action := _up_one(plan_input, instance, is_named=True, recreate=False, mends_all=False):
            actions.append(action._replace(is_fresh=False))
    return _in_waves(plan_input, actions)


def _resumed(plan_input: PlanInput, instance: str) -> Action:
    """Mend a running instance whose container somebody changed, and leave it otherwise."""
    drift = plan_input.drift(instance)
    if plan_input.containers[instance].engine_state == "paused":
        return left_paused(plan_input.containers[instance], instance)
    if plan_input.refusal(instance) is None and _is_busy(plan_input, instance):
        if cause := _made_otherwise(plan_input, instance, drift, is_named=False):
            return _mended(instance, cause, drift)
        if _was_updated(drift):
            return _updated(plan_input, instance, drift, is_named=False)
    return Action("leave", instance, Text("already running"))


def stop(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Plan to stop containers without removing them.

    Needs no config, so that it works if configs are invalid.
    """
    actions = []
    for instance in plan_input.present if named is None else named:
        container = plan_input.containers.get(instance)
        if plan_input.runs_in_other_container(instance) or (container is not None and container.is_up):
            actions.append(Action("stop", instance, Text("requested")))
        elif container is None:
            actions.append(Action("leave", instance, Text("no container")))
        else:
            actions.append(Action("leave", instance, Text("not running")))
    return actions


def down(
    plan_input: PlanInput, named: Iterable[str] | None = None, *, remove_orphans: bool = False
) -> list[Action]:
    """Plan to stop and remove containers; orphans only on request."""
    if named is not None:
        return [
            Action("remove", instance, Text("requested"))
            if instance in plan_input.present
            else Action("leave", instance, Text("no container"))
            for instance in named
        ]
    orphans = set(plan_input.orphans)
    return [
        left_orphan(instance)
        if instance in orphans and not remove_orphans
        else Action(
            "remove", instance, Text("it has no config") if instance in orphans else Text("requested")
        )
        for instance in plan_input.present
    ]


def effective(actions: Iterable[Action]) -> list[Action]:
    """Return the actions that change something."""
    return [action for action in actions if action.kind != "leave"]


def _up_one(
    plan_input: PlanInput, instance: str, *, is_named: bool, recreate: bool, mends_all: bool | None = None
) -> Action | None:
    """Plan what one instance needs. `mends_all`: also give up another user or image (default: if named)."""
    mends_all = is_named if mends_all is None else mends_all
    container, refused = plan_input.containers.get(instance), plan_input.refusal(instance)
    drift = [] if refused else plan_input.drift(instance)
    status = plan_input.statuses.get(instance)
    if not is_named and plan_input.is_stopped_by_wish(instance):
        return left_stopped(plan_input, instance)
    if container is None:
        return _created(plan_input, instance)
    makes_anew = instance in plan_input.moved or (recreate and "image" in drift) or set(drift) - {"image"}
    if not is_named and (ended := _ended(plan_input, instance)) and (container.is_up or makes_anew):
        return left_ended(instance, ended, drift)
    if not is_named and (reread := plan_input.wanted[instance].reread):
        return left_as_read_before(instance, reread)
    if instance in plan_input.moved and not refused:
        return _moved(instance)
    if "config" in drift:
        return Action("recreate", instance, CAUSES["config"])
    if (cause := _made_otherwise(plan_input, instance, drift, is_named=mends_all)) and not (
        recreate and "image" in drift
    ):
        return _mended(instance, cause, drift)
    if recreate and "image" in drift:
        if not is_named and plan_input.refused_image:
            return left_with_image(instance, *plan_input.refused_image)
        return Action("recreate", instance, CAUSES["image"])
    if container.engine_state in {"dead", "removing"}:
        if refused:
            return _created(plan_input, instance)
        return Action("recreate", instance, Text("engine state: {word}", word=container.engine_state))
    if container.engine_state == "paused":
        return left_paused(container, instance)
    if not container.is_up:
        return _started(container, instance, drift, is_fresh=is_named, is_refused=bool(refused))
    if _is_ending(status):
        is_idle = instance in plan_input.idle
        cause = Text("its container is up without its bot") if is_idle else Text("it is being stopped")
        return Action("restart", instance, cause, is_fresh=is_named, as_it_was=bool(refused))
    if status is not None and status.is_final:
        return Action(
            "restart", instance, Text("was {state}", state=Text(status.state)), as_it_was=bool(refused)
        )
    if "environment" in drift:
        return Action("restart", instance, CAUSES["environment"])
    if refused:
        return left_refused(instance, refused)
    if cause := _made_otherwise(plan_input, instance, drift, is_named=True):
        return left_made_otherwise(instance, cause)
    if _was_updated(drift):
        return _updated(plan_input, instance, drift, is_named=is_named)
    return left_made_otherwise(instance, cause) if (cause := _kept_unnamed(drift)) else None


def _kept_unnamed(drift: Iterable[Drift]) -> Text | None:
    """Return what a container has that only a new one is without; None if there is nothing of that."""
    return next((CAUSES[kind] for kind in KEPT_UNNAMED if kind in drift), None)


def _was_updated(drift: Iterable[Drift]) -> bool:
    return not UPDATED.isdisjoint(drift)


def _causes_of_update(drift: Iterable[Drift]) -> Causes:
    return Causes([kind for kind in drift if kind in UPDATED])


def _updated(plan_input: PlanInput, instance: str, drift: Sequence[Drift], *, is_named: bool) -> Action:
    """Undo a `docker update` of a bot that runs. A limit below what it uses now would end it: that takes a
    person's word.
    """
    cause = Text("{causes}", causes=_causes_of_update(drift))
    if instance not in plan_input.outgrown:
        return Action("update", instance, cause)
    return Action("restart", instance, cause) if is_named else left_outgrown(instance)


def _moved(instance: str) -> Action:
    """Recreate a container that mounts folders by their old path, and cannot be started again."""
    return Action("recreate", instance, Text("moved"), keeps_image=True)


def off_network(instance: str) -> Action:
    """Recreate a container without its network: no start connects it again."""
    return Action("recreate", instance, CAUSES["network"], keeps_image=True)


def as_another_user(instance: str) -> Action:
    """Recreate a container that was made for another user: no start changes its user."""
    return Action("recreate", instance, CAUSES["user"], keeps_image=True)


MADE_OTHERWISE: Sequence[Drift] = ("network", "mounts", "user", "other image")
"""What no start mends: why a container is made anew."""
MENDED_UNASKED = frozenset({"network", "mounts"})
"""With these a bot does not work as it should. Another user or image was a person's choice: it runs."""
KEPT_UNASKED = frozenset({"other image"})
"""It is started as it is, too: only a person who names the instance gets the fleet's image."""


def _made_otherwise(
    plan_input: PlanInput, instance: str, drift: list[Drift] | None = None, *, is_named: bool
) -> Text | None:
    """Return why a container must be made anew, although its config is as it was."""
    drift = plan_input.drift(instance) if drift is None else drift
    is_up = plan_input.is_up(instance)
    return next(
        (
            CAUSES[kind]
            for kind in MADE_OTHERWISE
            if kind in drift
            and (is_named or kind in MENDED_UNASKED or (not is_up and kind not in KEPT_UNASKED))
        ),
        None,
    )


def _mended(instance: str, cause: Text, drift: list[Drift]) -> Action:
    return Action("recreate", instance, cause, keeps_image="other image" not in drift)


def _created(plan_input: PlanInput, instance: str) -> Action:
    if rejected := plan_input.refusal(instance):
        return left_without_container(instance, rejected)
    return Action("create", instance, Text("no container"))


def _started(
    container: Container, instance: str, drift: Sequence[Drift], *, is_fresh: bool, is_refused: bool
) -> Action:
    """Start a container, or recreate one that never ran: an engine that was killed may keep its task
    forever. A start puts back its limits and restart policy.
    """
    if container.never_ran and not is_refused:
        is_new = container.engine_state == "created"
        cause = Text("created but never started") if is_new else Text("the engine could not start it")
        return Action("recreate", instance, cause, keeps_image=True)
    cause = Text("not running")
    if _was_updated(drift) and not is_refused:
        cause = Text("not running, {causes}", causes=_causes_of_update(drift))
    return Action("start", instance, cause, is_fresh=is_fresh, as_it_was=is_refused)


def _is_ending(status: Status | None) -> bool:
    """Return whether its supervisor is stopping or has stopped, so that the container ends in a moment."""
    return status is not None and (status.detail == STOPPING or status.state == "stopped")


def _ended(plan_input: PlanInput, instance: str) -> Status | None:
    """Return how it has ended for good, also before its container was stopped."""
    container, status = plan_input.containers.get(instance), plan_input.statuses.get(instance)
    if container is not None and container.is_up:
        return plan_input.ended.get(instance, status) if status is not None and status.is_final else None
    return plan_input.ended.get(instance)


def _is_busy(plan_input: PlanInput, instance: str) -> bool:
    """Return whether its container is up, and its supervisor has neither given up nor been stopped."""
    status = plan_input.statuses.get(instance)
    ended = _is_ending(status) or (status is not None and status.is_final)
    return plan_input.containers[instance].is_up and not ended


def _in_waves(plan_input: PlanInput, actions: list[Action]) -> list[Action]:
    """Mark recreations whose old port another action needs: these are removed first."""
    claimed = {
        wanted.web_port
        for action in actions
        if action.kind in {"create", "recreate"} and (wanted := plan_input.wanted.get(action.instance))
    }
    return [
        action._replace(first_wave=True)
        if action.kind == "recreate" and _frees_a_claimed_port(plan_input, action.instance, claimed)
        else action
        for action in with_ends(plan_input, actions)
    ]


def _frees_a_claimed_port(plan_input: PlanInput, instance: str, claimed: set[int | None]) -> bool:
    old = plan_input.containers[instance].web_port
    wanted = plan_input.wanted.get(instance)
    return old in claimed and wanted is not None and wanted.web_port != old
