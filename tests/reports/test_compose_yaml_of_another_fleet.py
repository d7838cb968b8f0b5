"""In a copy of a fleet's folder, `docker compose stop` stopped the bots of the first one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from tests.fakes.desk import Desk


@pytest.fixture
def clone(desk: Desk) -> Desk:
    """A folder whose compose.yaml was rendered before its fleet got a name of its own."""
    toml = desk.folder / "config" / "fleet.toml"
    own = toml.read_text()
    toml.write_text(own.replace('name = "desk"', 'name = "first"'))
    desk.play("compose")
    toml.write_text(own)
    shutil.rmtree(desk.folder / "volumes")  # of which git has nothing
    return desk


def project_name(desk: Desk) -> str:
    """Return the name of the project that `docker compose` acts on in this folder."""
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["name"])


def test_doctor_fails_and_up_renders_it_anew(clone: Desk) -> None:
    assert project_name(clone) == "first"
    assert "compose.yaml is that of fleet first" in clone.play("doctor")
    assert clone.exit_code == 1
    assert "compose.yaml was that of fleet first; it was rendered anew" in clone.play("up")
    assert project_name(clone) == "desk"
    assert "compose.yaml is that of fleet" not in clone.play("doctor")
    assert "rendered anew" not in clone.play("up")


def test_a_plan_and_a_file_of_somebody_else_leave_it_alone(clone: Desk) -> None:
    path = clone.folder / "compose.yaml"
    before = path.read_text()
    clone.play("plan")
    assert path.read_text() == before
    path.write_text("services: {}\n")
    clone.play("up")
    assert path.read_text() == "services: {}\n"


def test_it_says_what_docker_compose_up_does_after_a_build(desk: Desk) -> None:
    desk.play("compose")
    assert "up -d --no-recreate" in (desk.folder / "compose.yaml").read_text()
