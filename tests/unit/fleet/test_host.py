"""Facts of the host, and of what others wrote on it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from manager.errors import ManagerError
from manager.fleet import host, supervisor_state
from manager.ops.folders import bot_user
from tests.builders import a_container


def test_a_number_is_of_ascii_digits() -> None:
    assert a_container(labels={"botfleet.web-port": "²"}).web_port is None
    assert a_container(labels={"botfleet.stop-timeout": "²"}).stop_timeout == 50
    for value in ("²", "٣", "0", "-1"):
        with pytest.raises(ManagerError, match="must be a numeric id"):
            bot_user._number({"BOTFLEET_UID": value}, "BOTFLEET_UID", 1)


def test_what_lies_in_the_place_of_a_lock_does_not_run(tmp_path: Path) -> None:
    """A bot can put it there; the folder of secrets, which it cannot change, is locked by its supervisor
    too.
    """
    state, secrets = tmp_path / "state" / "a", tmp_path / "secrets" / "a"
    state.mkdir(parents=True)
    secrets.mkdir(parents=True)
    assert not supervisor_state.is_locked(state)
    (state / supervisor_state.LOCK_FILE).symlink_to("elsewhere")
    assert not supervisor_state.is_locked(state)
    descriptor = os.open(secrets, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert supervisor_state.is_locked(state)
    os.close(descriptor)
    assert not supervisor_state.is_locked(state)


@pytest.mark.parametrize("name", ["a b", "a\nb", "\x1b[31m", "-q"])
def test_an_image_is_a_name(tmp_path: Path, name: str) -> None:
    from manager.config import fleet_settings
    from manager.errors import ConfigError

    (tmp_path / "config").mkdir()
    file = tmp_path / "config/fleet.toml"
    file.write_text('name = "desk"\nimage = "registry.example:5000/some/bot:1.2@sha256:' + "a" * 64 + '"\n')
    assert fleet_settings.load(tmp_path)[0].image_name.startswith("registry.example")
    escaped = name.replace("\n", "\\n").replace("\x1b", "\\u001b")
    file.write_text(f'name = "desk"\nimage = "{escaped}"\n')
    with pytest.raises(ConfigError, match="must be an image name"):
        fleet_settings.load(tmp_path)


def _process(proc: Path, pid: int, container: str, inner: int) -> tuple[str, int]:
    """Make a process's folder. Returns by what it is looked for."""
    (proc / f"{pid}").mkdir()
    (proc / f"{pid}/status").write_text(f"Name:\tpython3\nNSpid:\t{pid}\t{inner}\n")
    (proc / f"{pid}/cgroup").write_text(f"0::/docker/{container}\n")
    return container, inner


def test_of_processes_that_are_known_no_file_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fleet in which one bot was restarted, only that one's processes are looked for."""
    others = {_process(tmp_path, 100 + number, f"{number:064x}", 7): 100 + number for number in range(5)}
    assert host.host_pids(others, others.values(), tmp_path) == others
    started = _process(tmp_path, 200, "f" * 64, 7)
    read, paths = host._read, list[str]()

    def noted(path: str) -> bytes:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(host, "_read", noted)
    assert host.host_pids({**others, started: 0}, others.values(), tmp_path) == {**others, started: 200}
    assert paths == [str(tmp_path / name) for name in ("loadavg", "200/status", "200/cgroup")]
