"""Waits for instances to become healthy, by reading what their supervisors write."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from manager import output
from manager.i18n import Text

if TYPE_CHECKING:
    from manager.context import Context
    from manager.fleet import Fleet
    from manager.survey import InstanceView, Survey

POLL_S = 0.25
SETTLED = frozenset({"running", "failed", "completed", "stopped", "missing"})


def until_healthy(
    context: Context, survey: Survey, ids: list[str], timeout: float, *, quiet: bool
) -> list[str]:
    """Waits until every instance is running, or can no longer become so. Returns those that are not running."""
    deadline = time.monotonic() + timeout
    told: set[str] = set()
    while True:
        survey = context.look_again(survey)
        views = survey.views
        for each in ids:
            if each not in told and views[each].verdict.state in SETTLED:
                told.add(each)
                if not quiet and views[each].verdict.state == "running":
                    _tell(views[each], survey.project.fleet)
        pending = [each for each in ids if each not in told]
        if not pending or time.monotonic() > deadline:
            return [each for each in ids if views[each].verdict.state not in {"running", "completed"}]
        time.sleep(POLL_S)


def _tell(view: InstanceView, fleet: Fleet) -> None:
    assert view.web_port is not None
    output.say(Text("{id}: healthy, {url}", id=view.id, url=fleet.web_address(view.web_port)))
