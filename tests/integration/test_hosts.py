"""Two machines, each with a manager and a fleet of its own; the second is reached by OpenSSH."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.errors import BAD_CONFIG, FAILED, NO_ENGINE, USAGE, ManagerError
from manager.ops.hosts import deploy, registry, ssh
from manager.ops.hosts.package import Package, digest_of
from tests import forks, sshd_here
from tests.fleet import ROOT, Project, a_project, eventually
from tests.sshd_here import Sshd

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]


@pytest.fixture
def tokyo(tmp_path: Path, bot_image: str) -> Iterator[Project]:
    """The other machine's project: another folder and another fleet, with a manager in it."""
    with a_project(tmp_path / "另一台 tokyo" / "project", bot_image) as made:
        bin_folder = made.folder / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        script = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{forks.python(bin_folder)}" -m manager "$@"\n'
        (bin_folder / "manager").write_text(script)
        (bin_folder / "manager").chmod(0o755)
        made.add("bp_sol_01", 0)
        made.manager("up", "--wait")
        yield made


@pytest.fixture
def sshd(tmp_path: Path, project: Project) -> Iterator[Sshd]:
    with sshd_here.running(tmp_path / "s") as made:
        project.environ.update({**made.environ, forks.PYTHON: forks.python(tmp_path)})
        yield made


def test_one_manager_sees_and_halts_both_and_a_dead_link_is_never_called_stopped(
    project: Project, tokyo: Project, sshd: Sshd
) -> None:
    project.add("bp_eth_01", 0)
    project.manager("up", "--wait")
    added = project.manager("host", "add", "tokyo", sshd.url(tokyo.folder))
    assert "tokyo: ok: ssh: logged in" in added.out
    assert "tokyo: ok: folder and engine" in added.out
    assert [host["name"] for host in project.manager("host", "list", "--json").json] == ["tokyo"]

    there = project.manager("ps", "--json", "--host", "tokyo").json
    assert [row["id"] for row in there] == ["bp_sol_01"]
    assert (
        project.manager("--host", "tokyo", "status", "nobody", code=None).code
        == tokyo.manager("status", "nobody", code=None).code
    ), "exit codes are the other manager's"
    both = {(row["host"], row["id"]): row for row in project.manager("ps", "--hosts", "--json").json}
    assert {key: row["state"] for key, row in both.items()} == {
        ("here", "bp_eth_01"): "running",
        ("tokyo", "bp_sol_01"): "running",
    }
    assert "== tokyo" in project.manager("stats", "--hosts").out

    sshd.stop()
    table = project.manager("ps", "--hosts", code=FAILED)
    assert "unreachable (running" in table.out
    assert "bp_eth_01" in table.out
    assert "host tokyo" in table.err
    cut = {row["host"]: row for row in project.manager("ps", "--hosts", "--json", code=FAILED).json}
    assert (cut["tokyo"]["state"], cut["tokyo"]["last_state"]) == ("unreachable", "running")
    assert cut["tokyo"]["seen_ago_s"] is not None
    assert project.manager("ps", "--host", "tokyo", code=None).code == NO_ENGINE
    halted = project.manager("halt", "--hosts", code=FAILED)
    assert "host tokyo" in halted.err
    assert project.states() == {"bp_eth_01": "stopped"}
    assert tokyo.states() == {"bp_sol_01": "running"}

    sshd.start()
    assert "== tokyo" in project.manager("halt", "--hosts").out
    assert tokyo.states() == {"bp_sol_01": "stopped"}
    project.manager("host", "remove", "tokyo")
    assert json.loads(project.manager("host", "list", "--json").out) == []


def a_machine(folder: Path, script: str) -> Path:
    """A project folder whose manager is this shell script."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    manager = folder / ".venv" / "bin" / "manager"
    manager.write_text(f"#!/bin/sh\n{script}\n")
    manager.chmod(0o755)
    return folder


WELL = """\
case "$*" in
  *ps*) echo '[{"id": "a", "state": "running"}]'; echo "warning: a disk" >&2 ;;
  *) echo '[]' ;;
esac"""


def test_a_machine_that_cannot_tell_is_named_with_its_reason_and_is_never_a_success(
    project: Project, sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    folders = {
        "bare": tmp_path / "bare",
        "gone": tmp_path / "gone",
        "noisy": a_machine(tmp_path / "noisy", "echo Welcome; echo '[]'"),
        "well": a_machine(tmp_path / "well", WELL),
    }
    lines = "".join(f'{name} = "{sshd.url(folder)}"\n' for name, folder in folders.items())
    hosts = project.folder / "config" / "hosts.toml"
    hosts.write_text(f'{lines}typo = "http://tokyo"\n')

    shown = project.manager("ps", "--hosts", "--json", code=BAD_CONFIG)
    rows = {(row["host"], row["id"]): row["state"] for row in shown.json}
    assert rows == {
        ("bare", "?"): "unreachable",
        ("gone", "?"): "unreachable",
        ("noisy", "?"): "unreachable",
        ("well", "a"): "running",
    }
    for message in (
        "host bare does not report what runs there",
        "host gone does not report what runs there",
        "host noisy does not report what runs there",
        "well: warning: a disk",
        "config/hosts.toml: typo",
    ):
        assert message in shown.err
    assert "not found" in shown.err
    assert project.manager("ps", "--hosts", "--format", "tsv", code=BAD_CONFIG).out.startswith("HOST\tID")
    project.manager("ps", "--hosts", "--watch", code=USAGE)
    hosts.write_text(f'bare = "{sshd.url(folders["bare"])}"\n')
    project.manager("halt", "--hosts", code=FAILED)
    [failed] = project.manager("halt", "--hosts", "--json", code=FAILED).json
    assert (failed["host"], failed["id"]) == ("bare", None)
    hosts.write_text("tokyo =")
    assert "== here" in project.manager("halt", "--hosts", code=BAD_CONFIG).out


def until_away(project: Project) -> None:
    """Wait until its live bot has said that it cannot reach its exchange, so that it has placed nothing."""
    eventually(lambda: project.ps()["live_01"]["doing_code"] == "exchange_away", 90, "a report")


@pytest.mark.long_form  # without SSH and an engine: tests/unit/ops/test_account_check.py
def test_no_two_live_bots_on_one_account_on_two_machines(
    project: Project, tokyo: Project, sshd: Sshd
) -> None:
    keys = f"BACKPACK_KEY={'A' * 43}=\nBACKPACK_SECRET={'B' * 43}=\n"  # of the form with which a bot starts
    for machine in (project, tokyo):
        (machine.folder / ".env").write_text(keys)
        machine.add("live_01", 0, mode="live", strategy_config=MESH)
    tokyo.manager("down", "bp_sol_01")
    (tokyo.folder / "config" / "active" / "bp_sol_01.json").unlink()
    added = project.manager("host", "add", "tokyo", sshd.url(tokyo.folder))
    assert "name: it calls itself" in added.out
    tokyo.manager("up")

    refused = project.manager("up", code=BAD_CONFIG)
    assert "live_01: left alone: live_01 of host tokyo trades SOL_USDC_PERP live" in refused.out
    assert project.states() == {"live_01": "missing"}
    sshd.stop()
    refused = project.manager("up", code=BAD_CONFIG)
    assert "host tokyo does not answer" in refused.out
    assert "--host-is-dead tokyo" in refused.out
    sshd.start()
    until_away(tokyo)
    tokyo.manager("down")
    project.manager("up")
    until_away(project)
    project.manager("stop")
    sshd.stop()
    refused = project.manager("start", code=BAD_CONFIG)
    assert "it had the same credentials" in refused.out
    assert "live_01: started" in project.manager("start", "--host-is-dead", "tokyo").out

    sshd.start()
    tokyo.manager("up")  # it knows no other machine, and asks none
    shown = project.manager("ps", "--hosts", code=FAILED)
    assert "one account with live_01 (tokyo)" in shown.out
    assert "live_01 on here and live_01 on tokyo both trade SOL_USDC_PERP live" in shown.err
    assert "live_01 on here and live_01 on tokyo both trade" in project.manager("doctor", code=None).out


def test_a_machine_behind_a_proxy_that_finds_nobody_is_not_called_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--host-is-dead` counted for nothing then: at this level of its log ssh does not tell of the proxy."""
    config = tmp_path / "ssh_config"
    config.write_text("Host dead\n  ProxyCommand false\n")
    monkeypatch.setenv("BOTFLEET_SSH_CONFIG", str(config))
    monkeypatch.setattr(ssh, "BUSY_S", 0.1)
    host = registry.parse("dead", "ssh://trader@dead/srv/desk")
    with pytest.raises(ssh.Unreachable) as error:
        ssh.run(host, ["ps"], 20)
    assert not isinstance(error.value, ssh.Taken)
    assert not ssh.lets_in(host)


def docker(*words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


def a_package(folder: Path) -> Package:
    """A package whose `manager` is this checkout's, and that needs no other one: these take minutes."""
    folder.mkdir()
    lock, wheel = folder / "requirements.lock", folder / "botfleet-0-py3-none-any.whl"
    lock.write_text("")
    module = (
        f"import os, sys\nos.environ['PYTHONPATH'] = {str(ROOT)!r}\ndef main():\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'manager', *sys.argv[1:]])\n"
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("stand_in.py", module)
        info = "botfleet-0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: botfleet\nVersion: 0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nmanager = stand_in:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return Package(wheel, lock, digest_of(wheel, lock))


def test_deploy_installs_once_and_switches_in_one_step(
    tmp_path: Path, sshd: Sshd, bot_image: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sshd.environ.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "大阪 osaka" / "desk"
    host = registry.parse("osaka", sshd.url(folder))
    package = a_package(tmp_path / "1")
    assert deploy.install(host, package)
    assert not deploy.install(host, package)
    assert deploy.facts(host)["image"] == {"name": "desk-bot:local", "id": ""}
    (there := folder / ".botfleet" / "next").mkdir()
    (there / "complete").touch()
    (there / "venv").symlink_to(f"../{package.digest}/venv")
    assert deploy.install(host, package._replace(digest="next")), "installed before, and now in use again"
    assert (folder / ".venv").readlink() == Path(".botfleet", "next", "venv")

    name = f"{project.name}-deployed:local"
    image = docker("image", "inspect", "--format", "{{.Id}}", bot_image)
    assert deploy.send_image(host, image, name)
    try:
        assert not deploy.send_image(host, image, name)
        assert docker("image", "inspect", "--format", "{{.Id}}", name) == image
    finally:
        docker("image", "rm", name)

    (folder / ".venv").unlink()
    (folder / ".venv").mkdir()
    with pytest.raises(ManagerError, match="the environment of a checkout"):
        deploy.install(host, package)


def test_an_image_goes_through_the_connection(
    tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sshd.environ.items():
        monkeypatch.setenv(name, value)
    host = registry.parse("osaka", sshd.url(tmp_path))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(Path(__file__), "file")
    image = docker("import", "-", stdin=archive.getvalue())
    try:
        deploy.transfer(host, image)
        with pytest.raises(ManagerError, match="the image was not loaded"):
            deploy.transfer(host, "sha256:" + "0" * 64)
    finally:
        docker("image", "rm", image)


@pytest.mark.long_form
def test_logs_of_both_are_followed_under_their_names(project: Project, tokyo: Project, sshd: Sshd) -> None:
    project.add("bp_eth_01", 0)
    project.manager("up", "--wait")
    project.manager("host", "add", "tokyo", sshd.url(tokyo.folder))
    output = project.folder / "followed"
    with output.open("wb") as stream:
        following = subprocess.Popen(
            project.command("logs", "-f", "--hosts"),
            cwd=project.folder,
            env={**os.environ, **project.environ},
            stdout=stream,
        )
    try:
        eventually(
            lambda: (
                {line.split()[0] for line in output.read_text().splitlines() if line} >= {"here", "tokyo"}
            ),
            what="lines of both",
        )
    finally:
        following.terminate()
        following.wait(20)
    eventually(lambda: not followers(tokyo) and not followers(project), what="the end of all that followed")


def followers(project: Project) -> list[str]:
    """The processes that follow this project's logs."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"-f" in words and (process / "cwd").readlink() == project.folder:
                pids.append(process.name)
    return pids


@pytest.mark.parametrize(
    "url", ["http://x/y", "ssh://x", "ssh://-oProxyCommand=x/y", "ssh://a:pw@x/y", "ssh://x y/z", "tokyo", ""]
)
def test_what_is_no_address_is_refused(project: Project, url: str) -> None:
    project.manager("host", "add", "tokyo", "--", url, code=USAGE)


def test_a_host_whose_key_is_not_known_is_not_added(project: Project, tmp_path: Path, sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")
    refused = project.manager("host", "add", "tokyo", sshd.url(tmp_path), code=FAILED)
    assert "its key is not in known_hosts: run `ssh " in refused.out
    assert "tokyo was not added" in refused.err
    assert not (project.folder / "config" / "hosts.toml").exists()


def test_a_key_that_has_changed_is_named_as_such(project: Project, tmp_path: Path, sshd: Sshd) -> None:
    known = sshd.folder / "known_hosts"
    another = (sshd.folder / "client_key.pub").read_text()
    known.write_text(f"{known.read_text().split()[0]} {another}")
    refused = project.manager("host", "add", "tokyo", sshd.url(tmp_path), code=FAILED)
    assert "its key is ANOTHER one than in known_hosts" in refused.out
