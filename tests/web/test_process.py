"""The real processes of `manager serve`: killed, replaced, without rights, and gone when told to go."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from manager.errors import ManagerError
from manager.fleet.session import Session
from manager.monitor.watch import service
from manager.web import keeper, places, rights
from manager.web.engine_side import process
from manager.web.engine_side.backend import Backend
from manager.web.options import Options
from tests import ports
from tests.standby import BY_STANDBY, ROOT
from tests.web.served import Client, a_project

SECRET = "SECRET_OF_AN_EXCHANGE"
WITHIN_S = 60.0
MODULES = {
    "engine_side": "manager.cli.engine_side",
    "web_side": "manager.web.web_side.process",
    "standby_side": "manager.cli.standby_side",
}


def eventually(condition: Callable[[], Any], within: float = WITHIN_S) -> Any:
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def test_the_engine_side_ends_its_threads_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter takes down a thread that is at work in the middle of it."""
    a_project(tmp_path)
    began: list[Backend] = []

    def listener(_path: Path, backend: Backend, _peer: int) -> mock.Mock:
        began.append(backend)
        return mock.Mock()

    monkeypatch.setattr(service, "watches", lambda _fleet: True)
    monkeypatch.setattr(process, "TRY_AGAIN_S", 0.0)
    monkeypatch.setattr(process._Ending, "listen", lambda ending: ending.set(signal.SIGTERM, None))
    monkeypatch.setattr(process, "Listener", listener)
    places.of(Session(tmp_path).project().fleet).socket.parent.mkdir(parents=True, exist_ok=True)
    process.run(tmp_path, os.geteuid(), bool, bool, bool, bool)
    [backend] = began
    threads = (backend.snapshots.thread, backend.figures.thread, backend.machines.thread)
    assert [thread.join(0) for thread in threads] == [True, True, True]


class Project:
    """A project whose `manager serve` runs in the background, at a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = places.of(a_project(folder, f"serve{os.getpid()}").project().fleet)
        self.port = ports.reserve()

    def manager(self, *words: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "manager", "--project-dir", str(self.folder), "--lang", "en", *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, SECRET: "hunter2", "MANAGER_LANG": "en"},
            timeout=120,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def detach(self) -> str:
        return self.manager("serve", "--detach", "--listen", f"127.0.0.1:{self.port}")

    @property
    def pid(self) -> int:
        return int(json.loads(self.at.running.read_text())["pid"])

    def sides(self) -> dict[str, int]:
        """The processes of the sides and of the standby, by their names; those that are not zombies."""
        pids = {}
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        for pid in children.read_text().split() if children.exists() else ():
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            for name, module in MODULES.items():
                if module in words:
                    pids[name] = int(pid)
        return pids

    def signed_in(self) -> Client:
        client = Client(self)
        link = re.search(r"#link=\S+", self.manager("serve", "link"))
        assert link is not None
        assert client.sign_in(link[0]) == 200
        return client

    def fleet(self, client: Client) -> Any:
        """What the page gets, once anybody answers."""

        def ask() -> Any:
            try:
                status, _headers, fleet = client.get("/api/v1/fleet")
            except OSError:
                return None
            return fleet if status == 200 else None

        return eventually(ask)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.manager("serve", "stop")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One that is up for all tests that leave it so: to start its processes takes two seconds of a core.

    The web side must not be able to enter its folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("served")
        patch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
        folder.chmod(0o700)
        made = Project(folder)
        assert "#link=" in made.detach()
        assert "#link=" not in made.at.log.read_text()
        yield made
        made.manager("serve", "stop")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_either_side_comes_back_when_it_is_killed_and_the_session_goes_on(project: Project) -> None:
    project.detach()
    client = project.signed_in()
    assert project.fleet(client)["name"].startswith("serve")
    before = project.sides()
    os.kill(before["engine_side"], signal.SIGKILL)
    old = project.fleet(client)
    assert "does not answer" in old["error"]
    assert abs(old["error_since"] - time.time()) < 30
    eventually(lambda: "does not answer" not in (project.fleet(client)["error"] or ""))
    os.kill(before["web_side"], signal.SIGKILL)
    eventually(lambda: project.sides().get("web_side") not in {None, before["web_side"]})
    assert project.fleet(client)["name"].startswith("serve")
    os.kill(before["standby_side"], signal.SIGKILL)
    eventually(lambda: project.sides().get("standby_side") not in {None, before["standby_side"]})
    assert set(project.sides().values()).isdisjoint(before.values())


def test_short_commands_are_run_by_the_standby_while_it_serves(project: Project) -> None:
    command = [sys.executable, "-c", BY_STANDBY, "ps"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "MANAGER_LANG": "en"}

    def messages() -> str:
        done = subprocess.run(
            command, cwd=project.folder, env=environ, capture_output=True, text=True, check=False
        )
        return done.stderr

    assert "the standby has not run it" in messages()
    project.detach()
    assert "no Docker Engine answers" in messages()
    project.manager("serve", "stop")
    assert "the standby has not run it" in messages()


def test_a_killed_keeper_leaves_nobody(project: Project) -> None:
    project.detach()
    sides, pid = project.sides(), project.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, [pid, *sides.values()])))
    assert "does not run" in project.manager("serve", "status", code=1)
    project.detach()


def test_nobody_is_left_after_stop_and_the_port_is_that_of_before(project: Project) -> None:
    project.detach()
    pids = [project.pid, *project.sides().values()]
    assert project.manager("serve", "stop") == "serve has stopped\n"
    assert not any(map(is_alive, pids))
    assert project.manager("serve", "stop") == "serve does not run\n"
    assert not project.at.socket.exists()
    assert f":{project.port}\n" in project.manager("serve", "--detach")


def test_the_web_side_has_neither_rights_nor_secrets(served: Project) -> None:
    pid = served.sides()["web_side"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert SECRET not in Path(f"/proc/{pid}/environ").read_text()
    assert "DOCKER_HOST" not in Path(f"/proc/{pid}/environ").read_text()
    if os.geteuid() == 0:
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(rights.WEB_UID)}
        assert status["Groups"].strip() == ""
        assert status["CapEff"].strip("0") == ""
        assert served.at.socket.stat().st_uid == rights.WEB_UID
    assert served.at.socket.stat().st_mode & 0o777 == 0o600
    for file in (served.at.link, served.at.running, served.at.sessions, served.at.log):
        if file.exists():
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up rights")
def test_the_page_comes_from_a_folder_that_is_closed_to_the_web_side(served: Project) -> None:
    assert served.folder.stat().st_mode & 0o777 == 0o700
    client = served.signed_in()
    assert served.fleet(client)["counts"]["instances"] == 0
    for path in ("/", "/page/main.js", "/texts/zh-TW", "/api/v1/openapi.json", "/api/v1/curves"):
        assert client.get(path)[0] == 200


def test_a_second_start_leaves_the_one_that_runs_and_other_code_replaces_it(project: Project) -> None:
    project.detach()
    first = project.pid
    assert "runs already" in project.manager("serve", "--detach")
    assert project.pid == first
    content = json.loads(project.at.running.read_text())
    project.at.running.write_text(json.dumps({**content, "stamp": "an earlier version"}))
    assert f"http://127.0.0.1:{project.port}" in project.manager("serve", "--detach")
    assert project.pid != first
    assert not is_alive(first)


def test_the_link_is_in_no_log(served: Project) -> None:
    served.signed_in()
    assert served.at.log.exists()
    assert "#link=" not in served.at.log.read_text()


def test_a_second_one_and_a_port_that_is_taken_are_said(project: Project) -> None:
    with keeper.listening(Options(("127.0.0.1", project.port))):
        output = project.manager("serve", "--detach", "--listen", f"127.0.0.1:{project.port}", code=1)
        assert "did not start: cannot listen on" in output
        assert "Address already in use" in output
    project.detach()
    assert "already serves this fleet" in project.manager("serve", code=7)


def test_a_token_works_at_once_and_no_longer_when_it_is_removed(served: Project) -> None:
    token = served.manager("serve", "--add-token", "grafana", "--role", "read").splitlines()[-1]
    program = {"Authorization": f"Bearer {token}"}

    def status() -> int:
        try:
            return Client(served).call("GET", "/api/v1/openapi.json", None, program)[0]
        except OSError:
            return 0

    eventually(lambda: status() == 200)
    served.manager("serve", "--remove-token", "grafana")
    eventually(lambda: status() == 401)
    assert "no token grafana" in served.manager("serve", "--remove-token", "grafana", code=2)


def test_another_code_or_password_ends_every_session(served: Project) -> None:
    client = served.signed_in()
    assert served.fleet(client) is not None
    assert "has to sign in again" in served.manager("serve", "--set-code")

    def status() -> int:
        try:
            return client.get("/api/v1/fleet")[0]
        except OSError:
            return 0

    eventually(lambda: status() == 401)
    assert served.fleet(served.signed_in()) is not None


def test_without_a_choice_the_port_of_last_time_is_taken_or_the_next_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, other = ports.reserve(), ports.reserve()
    monkeypatch.setattr(keeper, "DEFAULT_PORT", other)
    monkeypatch.setattr(keeper, "NEXT_PORTS", 1)
    with keeper.listening(Options(), usual) as first:
        assert first.getsockname()[1] == usual
        with keeper.listening(Options(), usual) as second:
            assert second.getsockname()[1] == other
            with pytest.raises(ManagerError, match="are taken"):
                keeper.listening(Options(), usual)
