"""Keep the answer about an instance as long as what it says stays: most of a fleet is the same in every look.

Only an answer without a reason is kept, because reasons tell how long something has lasted.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.fleet import doing
from manager.fleet.bot_report import Report
from manager.fleet.doing import Activity
from manager.fleet.instance import Instance
from manager.monitor.stats.instance_stats import InstanceStats, uptime_s, usage_object
from manager.web.engine_side import answers
from manager.web.engine_side.figures import Figures, OfInstance
from manager.web.engine_side.looks import Alerts, Look

REASONS = ("why", "doing_why", "note", "mode_mismatch", "cancel", "needs_person")


class _Of(NamedTuple):
    """What an answer is made of, besides what is measured with every look."""

    view: Instance
    report: Report
    as_of: float | None
    activity: Activity
    is_old: bool
    alerts: Alerts

    @staticmethod
    def row(row: InstanceStats, alerts: Alerts) -> _Of:
        now = time.time()
        is_old = doing.has_old_report(row.view, now)
        return _Of(row.view, row.report, row.as_of, doing.activity(row.view, now), is_old, alerts)


class KeptAnswers:
    """The answers about all instances, in one language, for one caller."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._kept: dict[str, tuple[_Of, OfInstance, dict[str, Any]]] = {}

    def instances(self, look: Look, figures: Figures) -> list[dict[str, Any]]:
        """Return what `answers.instances` does. One that has not changed is the very object of before, with
        what is measured written anew.
        """
        if look.fleet != self._fleet:
            self._fleet, self._kept = look.fleet, {}
        kept, told = {}, []
        for row in look.rows:
            of = _Of.row(row, look.alerts_of(row.id))
            figures_of_it = figures.instances.get(row.id, answers.NO_FIGURES)
            before = self._kept.get(row.id)
            if before is not None and before[1] is figures_of_it and before[0] == of:
                answer = before[2]
                answer.update(_measured(row))
            else:
                answer = answers.instance(row, look, figures_of_it)
            if not any(answer[reason] for reason in REASONS):
                kept[row.id] = (of, figures_of_it, answer)
            told.append(answer)
        self._kept = kept
        return answers.worst_first(told)


def _measured(row: InstanceStats) -> dict[str, Any]:
    report = row.view.report
    age = None if report is None or report.at is None else max(0, round(time.time() - report.at))
    return {**usage_object(row), "uptime_s": uptime_s(row), "report_age_s": age}
