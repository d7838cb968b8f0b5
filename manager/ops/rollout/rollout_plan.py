"""Plan a roll-out: who is upgraded, in which order, when one is ready, and who can be rolled back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from manager.errors import Problem, UsageError
from manager.fleet import causes
from manager.fleet.definition_drift import OF_HOST_CONFIG
from manager.fleet.instance import Instance
from manager.fleet.snapshot import PlanInput
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.planning.left_alone import (
    left_refused,
    left_stopped,
    left_with_image,
    left_without_container,
)
from manager.ops.planning.plan import Causes
from manager.typed import NamedTuple

BATCHES = 10
"""Without --batch, a tenth of the fleet is upgraded at a time, after the canary."""

GIVEN_UP = frozenset({"restarting", "failed", "completed", "stopped", "missing", "orphan"})
"""States in which a bot that was just upgraded has ended, temporarily or permanently."""

DEGRADED_MOST_S = 1800.0
"""Longer than most maintenances.

A roll-out holds the fleet's lock, and nothing else can be changed meanwhile.
"""

STARTING_MOST_S = 900.0
"""How long a supervisor believes a bot that says that it is starting (docker/README.md)."""

INTERRUPTED = Text("its upgrade was interrupted")


class Plan(NamedTuple):
    """Hold who is upgraded, and who is left.

    A `leave` among `todo` is only watched: its new container runs already.
    """

    todo: list[Action]
    left: list[Action]


def plan(plan_input: PlanInput, steps: Mapping[str, UpgradeRecord], named: Sequence[str] | None) -> Plan:
    """Plan to upgrade what differs from its config or its image, and what an interrupted upgrade left.

    An upgrade starts nothing that does not run.
    """
    result = Plan([], [])
    for instance in plan_input.wanted if named is None else named:
        is_going = instance in steps and steps[instance].phase == "going"
        action = _one(plan_input, instance, is_named=named is not None, is_going=is_going)
        if action is not None:
            is_watched = action.kind != "leave" or action.cause == INTERRUPTED
            (result.todo if is_watched else result.left).append(action)
    return result


def _one(plan_input: PlanInput, instance: str, *, is_named: bool, is_going: bool) -> Action | None:
    container, status, drift = (
        plan_input.containers.get(instance),
        plan_input.statuses.get(instance),
        [kind for kind in plan_input.drift(instance) if kind not in OF_HOST_CONFIG],  # `up` puts these back
    )
    if plan_input.runs_in_other_container(instance) and status is not None:
        return Action("leave", instance, status.why or Text("{why}", why=status.detail))
    if plan_input.is_stopped_by_wish(instance) and (is_going or container is None):
        return left_stopped(plan_input, instance)
    if is_going:
        return _interrupted(plan_input, instance)
    if container is None:
        if rejected := plan_input.refusal(instance):
            return left_without_container(instance, rejected)
        return Action("leave", instance, Text("no container; `manager up {id}` creates it", id=instance))
    if (refused := plan_input.refusal_with_image(instance)) and not is_named:
        return left_refused(instance, refused)
    if not drift:
        return Action("leave", instance, Text("nothing to upgrade")) if is_named else None
    if not container.is_up or container.engine_state == "paused":
        cause = Text(
            "not running, and an upgrade starts nothing; `manager up --recreate {id}` starts it upgraded",
            id=instance,
        )
        return Action("leave", instance, cause)
    if status is not None and status.state in {"failed", "completed"} and not is_named:
        cause = Text(
            "{state}; `manager upgrade {id}` upgrades and starts it", state=Text(status.state), id=instance
        )
        return Action("leave", instance, cause)
    if "image" in drift and plan_input.refused_image and not is_named:
        return left_with_image(instance, *plan_input.refused_image)
    return Action("recreate", instance, Text("{causes}", causes=Causes(drift)))


def _interrupted(plan_input: PlanInput, instance: str) -> Action:
    if instance not in plan_input.containers:
        return Action("create", instance, INTERRUPTED)
    if {"config", "image"}.intersection(plan_input.drift(instance)):
        return Action("recreate", instance, INTERRUPTED)
    return Action("leave" if plan_input.is_up(instance) else "start", instance, INTERRUPTED)


def batches(
    todo: Iterable[Action],
    plan_input: PlanInput,
    interrupted: Collection[str],
    canary: str | None = None,
    size: int | None = None,
) -> list[list[Action]]:
    """Return the canary alone, then the others in batches. Raises UsageError if the canary is not upgraded.

    Interrupted upgrades come first, then paper before live and healthy before unhealthy: an unhealthy canary
    proves nothing, and one on paper costs nothing.
    """

    def rank(action: Action) -> tuple[bool, bool, bool, bool, str]:
        container, status = (
            plan_input.containers.get(action.instance),
            plan_input.statuses.get(action.instance),
        )
        is_live = container is not None and container.mode == "live"
        is_sick = status is None or status.state != "running"
        is_new = action.instance not in interrupted
        return action.instance != canary, is_new, is_live, is_sick, action.instance

    ordered = sorted(todo, key=rank)
    if canary is not None and (not ordered or ordered[0].instance != canary):
        raise UsageError("{id} cannot be the canary: it is not upgraded", id=canary)
    rest = ordered[1:]
    width = size or max(1, -(-len(rest) // BATCHES))
    return [ordered[:1], *(rest[i : i + width] for i in range(0, len(rest), width))] if ordered else []


def port_problems(todo: Iterable[Action], plan_input: PlanInput) -> list[Problem]:
    """Return conflicts that would fail midway: instances whose new port another one still has."""
    holders = {
        container.web_port: container.instance
        for container in plan_input.containers.values()
        if container.is_up
    }
    problems = []
    for action in todo:
        wanted = plan_input.wanted.get(action.instance)
        holder = holders.get(wanted.web_port) if wanted else None
        if wanted is not None and holder not in (None, action.instance):
            problems.append(
                Problem.at(
                    f"config: {action.instance}",
                    "daemon_config.web_port",
                    "port {port} is still used by {holder}; to move ports between instances, run `manager"
                    " up {id} {holder}`",
                    port=wanted.web_port,
                    holder=holder,
                    id=action.instance,
                )
            )
    return problems


class Watched(NamedTuple):
    """Track one instance until it is ready. Times are monotonic seconds."""

    healthy_since: float | None = None
    result: Literal["ready", "unproven"] | Text | None = None
    """Ready, or why it will not be; None while undecided.

    Unproven: it was degraded for as long as is waited.
    """
    degraded_since: float | None = None
    is_late: bool = False
    """Whether it is waited for past the deadline, because it says that it is starting."""

    def next(self, view: Instance, now: float, ready: float, deadline: float) -> Watched:
        """Return the state after another snapshot: ready after `ready` seconds of health without a restart.

        A bot that cannot trade, for instance while its exchange is down, is neither ready nor failed. Such
        times are waited out up to `DEGRADED_MOST_S`, counted from the first one. One that says that it is
        starting is neither, too, for as long as its supervisor believes it.
        """
        state, supervisor = view.status.state, view.supervisor
        is_its = (
            supervisor is not None
            and view.container is not None
            and supervisor.container == view.container.id
        )
        if state in GIVEN_UP or (supervisor is not None and is_its and supervisor.restarts_total):
            why = causes.cause(view) or Text(state)
            return self._replace(result=Text("it is {state} ({why})", state=Text(state), why=why))
        if (
            state == "running"
            and supervisor is not None
            and is_its
            and supervisor.health_condition is not None
        ):
            began = self.degraded_since or now
            if now - began >= DEGRADED_MOST_S:
                return Watched(result="unproven", degraded_since=began)
            # it cannot trade now, nor could the old one: this proves nothing
            return Watched(degraded_since=began)
        since = (self.healthy_since or now) if state == "running" else None
        if since is not None and now - since >= ready:
            return self._replace(healthy_since=since, result="ready")
        if now > deadline and since is None:
            if state == "starting" and supervisor is not None and is_its and supervisor.is_starting:
                return self._replace(healthy_since=None, is_late=True)
            known = causes.of_waiting(view) if state == "starting" else Text(state)
            why = Text("it was not healthy in time ({why})", why=causes.cause(view) or known)
            return self._replace(healthy_since=None, result=why)
        return self._replace(healthy_since=since)


def rollbacks(
    plan_input: PlanInput, steps: Mapping[str, UpgradeRecord], named: Sequence[str] | None
) -> list[Action]:
    """Plan to restore what was before the last upgrade. What does not run is recreated and stays down."""
    actions = []
    for instance in sorted(steps) if named is None else named:
        step, container = steps.get(instance), plan_input.containers.get(instance)
        if step is None:
            actions.append(Action("leave", instance, Text("there is no upgrade to roll back")))
        elif container is not None and step.is_old(container) and (container.is_up or step.phase != "going"):
            if named is not None:
                actions.append(Action("leave", instance, Text("already rolled back")))
        else:
            was_going = step.phase == "going" and not plan_input.is_stopped_by_wish(instance)
            stays_down = not plan_input.is_up(instance) and not was_going
            cause = Text("not running, so it stays stopped") if stays_down else Text("requested")
            actions.append(Action("rollback", instance, cause, stays_down=stays_down))
    return actions
