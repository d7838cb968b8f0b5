"""`list` and instances.json said of a stopped instance that it started when it was stopped."""

from __future__ import annotations

import json
from datetime import datetime

from tests.fakes.desk import Desk


def test_a_stopped_instance_started_when_it_started(desk: Desk) -> None:
    desk.play("up")
    desk.clock.sleep(7200)
    before = _started(desk)
    desk.clock.sleep(60)
    desk.play("stop bp_sol_01")
    assert _started(desk) == before
    records = json.loads((desk.folder / "volumes" / "logs" / "instances.json").read_text())
    assert abs(datetime.fromisoformat(records["bp_sol_01"]["started_at"]) - before["bp_sol_01"]).seconds <= 1


def _started(desk: Desk) -> dict[str, datetime]:
    rows = [line.split() for line in desk.run("list") if " bp_" in line]
    return {row[1]: datetime.fromisoformat(" ".join(row[-2:])) for row in rows}
