"""Ports that are free when the manager looks, and taken when the engine starts a container."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import OwnEngine, an_engine, needs_root
from tests.fleet import Project

pytestmark = [pytest.mark.engine, pytest.mark.long_form, needs_root]

LISTENER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def listening(engine: OwnEngine, port: int) -> Iterator[None]:
    """A process where the engine is, and the manager is not: like one that came after the manager looked."""
    command = [
        "nsenter",
        f"--net=/var/run/netns/{engine.namespace}",
        sys.executable,
        "-c",
        LISTENER,
        str(port),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.communicate()


def agreed_port(project: Project, engine: OwnEngine) -> int:
    """Return the port of the instance, which all that knows it says alike."""
    saved = json.loads((project.folder / "volumes/state/fleet.json").read_text())["instances"]["one"]
    label = engine.docker("inspect", "-f", '{{index .Config.Labels "botfleet.web-port"}}', container(project))
    published = engine.docker("port", container(project)).strip().rpartition(":")[2]
    ports = {
        int(label),
        int(published),
        int(saved["web_port"]),
        int(project.instances()["one"]["web_port"]),
        int(project.ps()["one"]["web_port"]),
        configured_port(project),
    }
    assert len(ports) == 1, ports
    return ports.pop()


def configured_port(project: Project) -> int:
    """Return the port of its config, or the one that is chosen for it."""
    (config,) = project.manager("config", "one", "--json").json
    return int(config["web_port"])


def container(project: Project) -> str:
    return project.container("one")


def test_an_instance_whose_config_names_no_port_gets_the_next_one(
    tmp_path: Path, fault_image: str, note: Note
) -> None:
    with (
        an_engine(fault_image) as engine,
        new_project(tmp_path / "project", fault_image, environ=engine.environ) as project,
    ):
        bots.add(project, "one", None)
        chosen = configured_port(project)
        published = f"127.0.0.1:{chosen + 1}:80"
        engine.docker(
            "run", "-d", "--name", "other", "-p", published, "--entrypoint", "sleep", fault_image, "600"
        )
        with listening(engine, chosen):
            done = project.manager("up")
            assert f"one: port {chosen} was taken by " in done.err
            port = agreed_port(project, engine)
            assert port not in (chosen, chosen + 1)
            assert project.manager("up").out == "nothing to do\n"
            project.manager("compose")
            before = project.ids()
            project.compose("up", "-d")
            assert project.ids() == before
            project.manager("down")
        project.manager("up")
        assert agreed_port(project, engine) == port
        engine.docker("rm", "-f", "other")
    note(
        "the web port that `up` chose is taken before the container starts",
        "a process, and a container, where the engine is and the manager does not look",
        1,
        "the next free port, and everything says so",
    )
