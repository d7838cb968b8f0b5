"""Whether a machine still has a bot of an instance, before its database is packed or put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.engine.containers import observe
from manager.errors import ManagerError
from manager.fleet import observe as observing
from manager.fleet import project as projects
from manager.ops.move import presence
from tests.builders import FLEET_NAME, a_config, a_row, write_config


@pytest.mark.parametrize(
    ("own", "copy", "is_in_use"),
    [("exited", "running", True), ("exited", "exited", False), ("running", "exited", True)],
)
def test_a_container_of_another_name_that_is_up_uses_the_database(
    tmp_path: Path, own: str, copy: str, *, is_in_use: bool
) -> None:
    """Somebody has started a copy of the container by hand: it writes on while the database is moved."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    stray = {**a_row("bp_sol_01", copy), "Id": "copy", "Names": ["/a-copy"]}
    observed = observe([a_row("bp_sol_01", own), stray], FLEET_NAME)
    snapshot = observing.assemble(projects.read(tmp_path), observed, observing.NO_IMAGE)
    assert presence.is_in_use(snapshot, "bp_sol_01") is is_in_use
    if is_in_use:
        with pytest.raises(ManagerError, match="bp_sol_01 runs; nothing was done"):
            presence.require_down(snapshot, "bp_sol_01")
