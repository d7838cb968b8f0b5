"""Leave an instance as it is: one action for each cause, with what the user can do about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from manager.engine.containers import Container
from manager.fleet import causes
from manager.fleet.snapshot import Drift, PlanInput
from manager.fleet.state_file import RejectedRevision
from manager.fleet.status import Status
from manager.i18n import Text
from manager.ops.actions.action import Action


def left_stopped(plan_input: PlanInput, instance: str) -> Action:
    """Leave an instance that was stopped or halted."""
    saved = plan_input.fleet_state.of(instance)
    if saved.halted:
        who = causes.halted_by(saved)
        return Action("leave", instance, Text("{who}; `manager resume` starts what ran", who=who))
    who = causes.stopped_by(saved)
    return Action("leave", instance, Text("{who}; `manager start {id}` starts it", who=who, id=instance))


def left_ended(instance: str, status: Status, drift: list[Drift]) -> Action:
    why = status.why or Text(status.state)
    if "config" in drift:
        return Action(
            "leave",
            instance,
            Text(
                "{state} ({why}); config changed, `manager up {id}` applies it",
                state=Text(status.state),
                why=why,
                id=instance,
            ),
        )
    return Action(
        "leave",
        instance,
        Text(
            "{state} ({why}); `manager start {id}` starts it", state=Text(status.state), why=why, id=instance
        ),
    )


def with_ends(plan_input: PlanInput, actions: Sequence[Action]) -> list[Action]:
    """Return the actions, with what has ended for good said of it where only its container is started."""
    return [
        action._replace(cause=left_ended(action.instance, status, []).cause, is_for_bot=False)
        if action.kind == "start"
        and not action.is_fresh
        and (status := plan_input.ended.get(action.instance))
        else action
        for action in actions
    ]


def left_paused(container: Container, instance: str) -> Action:
    return Action("leave", instance, Text("paused; `docker unpause {name}` resumes it", name=container.name))


def left_orphan(instance: str) -> Action:
    return Action("leave", instance, Text("it has no config; --remove-orphans removes it"))


def left_made_otherwise(instance: str, cause: Text) -> Action:
    """Leave a bot that runs in a container of another user or image: whoever made it so may have meant it."""
    return Action(
        "leave",
        instance,
        Text("{cause}; `manager restart {id}` makes its container anew", cause=cause, id=instance),
    )


def left_outgrown(instance: str) -> Action:
    """Leave a bot whose limits somebody changed, and which needs them: its own could end it at once."""
    return Action(
        "leave",
        instance,
        Text(
            "`docker update` gave it other limits, and it uses more memory now than its config allows;"
            " `manager restart {id}` undoes that",
            id=instance,
        ),
    )


def left_as_read_before(instance: str, names: tuple[str, ...]) -> Action:
    """Leave a live bot whose credentials would become others, without any change by a person."""
    cause = Text(
        "{names} in .env: read differently by this version; the bot keeps what it was given until"
        " `manager restart {id}`",
        names=", ".join(names),
        id=instance,
    )
    return Action("leave", instance, cause)


def left_refused(instance: str, refused: RejectedRevision) -> Action:
    """Leave an instance whose config and image were rolled back."""
    return Action(
        "leave",
        instance,
        Text(
            "rolled back (config {hash} with image {image} was rejected: {why}); `manager upgrade {id}`"
            " tries again",
            hash=refused.config_hash[:8],
            image=refused.image_id.removeprefix("sha256:")[:8],
            why=refused.why,
            id=instance,
        ),
    )


def left_without_container(instance: str, rejected: RejectedRevision) -> Action:
    """Leave an instance whose config was rolled back, and whose old container was removed since."""
    cause = Text(
        "its config was rejected ({why}) and its old container is gone: change the config, or run the old"
        " one with"
        " `manager rollback {id}` and `manager start {id}`",
        why=rejected.why,
        id=instance,
    )
    return Action("leave", instance, cause)


def left_with_image(instance: str, other: str, refused: RejectedRevision) -> Action:
    """Leave an instance on an older image, because another instance was rolled back from the new one."""
    cause = Text(
        "the new image was rejected on {other} ({why}); `manager upgrade {id}` tries it anyway",
        other=other,
        why=refused.why,
        id=instance,
    )
    return Action("leave", instance, cause)
