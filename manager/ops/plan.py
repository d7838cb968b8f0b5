"""What to do, and why: specs + containers + wishes → actions. Pure, so that a plan can be printed and tested as text."""

from __future__ import annotations

from collections.abc import Iterable

from manager.engine.containers import Container
from manager.fleet.snapshot import Drift, PlanInput
from manager.fleet.state_file import RejectedRevision
from manager.fleet.status import Status
from manager.i18n import Text
from manager.ops.action import Action


def up(
    plan_input: PlanInput,
    named: Iterable[str] | None = None,
    *,
    recreate: bool = False,
    remove_orphans: bool = False,
) -> list[Action]:
    """Brings the fleet (or the named instances) to what the configs say.

    Without names, what a person stopped and what ended for good stays as it is and is named.
    """
    ids = plan_input.wanted if named is None else named
    actions = [
        action
        for each in ids
        if (action := _up_one(plan_input, each, is_named=named is not None, recreate=recreate))
    ]
    if remove_orphans:
        actions += [Action("remove", each, Text("no config names it")) for each in plan_input.orphans]
    elif named is None:
        actions += [_left_orphan(each) for each in plan_input.orphans]
    return _in_waves(plan_input, actions)


def start(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Starts what does not run. A running instance is left alone, even with a changed config.

    Without names, what is halted and what has ended by itself stays as it is and is named, as with `up`.
    """
    actions = []
    for each in plan_input.wanted if named is None else named:
        container, verdict = plan_input.containers.get(each), plan_input.verdicts.get(each)
        if named is None and plan_input.memory.of(each).halted and not plan_input.is_up(each):
            actions.append(left_stopped(plan_input, each))
        elif named is None and container is not None and container.is_up and verdict and verdict.is_final:
            actions.append(_left_ended(each, verdict, plan_input.drift(each)))
        elif container is not None and container.engine_state == "paused":
            actions.append(_left_paused(container, each))
        elif container is not None and _is_busy(plan_input, each):
            cause = Text("already running")
            if "config" in plan_input.drift(each) and not plan_input.refusal(each):
                cause = Text("already running; `manager up {id}` applies the changed config", id=each)
            actions.append(Action("leave", each, cause))
        elif action := _up_one(plan_input, each, is_named=True, recreate=False):
            actions.append(action)
    return _in_waves(plan_input, actions)


def restart(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Stops and starts; a changed config is applied. Without names, what a person stopped stays stopped."""
    actions = []
    for each in plan_input.wanted if named is None else named:
        container, refused = plan_input.containers.get(each), plan_input.refusal(each) is not None
        if named is None and plan_input.is_stopped_by_wish(each):
            actions.append(left_stopped(plan_input, each))
        elif container is None:
            actions.append(_created(plan_input, each))
        elif each in plan_input.moved and not refused:
            actions.append(_moved(each))
        elif "config" in plan_input.drift(each) and not refused:
            actions.append(Action("recreate", each, Text("config changed")))
        elif container.is_up:
            actions.append(Action("restart", each, Text("asked for"), as_it_was=refused))
        else:
            actions.append(_started(container, each, is_fresh=True, is_refused=refused))
    return _in_waves(plan_input, actions)


def resume(plan_input: PlanInput, named: Iterable[str]) -> list[Action]:
    """Brings what ran when it was halted back as it was: what had failed or completed by itself is that again."""
    actions = []
    for each in named:
        halted = plan_input.memory.of(each).halted
        if plan_input.is_up(each):
            actions.append(Action("leave", each, Text("already running")))
        elif halted is None:
            actions.append(
                Action("leave", each, Text("it was not halted; `manager start {id}` starts it", id=each))
            )
        elif halted == "down":
            actions.append(Action("leave", each, Text("it did not run when it was halted")))
        elif action := _up_one(plan_input, each, is_named=True, recreate=False):
            actions.append(action._replace(is_fresh=False))
    return _in_waves(plan_input, actions)


def stop(plan_input: PlanInput, named: Iterable[str] | None = None) -> list[Action]:
    """Stops containers and leaves them there. Needs no config, so that it works when configs are broken."""
    actions = []
    for each in plan_input.present if named is None else named:
        container = plan_input.containers.get(each)
        if plan_input.runs_elsewhere(each) or (container is not None and container.is_up):
            actions.append(Action("stop", each, Text("asked for")))
        elif container is None:
            actions.append(Action("leave", each, Text("no container")))
        else:
            actions.append(Action("leave", each, Text("not running")))
    return actions


def down(
    plan_input: PlanInput, named: Iterable[str] | None = None, *, remove_orphans: bool = False
) -> list[Action]:
    """Stops and removes containers; orphans only when asked for."""
    if named is not None:
        return [
            Action("remove", each, Text("asked for"))
            if each in plan_input.present
            else Action("leave", each, Text("no container"))
            for each in named
        ]
    orphans = set(plan_input.orphans)
    return [
        _left_orphan(each)
        if each in orphans and not remove_orphans
        else Action("remove", each, Text("no config names it") if each in orphans else Text("asked for"))
        for each in plan_input.present
    ]


def effective(actions: Iterable[Action]) -> list[Action]:
    """The actions that change something."""
    return [action for action in actions if action.kind != "leave"]


def _up_one(plan_input: PlanInput, each: str, *, is_named: bool, recreate: bool) -> Action | None:
    container, refused = plan_input.containers.get(each), plan_input.refusal(each)
    drift = [] if refused else plan_input.drift(each)
    verdict = plan_input.verdicts.get(each)
    if not is_named and plan_input.is_stopped_by_wish(each):
        return left_stopped(plan_input, each)
    if container is None:
        return _created(plan_input, each)
    if not is_named and verdict is not None and verdict.is_final and container.is_up:
        return _left_ended(each, verdict, drift)
    if each in plan_input.moved and not refused:
        return _moved(each)
    if "config" in drift:
        return Action("recreate", each, Text("config changed"))
    if recreate and "image" in drift:
        if not is_named and plan_input.refused_image:
            return left_with_image(each, *plan_input.refused_image)
        return Action("recreate", each, Text("new image"))
    if container.engine_state in {"dead", "removing"}:
        if refused:
            return _created(plan_input, each)
        return Action("recreate", each, Text("the engine calls it “{word}”", word=container.engine_state))
    if container.engine_state == "paused":
        return _left_paused(container, each)
    if not container.is_up:
        return _started(container, each, is_fresh=is_named, is_refused=bool(refused))
    if _is_ending(verdict):
        return Action(
            "restart", each, Text("it is being stopped"), is_fresh=is_named, as_it_was=bool(refused)
        )
    if verdict is not None and verdict.is_final:
        return Action(
            "restart", each, Text("was {state}", state=Text(verdict.state)), as_it_was=bool(refused)
        )
    if "environment" in drift:
        return Action("restart", each, Text("environment changed"))
    return left_refused(each, refused) if refused else None


def _moved(instance: str) -> Action:
    """Its container mounts folders by the path that they had: it runs on, and cannot be started again."""
    return Action("recreate", instance, Text("moved"), keeps_image=True)


def _left_paused(container: Container, instance: str) -> Action:
    return Action(
        "leave", instance, Text("paused; `docker unpause {name}` lets it go on", name=container.name)
    )


def _created(plan_input: PlanInput, instance: str) -> Action:
    if refused := plan_input.refusal(instance):
        return Action(
            "leave",
            instance,
            Text(
                "its config was refused ({why}) and the container before it is gone: `manager rollback {id}` brings that back,"
                " `manager upgrade {id}` tries again",
                why=refused.why, id=instance,
            ),
        )  # fmt: skip
    return Action("create", instance, Text("no container"))


def left_refused(instance: str, refused: RejectedRevision) -> Action:
    """What is said of an instance whose config and image a roll-out has taken back."""
    return Action(
        "leave",
        instance,
        Text(
            "rolled back (config {hash}, image {image} were refused: {why}); `manager upgrade {id}` tries again",
            hash=refused.config_hash[:8], image=refused.image_id.removeprefix("sha256:")[:8], why=refused.why, id=instance,
        ),
    )  # fmt: skip


def _started(container: Container, instance: str, *, is_fresh: bool, is_refused: bool) -> Action:
    """Starts what is down. What the engine could not start before is made anew: an engine that was killed may keep a task of
    it for ever, which only another container does not meet.
    """
    if container.never_ran and not is_refused:
        is_new = container.engine_state == "created"
        cause = Text("it was made and never started") if is_new else Text("the engine could not start it")
        return Action("recreate", instance, cause, keeps_image=True)
    return Action("start", instance, Text("not running"), is_fresh=is_fresh, as_it_was=is_refused)


def _left_orphan(instance: str) -> Action:
    return Action("leave", instance, Text("no config names it; --remove-orphans removes it"))


def left_stopped(plan_input: PlanInput, instance: str) -> Action:
    """What is said of an instance that a person stopped or halted."""
    if plan_input.memory.of(instance).halted:
        return Action("leave", instance, Text("halted; `manager resume` brings back what ran"))
    return Action("leave", instance, Text("stopped by a person; `manager start {id}` starts it", id=instance))


def _left_ended(instance: str, verdict: Status, drift: list[Drift]) -> Action:
    why = verdict.why or Text(verdict.state)
    if "config" in drift:
        return Action(
            "leave",
            instance,
            Text("{state} ({why}); config changed, `manager up {id}` applies it", state=Text(verdict.state), why=why, id=instance),
        )  # fmt: skip
    return Action(
        "leave", instance, Text("{state} ({why}); `manager start {id}` starts it", state=Text(verdict.state), why=why, id=instance)
    )  # fmt: skip


def left_with_image(instance: str, other: str, refused: RejectedRevision) -> Action:
    """What is said of an instance that runs an older image, when another one was taken back from the new one."""
    cause = Text(
        "the new image was refused by {other} ({why}); `manager upgrade {id}` tries it all the same",
        other=other, why=refused.why, id=instance,
    )  # fmt: skip
    return Action("leave", instance, cause)


def _is_ending(verdict: Status | None) -> bool:
    """Whether its supervisor is stopping, or has: the container is up for a moment more, and then it is not."""
    return verdict is not None and (verdict.word == "stopping" or verdict.state == "stopped")


def _is_busy(plan_input: PlanInput, instance: str) -> bool:
    """Whether a start would be a second one: the container is up and its supervisor has neither given up nor been stopped."""
    verdict = plan_input.verdicts.get(instance)
    ended = _is_ending(verdict) or (verdict is not None and verdict.is_final)
    return plan_input.containers[instance].is_up and not ended


def _in_waves(plan_input: PlanInput, actions: list[Action]) -> list[Action]:
    """Marks the recreations whose old port another action is about to take: these stop first."""
    claimed = {
        wanted.web_port
        for action in actions
        if action.kind in {"create", "recreate"} and (wanted := plan_input.wanted.get(action.instance))
    }
    return [
        action._replace(first_wave=True)
        if action.kind == "recreate" and _frees_a_claimed_port(plan_input, action.instance, claimed)
        else action
        for action in actions
    ]


def _frees_a_claimed_port(plan_input: PlanInput, instance: str, claimed: set[int | None]) -> bool:
    old = plan_input.containers[instance].web_port
    wanted = plan_input.wanted.get(instance)
    return old in claimed and wanted is not None and wanted.web_port != old
