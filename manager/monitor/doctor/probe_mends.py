"""Find out which command mends an instance, by what the commands themselves would do."""

from __future__ import annotations

from manager.fleet.snapshot import PlanInput
from manager.monitor.doctor.facts import ImageMend, Mend
from manager.ops.planning import plan, untrusted


class Mends:
    """Tell of each instance which command makes its container as its config says, or brings the newer image.

    `manager up` leaves alone what a person stopped, what has ended, and what was made otherwise on purpose.
    """

    def __init__(self, plan_input: PlanInput) -> None:
        self._plan_input = plan_input
        self._by_up = _changed(plan_input, recreate=False)
        self._by_recreate = _changed(plan_input, recreate=True)

    def of(self, instance: str) -> Mend:
        """Return what mends its drift."""
        plan_input = self._plan_input
        if instance in plan_input.untrusted:
            return "config"
        if instance in self._by_up:
            return "up"
        if plan_input.refusal(instance) is not None:
            return "upgrade"
        return "start" if plan_input.is_stopped_by_wish(instance) else "restart"

    def of_image(self, instance: str) -> ImageMend | None:
        """Return what makes it run the newer image; None for one that does not run."""
        plan_input = self._plan_input
        if not plan_input.is_up(instance):
            return None
        if instance in self._by_recreate:
            return "recreate"
        is_rejected = plan_input.refusal(instance) is not None or plan_input.refused_image is not None
        return "upgrade" if is_rejected else "named"

    def of_update(self, instance: str, *, can_be_taken_back: bool) -> Mend:
        """Return what undoes a `docker update`; what the engine cannot take back, only a new container."""
        mend = self.of(instance)
        return "restart" if mend == "up" and not can_be_taken_back else mend


def _changed(plan_input: PlanInput, *, recreate: bool) -> set[str]:
    actions = untrusted.settle(plan_input, plan.up(plan_input, recreate=recreate))
    return {action.instance for action in plan.effective(actions)}
