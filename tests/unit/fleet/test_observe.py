"""What a snapshot is put together from, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.engine.containers import observe
from manager.fleet import observe as observing
from manager.fleet import project as projects
from manager.fleet import supervisor_state
from tests.builders import FLEET_NAME, a_config, a_row, write_config


def test_the_clock_is_read_after_the_supervisors_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written between the two would seem to be of an earlier boot, and its bot to be
    starting.
    """
    calls: list[str] = []
    real_read, real_uptime = supervisor_state.read, supervisor_state.uptime

    def read(folder: Path) -> supervisor_state.SupervisorState | None:
        calls.append("read")
        return real_read(folder)

    def uptime() -> float:
        calls.append("uptime")
        return real_uptime()

    monkeypatch.setattr(supervisor_state, "read", read)
    monkeypatch.setattr(supervisor_state, "uptime", uptime)
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    write_config(tmp_path, a_config("bp_eth_02", 5002))
    rows = [a_row("bp_sol_01"), a_row("bp_eth_02")]
    observing.assemble(projects.read(tmp_path), observe(rows, FLEET_NAME), observing.NO_IMAGE)
    assert calls.index("uptime") > max(index for index, call in enumerate(calls) if call == "read")
    assert calls.count("read") >= 2
