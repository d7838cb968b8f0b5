"""In a copy of a fleet's folder, `docker compose stop` stopped the bots of the first one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import yaml

from tests.fakes.sandbox import Sandbox


@pytest.fixture
def clone(sandbox: Sandbox) -> Sandbox:
    """A folder whose compose.yaml was rendered before its fleet got a name of its own."""
    toml = sandbox.folder / "config" / "fleet.toml"
    own = toml.read_text()
    toml.write_text(own.replace('name = "desk"', 'name = "first"'))
    sandbox.transcript("compose")
    toml.write_text(own)
    shutil.rmtree(sandbox.folder / "volumes")  # of which git has nothing
    return sandbox


def project_name(sandbox: Sandbox) -> str:
    """Return the name of the project that `docker compose` acts on in this folder."""
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=sandbox.folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["name"])


def test_doctor_fails_and_up_renders_it_anew(clone: Sandbox) -> None:
    assert project_name(clone) == "first"
    assert "compose.yaml is that of fleet first" in clone.transcript("doctor")
    assert clone.exit_code == 1
    assert "compose.yaml was that of fleet first; it was rendered anew" in clone.transcript("up")
    assert project_name(clone) == "desk"
    assert "compose.yaml is that of fleet" not in clone.transcript("doctor")
    assert "rendered anew" not in clone.transcript("up")


def test_a_plan_and_a_file_of_somebody_else_leave_it_alone(clone: Sandbox) -> None:
    path = clone.folder / "compose.yaml"
    before = path.read_text()
    clone.transcript("plan")
    assert path.read_text() == before
    path.write_text("services: {}\n")
    clone.transcript("up")
    assert path.read_text() == "services: {}\n"


def test_it_says_what_docker_compose_up_does_after_a_build(sandbox: Sandbox) -> None:
    sandbox.transcript("compose")
    assert "up -d --no-recreate" in (sandbox.folder / "compose.yaml").read_text()


@pytest.mark.parametrize("line", ["name: first", 'name: "first"', "name: first  # mine"])
def test_a_formatter_does_not_hide_whose_it_is(clone: Sandbox, line: str) -> None:
    path = clone.folder / "compose.yaml"
    path.write_text(path.read_text().replace("name: 'first'", line))
    assert "compose.yaml was that of fleet first; it was rendered anew" in clone.transcript("up")


def test_what_a_person_wrote_is_never_overwritten(sandbox: Sandbox) -> None:
    """A stack of one's own lies in the folder, with a name of its own."""
    path = sandbox.folder / "compose.yaml"
    path.write_text("name: 'grafana'\nservices: {}\n")
    printed = sandbox.transcript("up", "compose")
    assert "DIR/compose.yaml was not rendered by the manager and is left as it is" in printed
    assert path.read_text() == "name: 'grafana'\nservices: {}\n"
    assert "compose.yaml is that of fleet" not in sandbox.transcript("doctor")


def test_a_variable_that_gives_the_project_another_name_is_named(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "compose")
    with (sandbox.folder / ".env").open("a") as stream:
        stream.write("COMPOSE_PROJECT_NAME=other\n")
    for command in ("doctor", "up"):
        assert "`docker compose` here acts on fleet other, not on desk" in sandbox.transcript(command)


def test_a_file_that_is_older_than_the_configs_is_named_where_they_are_applied(sandbox: Sandbox) -> None:
    """`docker compose up -d` made live bots anew with the grid of the day before."""
    warning = "compose.yaml is not what the configs say of {}: `docker compose up -d` would undo that"
    sandbox.transcript("compose")
    assert "compose.yaml" not in sandbox.transcript("up", "doctor")
    sandbox.config("bp_sol_01", 5002, daemon_config={"web_port": 5002, "memory_limit_mb": 300})
    assert warning.format("bp_sol_01") in sandbox.transcript("up")
    assert "bp_sol_01: are not in compose.yaml as their configs say" in sandbox.transcript("doctor")
    sandbox.config("bp_btc_03", 5003)
    started = sandbox.transcript("start bp_btc_03")
    assert "compose.yaml has no service for bp_btc_03: " in started
    assert "would undo" not in started, "a new one is left alone, and the other was not asked for"
    examined = sandbox.transcript("doctor")
    assert "bp_btc_03: have no service in compose.yaml" in examined
    assert "bp_sol_01: are not in compose.yaml as their configs say" in examined
    assert "compose.yaml" not in sandbox.transcript("up")
    sandbox.transcript("compose")
    assert "compose.yaml" not in sandbox.transcript("doctor")


def test_a_formatted_file_says_the_same(sandbox: Sandbox) -> None:
    path = sandbox.folder / "compose.yaml"
    sandbox.transcript("compose")
    content = yaml.safe_load(path.read_text())
    path.write_text(f"{path.read_text().partition('name:')[0]}{yaml.safe_dump(content)}")
    assert "compose.yaml" not in sandbox.transcript("up", "doctor")
