"""What doctor advises: commands that exist on the machine that it is printed on."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import subprocess
from itertools import product
from pathlib import Path

import pytest

from manager.engine import unreachable
from manager.monitor.doctor import remedies

COMMAND = re.compile(r"`([^`]*)`")


def test_without_systemd_nothing_is_asked_of_it() -> None:
    texts = [
        remedies.live_restore(has_systemd=False),
        remedies.no_live_restore(has_systemd=False),
        *(
            remedies.time_service(has_systemd=False, has_apt=has_apt, has_ntp=True)
            for has_apt in (True, False)
        ),
    ]
    for text in texts:
        assert "systemctl" not in f"{text}"
        assert "timedatectl" not in f"{text}"
    for text in texts[:2]:
        assert "kill -HUP $(cat " in f"{text}"


def test_without_apt_nothing_is_asked_of_it() -> None:
    for has_systemd in (True, False):
        for has_ntp in (True, False):
            text = remedies.time_service(has_systemd=has_systemd, has_apt=False, has_ntp=has_ntp)
            assert "apt" not in f"{text}"


def test_a_rootless_engine_reads_a_file_of_its_users() -> None:
    for has_systemd in (True, False):
        assert "/etc/" not in f"{remedies.no_live_restore(has_systemd=has_systemd)}"
        assert "/etc/docker/daemon.json" in f"{remedies.live_restore(has_systemd=has_systemd)}"


def test_where_both_are_there_the_shortest_way_is_said() -> None:
    assert "`systemctl reload docker`" in f"{remedies.live_restore(has_systemd=True)}"
    advice = {
        f"{remedies.time_service(has_systemd=a, has_apt=b, has_ntp=True)}"
        for a, b in product((True, False), repeat=2)
    }
    assert len(advice) == 3


def test_without_a_time_service_systemd_has_none_to_switch_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timedatectl set-ntp true` ends with “NTP not supported” on a Debian without systemd-timesyncd."""
    monkeypatch.setattr(remedies, "NTP_UNITS", (tmp_path / "none", tmp_path))
    assert not remedies.has_ntp()
    text = remedies.time_service(has_systemd=True, has_apt=True, has_ntp=False)
    assert f"{text}" == "run `apt install chrony`"
    (tmp_path / "50-chrony.list").touch()
    assert remedies.has_ntp()


def test_a_user_is_given_commands_that_work_for_users() -> None:
    """Debian has none of them in a user's PATH, and the kernel refuses them."""
    texts = [
        remedies.live_restore(has_systemd=False, is_root=False),
        remedies.time_service(has_systemd=False, has_apt=True, has_ntp=False, is_root=False),
        remedies.kernel_limits(["kernel.pid_max=65536"], is_root=False),
        remedies.bridge_filter(is_root=False),
    ]
    for text in texts:
        commands = [
            part for command in COMMAND.findall(f"{text}") for part in re.split(r" && | \| ", command)
        ]
        assert [part for part in commands if not part.startswith(("sudo ", "printf "))] == []
    assert "sudo" not in f"{remedies.no_live_restore(has_systemd=True)}"


def test_raised_limits_outlive_a_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sysctl -w` was advised, again after each reboot."""
    monkeypatch.setattr(remedies, "SETTINGS_FILE", str(tmp_path / "60-botfleet.conf"))
    settings = ["fs.inotify.max_user_instances=256", "kernel.pid_max=65536"]
    ((command,),) = [COMMAND.findall(f"{remedies.kernel_limits(settings, is_root=True)}")]
    assert command.endswith(" && sysctl --system")
    subprocess.run(
        command.removesuffix(" && sysctl --system"), shell=True, check=True, stdout=subprocess.DEVNULL
    )
    assert (tmp_path / "60-botfleet.conf").read_text().split() == settings


def test_usermod_is_given_a_name_also_in_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without USER it was given a number, which it does not know; after `su`, another user's name."""
    monkeypatch.setenv("USER", "somebody-else")
    assert unreachable.user_name() == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "run `unset DOCKER_HOST` for the local engine"),
        ({"DOCKER_HOST": "ssh://trader@tokyo"}, "bots on another machine are run by the manager there"),
        ({"DOCKER_TLS_VERIFY": "1"}, "run `unset DOCKER_TLS_VERIFY` for the local engine"),
        ({"DOCKER_CONTEXT": "gone"}, "set DOCKER_CONTEXT=default, or run `docker context use default`"),
        ({"DOCKER_HOST": "npipe:////./pipe/docker_engine"}, "it names a pipe of Windows"),
        ({"DOCKER_HOST": "unix:///none/docker.sock"}, "start the engine that DOCKER_HOST names, or unset it"),
        ({"DOCKER_HOST": "unix:///dev/null"}, "run `docker info` for details"),
    ],
)
def test_what_is_said_without_an_engine_fits_the_endpoint(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    """Of a remote engine it spoke of this machine's permissions."""
    assert expected in str(remedies.no_engine({"DOCKER_CONFIG": str(tmp_path), **environ}))


def test_a_socket_without_rights_is_opened_by_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do everything
    assert "usermod -aG docker" in str(remedies.no_engine({"DOCKER_HOST": f"unix://{path}"}))


def test_a_context_is_left_by_the_docker_command(tmp_path: Path) -> None:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"Endpoints": {"docker": {"Host": "ssh://x@far"}}}')
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    remedy = str(remedies.no_engine({"DOCKER_CONFIG": str(tmp_path)}))
    assert remedy.startswith("run `docker context use default` for the local engine")
