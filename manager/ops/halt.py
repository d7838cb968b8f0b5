"""The kill switch's effects: every container told to stop at once, what came of each, and the exchange asked again.

Nothing here starts a bot, and nothing that fails keeps another from being stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.engine.client import MOST_CALLS, Engine
from manager.engine.containers import Container
from manager.errors import FAILED, OK, TIMED_OUT, EngineError, ManagerError, NotFound, worst_exit_code
from manager.fleet import supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops import execute, open_orders
from manager.ops.open_orders import Answer
from manager.util.threads import TaskGroup

ROUNDS = 3
"""What somebody starts while the fleet is being halted is stopped again; who does it all the time has to be found first."""


ASKED_AT_ONCE = 8
"""Each loads an exchange's client: 80 MB, and half a second of a core."""

LIST_LAG_S = 0.2
"""The engine's list shows a container as running for a moment after its stop has returned."""


class Ended(NamedTuple):
    """How one container was told to stop. `error`: why it may still run."""

    container: Container
    seconds: float
    was_killed: bool = False
    error: ManagerError | None = None


class Fate(NamedTuple):
    """What became of one instance's container, or of an instance that has none.

    `ended`: None for one that was not up. `is_down`: verified. `reported`: the open orders that its bot told of when it
    ended. `answer`: the exchange's, None where it was not asked.
    """

    instance: str
    container: Container | None
    mode: str
    ended: Ended | None
    is_down: bool
    reported: int | None
    has_run: bool
    answer: Answer | None

    @property
    def exit_code(self) -> int:
        """0 only for what is down and, where it trades live, known to have left nothing at the exchange."""
        was_killed = self.ended is not None and self.ended.was_killed
        codes = [OK if self.is_down else FAILED, TIMED_OUT if was_killed else OK]
        if self.mode == "live" and self.left != 0:
            codes.append(FAILED)
        return worst_exit_code(codes)

    @property
    def left(self) -> int | None:
        """Open orders left: the exchange's word; of an instance without a container, whom nobody can ask for, its own last one."""
        if self.answer is not None or not self.has_run:
            return self.answer.left if self.answer else 0
        return self.reported


class Halted(NamedTuple):
    """The fleet after every container was told to stop. `seen`, `ended`: by container id, all that there were on the way."""

    snapshot: FleetSnapshot
    seen: Mapping[str, Container]
    ended: Mapping[str, Ended]

    @property
    def came_up(self) -> set[str]:
        """The instances whose own container was up at some moment, one that was only just being started too."""
        name = self.snapshot.project.fleet.container_name
        ended = (each.container for each in self.ended.values())
        return {each.instance for each in ended if each.name == name(each.instance)}


def containers(snapshot: FleetSnapshot, chosen: Collection[str]) -> list[Container]:
    """The containers of these instances, strays too: one-offs and doubles may trade. Not those of another folder's fleet."""
    found = (*snapshot.observed.containers.values(), *snapshot.observed.strays)
    return [each for each in found if each.instance in chosen and snapshot.elsewhere(each) is None]


def bring_down(
    snapshot: FleetSnapshot,
    chosen: Collection[str],
    look_again: Callable[[FleetSnapshot], FleetSnapshot],
    engine: Engine,
    on_end: Callable[[Ended], None],
) -> Halted:
    """Tells all that is up to stop, at once; looks again, and again stops what is up then. `on_end`: as each one ends."""
    fleet = snapshot.project.fleet
    seen: dict[str, Container] = {}
    ended: dict[str, Ended] = {}
    for _round in range(ROUNDS):
        present = containers(snapshot, chosen)
        seen |= {each.id: each for each in present}
        up = [each for each in present if each.is_up]
        for end in TaskGroup([partial(_stop, each, fleet, engine) for each in up], MOST_CALLS):
            ended[end.container.id] = end
            on_end(end)
        time.sleep(LIST_LAG_S)
        snapshot = look_again(snapshot)
        if not any(each.is_up for each in containers(snapshot, chosen)):
            break
    return Halted(snapshot, seen, ended)


def ask(
    halted: Halted, chosen: Collection[str], engine: Engine, on_answer: Callable[[Container, Answer], None]
) -> dict[str, Answer]:
    """Instance → the exchange's answer, of those that trade live; some at a time, each a Python program of its own."""
    fleet = halted.snapshot.project.fleet
    live = {each.instance: each for each in containers(halted.snapshot, chosen)[::-1] if each.mode == "live"}
    gone = {each.instance for each in halted.seen.values() if each.mode == "live"}.difference(live)
    answers = {each: Answer(None, why=Text("its container is gone, nobody can ask for it")) for each in gone}
    if not live:
        return answers
    with suppress(EngineError):  # what a killed manager has left hinders nobody
        open_orders.sweep(fleet, engine)

    def ask_one(container: Container) -> tuple[Container, Answer]:
        return container, open_orders.ask(container, fleet, engine)

    for container, answer in TaskGroup([partial(ask_one, each) for each in live.values()], ASKED_AT_ONCE):
        answers[container.instance] = answer
        on_answer(container, answer)
    return answers


def fates(halted: Halted, chosen: Collection[str], answers: Mapping[str, Answer]) -> list[Fate]:
    """One of each container that there was, and of each instance that had none."""
    snapshot = halted.snapshot
    fleet = snapshot.project.fleet
    still_up = {each.id for each in containers(snapshot, chosen) if each.is_up}
    found = [
        _fate(each.instance, each, each.mode, fleet, each.id not in still_up)._replace(
            ended=halted.ended.get(each.id), answer=answers.get(each.instance)
        )
        for each in halted.seen.values()
    ]
    with_container = {each.instance for each in found}
    return found + [
        _fate(each, None, snapshot.views[each].mode or "", fleet, is_down=True)
        for each in chosen
        if each not in with_container and each in snapshot.views
    ]


def _fate(instance: str, container: Container | None, mode: str, fleet: Fleet, is_down: bool) -> Fate:
    """`is_down`: as the engine says; a supervisor that holds its lock, in whatever container of whatever engine, is up."""
    state_dir = fleet.instance_state_dir(instance)
    return Fate(
        instance,
        container,
        mode,
        ended=None,
        is_down=is_down and not supervisor_state.is_held(state_dir),
        reported=supervisor_state.open_orders_left(state_dir),
        has_run=supervisor_state.read(state_dir) is not None,
        answer=None,
    )


def _stop(container: Container, fleet: Fleet, engine: Engine) -> Ended:
    started = time.monotonic()
    was_killed, error = False, None
    try:
        engine.stop(container.id, container.stop_timeout)
        was_killed = execute.was_killed(container, fleet, engine)
    except NotFound:  # removed meanwhile: it is down
        pass
    except ManagerError as caught:
        error = caught
    return Ended(container, time.monotonic() - started, was_killed, error)
