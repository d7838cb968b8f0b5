"""A busy machine is not a dead one: what its ssh server did not begin is tried again, and nothing else."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from manager.cli import shown_again
from manager.errors import ConfigError, ManagerError, UsageError
from manager.ops.hosts import account_looks, registry, ssh
from manager.ops.hosts.registry import Host
from manager.ops.move.sides import Side
from tests.builders import a_fleet

TOKYO = Host("tokyo", "tokyo.example", None, None, "/srv/desk")
BUSY = (
    "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 10.0.0.2 port 22",
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.2 port 22",
    "Connection timed out during banner exchange\nConnection to 10.0.0.2 port 22 timed out",
)
"""What OpenSSH 9.2 says when its server drops a login of too many, and when it does not get to serve it."""
NOT_BUSY = (
    "ssh: connect to host tokyo.example port 22: Connection refused",
    "ssh: connect to host tokyo.example port 22: Connection timed out",
    "trader@tokyo.example: Permission denied (publickey).",
    "Connection to tokyo.example closed by remote host.",
    "client_loop: send disconnect: Broken pipe",
)


class Ssh:
    """An `ssh` that fails so many times as it is told, and counts; then its login shell greets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        script = folder / "ssh"
        script.write_text(
            f'#!/bin/sh\ncd {folder}\nif [ "$1" = -G ]; then cat settings; exit; fi\necho >> calls\n'
            "if [ $(wc -l < calls) -le $(cat failures) ]; then cat says >&2; exit 255; fi\n"
            f"echo Welcome; echo '{ssh.BEGINS.decode()}'; cat\n"
        )
        script.chmod(0o755)
        self.has_settings("user trader")
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(ssh, "FIRST_PAUSE_S", 0.01)

    def fails(self, times: int, says: str) -> None:
        (self.folder / "failures").write_text(str(times))
        (self.folder / "says").write_text(says)

    def has_settings(self, lines: str) -> None:
        """Have `ssh -G` print these."""
        (self.folder / "settings").write_text(lines)

    @property
    def calls(self) -> int:
        return len((self.folder / "calls").read_text().splitlines())


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    return Ssh(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize("says", BUSY)
def test_a_login_that_was_not_served_is_tried_again_with_all_of_its_input(client: Ssh, says: str) -> None:
    client.fails(2, says)
    assert ssh.run(TOKYO, ["ps"], 20, b"key").out == "key"
    assert client.calls == 3


@pytest.mark.parametrize("says", NOT_BUSY)
def test_what_may_have_begun_or_cannot_be_reached_is_not_tried_again(client: Ssh, says: str) -> None:
    client.fails(9, says)
    with pytest.raises(ssh.Unreachable) as error:
        ssh.run(TOKYO, ["halt"], 20)
    assert client.calls == 1
    assert says.splitlines()[-1] in str(error.value)
    assert "busy" not in str(error.value)


@pytest.mark.parametrize("times", [1, 9])
def test_a_read_whose_kept_connection_was_lost_is_run_once_more(
    client: Ssh, capfd: pytest.CaptureFixture[str], times: int
) -> None:
    """Where the process that keeps the connection was killed, ssh ends without a word."""
    client.fails(times, "")
    code = shown_again.run(ssh.command(TOKYO, ["ps"]))
    assert (code, client.calls) == (0 if times == 1 else ssh.SSH_FAILED, 2)
    assert capfd.readouterr().out.startswith("Welcome") == (times == 1)
    client.fails(client.calls + times, "")
    if times == 1:
        assert ssh.run(TOKYO, ["ps"], 20, b"key").out == "key"
    else:
        with pytest.raises(ssh.Unreachable):
            ssh.run(TOKYO, ["ps"], 20)
    assert client.calls == 4


def test_what_was_printed_by_half_or_has_a_reason_is_not_run_again(
    client: Ssh, capfd: pytest.CaptureFixture[str]
) -> None:
    client.fails(9, NOT_BUSY[0])
    assert shown_again.run(ssh.command(TOKYO, ["ps"])) == ssh.SSH_FAILED
    (client.folder / "ssh").write_text("#!/bin/sh\necho >> $(dirname $0)/calls\nprintf half\nexit 255\n")
    assert shown_again.run(ssh.command(TOKYO, ["ps"])) == ssh.SSH_FAILED
    assert client.calls == 2
    assert capfd.readouterr() == ("half", NOT_BUSY[0])


def test_a_command_of_its_own_connection_uses_no_kept_one() -> None:
    command = ssh.command(TOKYO, ["ps"])
    assert ssh.afresh(command)[1:5] == ["-o", "ControlPath=none", "-o", "ControlMaster=no"], (
        "the first counts"
    )
    assert ssh.afresh(command)[5:] == command[1:]


@pytest.mark.parametrize(
    ("settings", "is_there"),
    [
        ("proxycommand none\nport 22\n", True),
        ("user trader\nproxyjump gate.example\n", False),
        ("proxycommand nc -X 5 %h %p\n", False),
    ],
)
def test_a_machine_that_takes_connections_runs_and_is_not_dead_whatever_is_typed(
    client: Ssh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: str, *, is_there: bool
) -> None:
    """A proxy takes connections to a dead machine as well, and what ssh says of it is the same."""
    monkeypatch.setattr(ssh, "BUSY_S", 0.1)
    client.has_settings(settings)
    client.fails(99, "kex_exchange_identification: Connection closed by remote host")
    [answer] = account_looks.ask(a_fleet(data_dir=tmp_path), b"k" * 32, [TOKYO])
    assert answer.is_reached is is_there
    assert ssh.lets_in(TOKYO) is is_there


@pytest.mark.parametrize(("failures", "is_let_in"), [(0, True), (9, False)])
def test_a_machine_lets_in_whose_command_ends_well(client: Ssh, failures: int, *, is_let_in: bool) -> None:
    client.fails(failures, NOT_BUSY[2])
    assert ssh.lets_in(TOKYO) is is_let_in


def test_a_machine_that_stays_busy_is_said_to_be_that_and_not_dead(
    client: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "BUSY_S", 2.0)
    client.fails(99, BUSY[2])
    with pytest.raises(ssh.Busy, match="may only be busy"):
        ssh.run(TOKYO, ["ps"], 20)
    assert client.calls >= 2


def test_a_step_of_a_move_sends_its_payload_whole_after_a_login_that_was_not_served(
    client: Ssh, tmp_path: Path
) -> None:
    client.fails(1, BUSY[0])
    content, back = io.BytesIO(b"payload"), io.BytesIO()
    Side(tmp_path, TOKYO).step("receive", {}, payload=content, target=back)
    assert back.getvalue() == b"payload"
    assert client.calls == 2


@pytest.mark.parametrize(("free", "why"), [(0, "No space left on device"), (1, "gave no answer")])
def test_an_answer_for_which_the_disk_here_has_no_room_is_said_to_be_that(
    client: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, why: str
) -> None:
    (client.folder / "ssh").write_text("#!/bin/sh\ncat >/dev/null\n")
    facts = SimpleNamespace(f_bavail=free)
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: facts)
    with pytest.raises(ManagerError, match=why):
        Side(tmp_path, TOKYO).step("send", {}, payload=io.BytesIO(b"x"))


def options(host: Host) -> list[str]:
    return [word for word in ssh.shell(host, ["true"]) if word.startswith("ConnectTimeout=")]


def test_a_login_may_take_as_long_as_the_answer_is_waited_for() -> None:
    assert options(TOKYO) == ["ConnectTimeout=18"]
    assert options(TOKYO._replace(answer_within=120)) == ["ConnectTimeout=118"]


def test_a_slow_machine_is_waited_for_as_long_as_its_line_says(client: Ssh, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    slow = TOKYO._replace(answer_within=90)
    registry.save(tmp_path, {"tokyo": slow, "osaka": TOKYO._replace(name="osaka")})
    assert registry.load(tmp_path) == {"tokyo": slow, "osaka": TOKYO._replace(name="osaka")}
    (client.folder / "ssh").write_text("#!/bin/sh\nsleep 1.5\n")
    assert ssh.run(TOKYO._replace(answer_within=10), ["ps"], 0.1).code == 0
    with pytest.raises(ssh.Silent, match="--answer-within 3`"):
        ssh.run(TOKYO._replace(answer_within=1), ["ps"], 0.1)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{ url = "ssh://tokyo/srv/desk", answer_within = 0 }', "1 to 600"),
        ('{ url = "ssh://tokyo/srv/desk", answer_within = 601 }', "1 to 600"),
        ('{ url = "ssh://tokyo/srv/desk", answer_within = "20" }', "whole number"),
        ('{ url = "ssh://tokyo/srv/desk", answer_within = true }', "whole number"),
        ('{ url = "ssh://tokyo/srv/desk", timeout = 20 }', "unknown key: timeout"),
        ("{ answer_within = 20 }", "no address"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "config").mkdir()
    registry.path(tmp_path).write_text(f"tokyo = {line}\n")
    with pytest.raises((ConfigError, UsageError), match=why):
        registry.load(tmp_path)


def test_two_that_connect_at_once_are_no_warning(client: Ssh) -> None:
    client.fails(0, "")
    note = "echo 'ControlSocket /x already exists, disabling multiplexing' >&2; echo 'warning: a disk' >&2"
    (client.folder / "ssh").write_text(f"#!/bin/sh\n{note}\n")
    assert ssh.run(TOKYO, ["ps"], 20).err == "warning: a disk\n"
