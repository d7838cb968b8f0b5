"""`list` and instances.json said of a stopped instance that it started when it was stopped."""

from __future__ import annotations

import json
from datetime import datetime

from tests.fakes.sandbox import Sandbox


def test_a_stopped_instance_started_when_it_started(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.clock.sleep(7200)
    before = _started(sandbox)
    sandbox.clock.sleep(60)
    sandbox.transcript("stop bp_sol_01")
    assert _started(sandbox) == before
    records = json.loads((sandbox.folder / "volumes" / "logs" / "instances.json").read_text())
    assert abs(datetime.fromisoformat(records["bp_sol_01"]["started_at"]) - before["bp_sol_01"]).seconds <= 1


def _started(sandbox: Sandbox) -> dict[str, datetime]:
    rows = [line.split() for line in sandbox.run("list") if " bp_" in line]
    return {row[1]: datetime.fromisoformat(" ".join(row[-2:])) for row in rows}
