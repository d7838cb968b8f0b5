"""Engines in modes under which no bot can write to its folders: refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import an_engine, needs_root

pytestmark = [pytest.mark.engine, pytest.mark.long_form, needs_root]


def test_userns_remap_is_refused_by_all_that_would_start_a_bot(
    tmp_path: Path, fault_image: str, note: Note
) -> None:
    with (
        an_engine(fault_image, maps_users=True) as engine,
        new_project(tmp_path / "project", fault_image, environ=engine.environ) as project,
    ):
        bots.add(project, "one", 0)
        for command in (["up"], ["start", "one"], ["restart"], ["plan"], ["compose"]):
            done = project.manager(*command, code=1)
            (error,) = [line for line in done.err.splitlines() if line.startswith("error:")]
            assert "the engine maps the users of containers to others (userns-remap)" in error
        assert "with userns-remap: no bot can write to its folders" in project.manager("doctor", code=1).out
        assert "missing" in project.manager("ps").out
        assert not engine.docker("ps", "--all", "--quiet")
        project.manager("stop")
        project.manager("down")
    note("userns-remap", "an engine with it", 1, "`up` and `doctor` say in one line that no bot could write")
