"""In a copy of a fleet's folder, `docker compose stop` stopped the bots of the first one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import yaml

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


@pytest.mark.parametrize("line", ["name: first", 'name: "first"', "name: first  # mine"])
def test_a_formatter_does_not_hide_whose_it_is(clone: Desk, line: str) -> None:
    path = clone.folder / "compose.yaml"
    path.write_text(path.read_text().replace("name: 'first'", line))
    assert "compose.yaml was that of fleet first; it was rendered anew" in clone.play("up")


def test_what_a_person_wrote_is_never_overwritten(desk: Desk) -> None:
    """A stack of one's own lies in the folder, with a name of its own."""
    path = desk.folder / "compose.yaml"
    path.write_text("name: 'grafana'\nservices: {}\n")
    printed = desk.play("up", "compose")
    assert "DIR/compose.yaml was not rendered by the manager and is left as it is" in printed
    assert path.read_text() == "name: 'grafana'\nservices: {}\n"
    assert "compose.yaml is that of fleet" not in desk.play("doctor")


def test_a_variable_that_gives_the_project_another_name_is_named(desk: Desk) -> None:
    desk.play("up", "compose")
    with (desk.folder / ".env").open("a") as stream:
        stream.write("COMPOSE_PROJECT_NAME=other\n")
    for command in ("doctor", "up"):
        assert "`docker compose` here acts on fleet other, not on desk" in desk.play(command)


def test_a_file_that_is_older_than_the_configs_is_named_where_they_are_applied(desk: Desk) -> None:
    """`docker compose up -d` made live bots anew with the grid of the day before."""
    warning = "compose.yaml is not what the configs say of {}: `docker compose up -d` would undo that"
    desk.play("compose")
    assert "compose.yaml" not in desk.play("up", "doctor")
    desk.config("bp_sol_01", 5002, daemon_config={"web_port": 5002, "memory_limit_mb": 300})
    assert warning.format("bp_sol_01") in desk.play("up")
    assert "bp_sol_01: are not in compose.yaml as their configs say" in desk.play("doctor")
    desk.config("bp_btc_03", 5003)
    assert warning.format("bp_btc_03") in desk.play("start bp_btc_03"), (
        "and of no other: it was not asked for"
    )
    assert "compose.yaml" not in desk.play("up")
    desk.play("compose")
    assert "compose.yaml" not in desk.play("doctor")


def test_a_formatted_file_says_the_same(desk: Desk) -> None:
    path = desk.folder / "compose.yaml"
    desk.play("compose")
    content = yaml.safe_load(path.read_text())
    path.write_text(f"{path.read_text().partition('name:')[0]}{yaml.safe_dump(content)}")
    assert "compose.yaml" not in desk.play("up", "doctor")
