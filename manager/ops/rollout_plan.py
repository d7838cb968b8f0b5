"""A roll-out: who is upgraded, in which order, when one counts as ready, and who can be brought back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from manager.errors import Problem, UsageError
from manager.fleet import display
from manager.fleet.instance import Instance
from manager.fleet.snapshot import Drift, PlanInput
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text
from manager.ops.action import Action
from manager.ops.plan import left_refused, left_stopped, left_with_image

BATCHES = 10
"""Where nobody says how large a batch is: after the canary, a tenth of the fleet at a time."""

GIVEN_UP = frozenset({"restarting", "failed", "completed", "stopped", "missing", "orphan"})
"""States in which a bot that was just upgraded has ended, once or for good."""

INTERRUPTED = Text("its upgrade was interrupted")
CAUSES: Mapping[Drift, Text] = {
    "config": Text("config changed"),
    "image": Text("new image"),
    "environment": Text("environment changed"),
}


class Plan(NamedTuple):
    """Who is upgraded, and who is left as it is. A `leave` among `todo` is only watched: its new container runs already."""

    todo: list[Action]
    left: list[Action]


def plan(plan_input: PlanInput, steps: Mapping[str, UpgradeRecord], named: Sequence[str] | None) -> Plan:
    """Those that differ from their config or run an older image, and those at which a killed upgrade was.

    Nothing that does not run is started by an upgrade.
    """
    found = Plan([], [])
    for each in plan_input.wanted if named is None else named:
        is_going = each in steps and steps[each].phase == "going"
        action = _one(plan_input, each, is_named=named is not None, is_going=is_going)
        if action is not None:
            is_watched = action.kind != "leave" or action.cause == INTERRUPTED
            (found.todo if is_watched else found.left).append(action)
    return found


def _one(plan_input: PlanInput, each: str, *, is_named: bool, is_going: bool) -> Action | None:
    container, verdict, drift = (
        plan_input.containers.get(each),
        plan_input.verdicts.get(each),
        plan_input.drift(each),
    )
    if plan_input.runs_elsewhere(each) and verdict is not None:
        return Action("leave", each, verdict.why or Text("{why}", why=verdict.word))
    if plan_input.is_stopped_by_wish(each) and (is_going or container is None):
        return left_stopped(plan_input, each)
    if is_going:
        return _interrupted(plan_input, each)
    if container is None:
        return Action("leave", each, Text("no container; `manager up {id}` creates it", id=each))
    if (refused := plan_input.refusal_with_image(each)) and not is_named:
        return left_refused(each, refused)
    if not drift:
        return Action("leave", each, Text("nothing to upgrade")) if is_named else None
    if not container.is_up or container.engine_state == "paused":
        cause = Text(
            "it does not run and is not started by this; `manager up --recreate {id}` starts it as it is to be", id=each
        )  # fmt: skip
        return Action("leave", each, cause)
    if verdict is not None and verdict.state in {"failed", "completed"} and not is_named:
        cause = Text(
            "{state}; `manager upgrade {id}` upgrades and starts it", state=Text(verdict.state), id=each
        )
        return Action("leave", each, cause)
    if "image" in drift and plan_input.refused_image and not is_named:
        return left_with_image(each, *plan_input.refused_image)
    return Action("recreate", each, Text("{causes}", causes=_Causes(drift)))


class _Causes(NamedTuple):
    """Several causes in the reader's language."""

    drift: list[Drift]

    def __str__(self) -> str:
        return ", ".join(str(CAUSES[each]) for each in self.drift)


def _interrupted(plan_input: PlanInput, each: str) -> Action:
    if each not in plan_input.containers:
        return Action("create", each, INTERRUPTED)
    if {"config", "image"}.intersection(plan_input.drift(each)):
        return Action("recreate", each, INTERRUPTED)
    return Action("leave" if plan_input.is_up(each) else "start", each, INTERRUPTED)


def batches(
    todo: Iterable[Action],
    plan_input: PlanInput,
    interrupted: Collection[str],
    canary: str | None = None,
    size: int | None = None,
) -> list[list[Action]]:
    """The canary alone, then the others. What was interrupted comes first; paper before live, healthy before sick: a canary
    that was sick before tells nothing, and one on paper costs nothing. Raises UsageError for a canary that is not upgraded.
    """

    def rank(action: Action) -> tuple[bool, bool, bool, bool, str]:
        container, verdict = (
            plan_input.containers.get(action.instance),
            plan_input.verdicts.get(action.instance),
        )
        is_live = container is not None and container.mode == "live"
        is_sick = verdict is None or verdict.state != "running"
        is_new = action.instance not in interrupted
        return action.instance != canary, is_new, is_live, is_sick, action.instance

    ordered = sorted(todo, key=rank)
    if canary is not None and (not ordered or ordered[0].instance != canary):
        raise UsageError("{id} cannot be the canary: it is not upgraded", id=canary)
    rest = ordered[1:]
    width = size or max(1, -(-len(rest) // BATCHES))
    return [ordered[:1], *(rest[i : i + width] for i in range(0, len(rest), width))] if ordered else []


def port_problems(todo: Iterable[Action], plan_input: PlanInput) -> list[Problem]:
    """What would fail in the middle: an instance that is to get the port of another one that still has it."""
    holders = {each.web_port: each.instance for each in plan_input.containers.values() if each.is_up}
    problems = []
    for action in todo:
        wanted = plan_input.wanted.get(action.instance)
        holder = holders.get(wanted.web_port) if wanted else None
        if wanted is not None and holder not in (None, action.instance):
            problems.append(
                Problem.at(
                    f"config: {action.instance}",
                    "daemon_config.web_port",
                    "{port} is the port that {holder} has now; ports move from one to another with `manager up {id} {holder}`",
                    port=wanted.web_port, holder=holder, id=action.instance,
                )
            )  # fmt: skip
    return problems


class Watched(NamedTuple):
    """One instance on its way to being ready. Times on one clock, in seconds."""

    healthy_since: float | None = None
    result: Literal["ready"] | Text | None = None
    """Ready; why it will not be; None while nobody knows."""

    def next(self, view: Instance, now: float, ready: float, deadline: float) -> Watched:
        """After one more look: healthy without a break, and without a restart, for `ready` seconds is ready.

        A degraded bot, whose exchange is away, is neither ready nor failed, however long that takes.
        """
        state, said = view.verdict.state, view.supervision
        is_its = said is not None and view.container is not None and said.container == view.container.id
        if state in GIVEN_UP or (said is not None and is_its and said.restarts_total):
            why = display.cause(view) or Text(state)
            return self._replace(result=Text("it is {state} ({why})", state=Text(state), why=why))
        if state == "running" and said is not None and is_its and said.health_condition is not None:
            return (
                Watched()
            )  # it cannot trade now, and neither can the one before it: nothing is proved either way
        since = (self.healthy_since or now) if state == "running" else None
        if since is not None and now - since >= ready:
            return Watched(since, "ready")
        if now > deadline and since is None:
            why = display.cause(view) or Text(state)
            return Watched(None, Text("it was not healthy in time ({why})", why=why))
        return Watched(since)


def rollbacks(
    plan_input: PlanInput, steps: Mapping[str, UpgradeRecord], named: Sequence[str] | None
) -> list[Action]:
    """Brings back what was before the last upgrade. What does not run is made again and stays down."""
    actions = []
    for each in sorted(steps) if named is None else named:
        step, container = steps.get(each), plan_input.containers.get(each)
        if step is None:
            actions.append(Action("leave", each, Text("there is no upgrade to go back from")))
        elif container is not None and step.is_old(container) and (container.is_up or step.phase != "going"):
            if named is not None:
                actions.append(Action("leave", each, Text("it is what it was before its last upgrade")))
        else:
            was_going = step.phase == "going" and not plan_input.is_stopped_by_wish(each)
            stays_down = not plan_input.is_up(each) and not was_going
            cause = Text("stays down, as it is") if stays_down else Text("asked for")
            actions.append(Action("rollback", each, cause, stays_down=stays_down))
    return actions
