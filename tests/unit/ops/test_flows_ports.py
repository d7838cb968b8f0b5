"""A web port that was free when it was chosen, and is taken when the container starts."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from manager.config.spec import config_hash
from manager.engine import compose_file, compose_hash, labels
from manager.fleet import project as projects
from manager.ops.execution.port_choice import MOST_PORTS
from tests.fakes.engine import FakeEngine
from tests.fakes.sandbox import ETH, IMAGE, SOL, Sandbox

FREE_AGAIN = "free it, or change daemon_config.web_port in config/active/bp_sol_01.json"


@pytest.fixture
def choosing(sandbox: Sandbox) -> Sandbox:
    """The fleet of two, of which bp_sol_01 names no port: it is to have 5002."""
    sandbox.config("bp_sol_01", None)
    return sandbox


def other_container(engine: FakeEngine, port: int) -> None:
    """Have a container of somebody else's publish a port."""
    published = {"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}}
    engine.start(engine.create("somebodys", {"Image": IMAGE, **published}))


def ports_of(sandbox: Sandbox, name: str) -> list[Any]:
    """Return a container's port, as everything says that knows it."""
    instance = name.removeprefix("desk-")
    container = sandbox.engine.find(name)
    saved = json.loads((sandbox.folder / "volumes/state/fleet.json").read_text())["instances"]
    export = json.loads((sandbox.folder / "volumes/logs/instances.json").read_text())
    (row,) = [row for row in json.loads("".join(sandbox.run("ps --json"))) if row["id"] == instance]
    return [
        container.ports,
        int(container.labels[labels.WEB_PORT]),
        saved[instance]["web_port"],
        export[instance]["web_port"],
        row["web_port"],
    ]


def all_say(port: int) -> list[Any]:
    return [[port], port, port, port, port]


def test_it_is_given_the_next_free_one(choosing: Sandbox) -> None:
    choosing.engine.ports_taken = {5002}
    choosing.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
        warning: bp_sol_01: port 5002 was taken by another program meanwhile; it has port 5003 now
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          engine: discard bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
        $ up
        nothing to do
    """)
    assert ports_of(choosing, SOL) == all_say(5003)
    container = choosing.engine.find(SOL)
    project = projects.read(choosing.folder)
    spec = project.specs["bp_sol_01"]
    assert container.labels[labels.CONFIG_HASH] == config_hash(spec, project.fleet)
    assert container.labels[labels.COMPOSE_CONFIG_HASH] == config_hash(spec, project.fleet)


@pytest.mark.parametrize("command", ["up", "up bp_sol_01", "start bp_sol_01", "restart bp_sol_01"])
def test_so_is_it_by_each_command_that_starts_it_when_a_container_has_it(
    choosing: Sandbox, command: str
) -> None:
    other_container(choosing.engine, 5002)
    output = choosing.transcript(command)
    assert choosing.exit_code == 0, output
    assert "bp_sol_01: port 5002 was taken by somebodys meanwhile; it has port 5003 now" in output
    assert ports_of(choosing, SOL) == all_say(5003)


def test_so_is_it_by_a_resume_of_what_never_ran(choosing: Sandbox) -> None:
    choosing.engine.ports_taken = {5002}
    choosing.run("halt")
    choosing.run("resume")
    output = choosing.transcript("resume bp_sol_01", "up")
    assert choosing.exit_code == 0, output
    assert ports_of(choosing, SOL) == all_say(5003)


def test_several_that_look_for_one_are_given_different_ones(choosing: Sandbox) -> None:
    choosing.config("bp_eth_02", None)
    choosing.engine.ports_taken = {5001, 5002, 5004}
    choosing.ports_in_use = {5005}
    choosing.run("up")
    assert choosing.exit_code == 0
    assert [ports_of(choosing, ETH), ports_of(choosing, SOL)] == [all_say(5003), all_say(5006)]


def test_a_port_that_the_config_names_is_not_changed(sandbox: Sandbox) -> None:
    sandbox.engine.ports_taken = {5002}
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 1
    assert f"cannot start bp_sol_01: port 5002 is in use by another program; {FREE_AGAIN}" in output
    assert "discard" not in output
    sandbox.engine.ports_taken = set()
    sandbox.run("up")
    assert ports_of(sandbox, SOL)[:2] == [[5002], 5002]


@pytest.mark.parametrize("ended", ["down", "stop", "halt"])
def test_nor_is_one_that_the_instance_has_had(choosing: Sandbox, ended: str) -> None:
    """Bookmarks, proxies and scrapers know it."""
    choosing.run("up")
    choosing.run(ended)
    choosing.engine.ports_taken = {5002}
    again = {"down": "up", "stop": "start bp_sol_01", "halt": "resume"}[ended]
    output = choosing.transcript(again)
    assert choosing.exit_code == 1
    assert f"cannot start bp_sol_01: port 5002 is in use by another program; {FREE_AGAIN}" in output
    choosing.engine.ports_taken = set()
    choosing.run(again)
    assert ports_of(choosing, SOL) == all_say(5002)


def test_it_is_given_up_after_a_few(choosing: Sandbox) -> None:
    choosing.engine.ports_taken = set(range(5001, 5101))
    choosing.run("up bp_sol_01")
    output = choosing.transcript("down bp_sol_01", "up bp_sol_01")
    assert choosing.exit_code == 1
    last = 5001 + MOST_PORTS
    assert f"cannot start bp_sol_01: port {last} is in use by another program; {FREE_AGAIN}" in output
    assert "meanwhile" not in output


def test_one_whose_port_another_config_claims_runs_on_with_a_third(choosing: Sandbox) -> None:
    choosing.run("up")
    choosing.config("bp_eth_02", 5002)
    choosing.ports_in_use = {5001, 5002}
    choosing.engine.after("stop", lambda: choosing.ports_in_use.discard(5002), of=SOL)
    choosing.engine.ports_taken = {5003}
    output = choosing.transcript("up")
    assert choosing.exit_code == 0, output
    assert ports_of(choosing, ETH)[:2] == [[5002], 5002]
    assert ports_of(choosing, SOL) == all_say(5004)


def test_compose_yaml_has_the_port_that_it_was_given(choosing: Sandbox) -> None:
    """It was another fleet's, as in a copied folder: `up` renders it before anything starts."""
    file = choosing.folder / "compose.yaml"
    choosing.run("compose")
    rendered = file.read_text()
    (choosing.folder / "volumes/state/fleet.json").unlink()
    file.write_text(rendered.replace("name: 'desk'", "name: 'other'"))
    choosing.engine.ports_taken = {5002}
    output = choosing.transcript("up")
    assert choosing.exit_code == 0, output
    assert "would undo" not in output
    assert ports_of(choosing, SOL) == all_say(5003)
    assert "published: '5003'" in file.read_text()
    assert "up to date" in choosing.transcript("compose")


def test_a_compose_yaml_that_is_outdated_otherwise_is_left_and_named(choosing: Sandbox) -> None:
    file = choosing.folder / "compose.yaml"
    choosing.run("compose")
    (choosing.folder / "volumes/state/fleet.json").unlink()
    choosing.config("bp_eth_02", 5001, daemon_config={"memory_limit_mb": 512})
    rendered = file.read_text()
    choosing.engine.ports_taken = {5002}
    output = choosing.transcript("up")
    assert "compose.yaml is not what the configs say of bp_eth_02, bp_sol_01: " in output
    assert file.read_text() == rendered


@pytest.fixture
def with_compose(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The fleet of two on a machine with Compose, with its compose.yaml rendered."""
    plugin = sandbox.folder / "docker-compose"
    plugin.touch(0o755)
    monkeypatch.setattr(compose_hash, "_plugin", lambda: plugin)

    def answers(*_arguments: object, **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, "bp_eth_02 0123\nbp_sol_01 4567\n", "")

    monkeypatch.setattr(subprocess, "run", answers)
    sandbox.run("compose")
    return sandbox


def test_a_compose_yaml_that_is_known_to_be_right_is_not_rendered_again(
    with_compose: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_compose.run("up")
    with_compose.run("down")
    rendered: list[object] = []
    render = compose_file.render

    def counted(*arguments: Any) -> str:
        rendered.append(arguments)
        return render(*arguments)

    monkeypatch.setattr(compose_file, "render", counted)
    with_compose.run("up")
    assert with_compose.exit_code == 0
    assert rendered == []
    with_compose.run("down")
    file = with_compose.folder / "compose.yaml"
    file.write_text(file.read_text().replace(":5001", ":5009").replace("'5001'", "'5009'"))
    output = with_compose.transcript("up")
    assert rendered
    assert "compose.yaml is not what the configs say of bp_eth_02: " in output


def test_nor_is_one_taken_for_right_that_has_the_service_of_a_config_that_is_invalid_now(
    with_compose: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_compose.run("up")
    with_compose.run("down")
    (with_compose.folder / "config/active/bp_eth_02.json").write_text("{")
    monkeypatch.setattr(compose_hash, "is_rendered_from", lambda *_arguments: pytest.fail("it was asked"))
    assert "compose.yaml" not in with_compose.transcript("up")
