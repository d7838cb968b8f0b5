"""Ask the exchanges for what live bots that are down have left there, where nothing else tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import EngineError
from manager.fleet import bot_report, leftovers, supervisor_state, tombstone
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import Answer
from manager.ops.exchange import container_gone, open_orders


class Asking:
    """Ask for the instances of one snapshot, while one command takes them down."""

    def __init__(self, snapshot: FleetSnapshot, engine: Engine) -> None:
        self._snapshot, self._engine = snapshot, engine
        self._fleet = snapshot.project.fleet
        self._known: dict[str, bool] = {}
        """Container's id → whether what is left is unknown, of those that were down in the snapshot."""

    def gone(self, named: Sequence[str] | None) -> list[Outcome[Action]]:
        """Return what is said of live bots whose containers are gone, and that may have left orders."""
        containers = self._snapshot.observed.containers
        wanted = self._snapshot.views if named is None else named
        answers = {
            instance: container_gone.left_by(self._snapshot, instance)
            for instance in wanted
            if instance not in containers
        }
        return [self._gone(instance, answer) for instance, answer in answers.items() if answer is not None]

    def _gone(self, instance: str, answer: Answer) -> Outcome[Action]:
        outcome = Outcome(Action("leave", instance, Text("no container")), answer=answer)
        if leftovers.is_left_unknown(self._snapshot.views[instance]):  # whatever its bot has said before
            return outcome
        state_dir = self._fleet.instance_state_dir(instance)
        return outcome._replace(
            open_orders_left=supervisor_state.open_orders_left(state_dir),
            position=bot_report.position_left(state_dir),
        )

    def down_with_rest(self, actions: Sequence[Action]) -> list[Action]:
        """Return what is left alone because it is down already, and may have left orders or a position."""
        return [
            action for action in actions if action.kind == "leave" and self._may_have_left(action.instance)
        ]

    def _may_have_left(self, instance: str) -> bool:
        container = self._snapshot.observed.containers.get(instance)
        if container is None or container.is_up or self._snapshot.foreign_folder(container):
            return False
        position = bot_report.position_left(self._fleet.instance_state_dir(instance))
        is_unknown = self._known[container.id] = self.has_unknown_rest(container)
        has_position = position is not None and bool(position.amount) and not position.is_dust
        return has_position or is_unknown

    def has_unknown_rest(self, container: Container) -> bool:
        """Return whether orders may rest that no file tells of: then only the exchange can be asked.

        They are known if the bot of the container's last start has ended with a report that no order was
        left, and what position the exchange named. Raises nothing: what cannot be looked at is not known.
        """
        if container.id in self._known:
            return self._known[container.id]
        if container.mode != "live" or tombstone.find(self._fleet, container.instance):
            return False  # another machine trades on the account of one that was moved there
        state_dir = self._fleet.instance_state_dir(container.instance)
        kept_report = bot_report.read_kept(state_dir)
        if kept_report is None:
            return not container.never_ran or supervisor_state.read(state_dir) is not None
        unknown_at = self._snapshot.project.fleet_state.of(container.instance).left_unknown_at
        if not leftovers.is_left_known(unknown_at, kept_report, supervisor_state.read(state_dir)):
            return True
        position = bot_report.position_left(state_dir)
        if supervisor_state.open_orders_left(state_dir) != 0 or not (position and position.is_of_exchange):
            return True
        return kept_report.at is None or kept_report.at < self._started_at(container)

    def _started_at(self, container: Container) -> float:
        """Return when it was last started, long ago if never: on a full disk, a later run leaves the report
        of an earlier one as it was.
        """
        try:
            started_at = str(self._engine.inspect(container.id)["State"]["StartedAt"])
            return datetime.fromisoformat(started_at).timestamp()
        except (EngineError, KeyError, TypeError, ValueError):
            return float("inf")

    def ask(self, container: Container) -> Answer:
        """Ask the exchange once. Raises nothing."""
        return open_orders.ask(container, self._snapshot, self._engine, "left")
