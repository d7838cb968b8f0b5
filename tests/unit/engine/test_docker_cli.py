"""Which docker command builds: stand-ins on a PATH of their own answer as the real ones do."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from manager.engine import docker_cli
from manager.errors import EngineUnreachable, ManagerError

DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12"}
DEBIAN_13 = {"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"}
RASPBIAN_12 = {"ID": "raspbian", "ID_LIKE": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
LMDE_6 = {"ID": "linuxmint", "ID_LIKE": "debian", "VERSION_ID": "6", "DEBIAN_CODENAME": "bookworm"}
UBUNTU = {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "24.04"}
MINT = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "22"}
FEDORA = {"ID": "fedora", "VERSION_ID": "42"}
ARCH = {"ID": "arch"}
DEBIAN_11 = {"ID": "debian", "VERSION_ID": "11", "VERSION_CODENAME": "bullseye"}


def command(folder: Path, version: str, *, has_buildx: bool = False) -> str:
    """Write a docker command that says this version, and has the plugin or not."""
    buildx = "echo buildx 0.13" if has_buildx else "echo \"'buildx' is not a docker command\" >&2; exit 1"
    return script(
        folder,
        f'case $1 in --version) echo "Docker version {version}, build e6534b4";; buildx) {buildx};; esac',
    )


def script(folder: Path, lines: str) -> str:
    """Write a program named docker."""
    folder.mkdir(parents=True)
    file = folder / "docker"
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return str(file)


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'local'}:{tmp_path / 'distribution'}")
    monkeypatch.setattr(docker_cli, "DOCKER_CE_RECORD", tmp_path / "no record")
    monkeypatch.setattr(docker_cli, "os_release", lambda: DEBIAN_12)
    return tmp_path


def test_a_command_with_buildx_is_taken(path: Path) -> None:
    local = command(path / "local", "28.2.2", has_buildx=True)
    assert docker_cli.builder() == local


def test_an_old_command_builds_without(path: Path) -> None:
    local = command(path / "local", "20.10.24+dfsg1")
    assert docker_cli.builder() == local


def test_a_new_one_without_plugins_does_not_hide_the_distributions(path: Path) -> None:
    command(path / "local", "28.2.2")
    distribution = command(path / "distribution", "20.10.24+dfsg1")
    assert docker_cli.builder() == distribution


PODMANS = """echo 'Emulate Docker CLI using podman.' >&2
case $1 in
--version) echo 'podman version 4.3.1';; version) echo 4.3.1;; buildx) echo 'buildah 1.28.2';; esac"""


@pytest.mark.parametrize("lines", [PODMANS, "exit 1", 'exec /nowhere/docker.real "$@"', "echo 28.2.2"])
def test_what_is_not_dockers_own_builds_nothing(path: Path, lines: str) -> None:
    """It would build for another engine, or not at all."""
    script(path / "local", lines)
    distribution = command(path / "distribution", "20.10.24+dfsg1")
    assert docker_cli.builder() == distribution


def test_a_file_that_is_no_program_builds_nothing(path: Path) -> None:
    Path(script(path / "local", "")).write_bytes(b"")
    with pytest.raises(EngineUnreachable, match="the docker command is missing"):
        docker_cli.builder()


def test_none_can_build(path: Path) -> None:
    local = command(path / "local", "28.2.2")
    command(path / "distribution", "26.1.5")
    with pytest.raises(ManagerError) as error:
        docker_cli.builder()
    assert str(error.value) == (
        f"cannot build the image: {local} 28.2.2 has no buildx. Debian 12 has no package for it, but its "
        f"own docker builds"
        " without it: apt-get install docker.io, and try again"
    )


def test_no_command_at_all(path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="the docker command is missing"):
        docker_cli.builder()


@pytest.mark.parametrize(
    ("release", "is_docker_ce", "package"),
    [
        (DEBIAN_12, False, "docker.io"),
        (DEBIAN_12, True, "docker-buildx-plugin"),
        (RASPBIAN_12, False, "docker.io"),
        (LMDE_6, False, "docker.io"),
        (DEBIAN_11, False, "docker.io"),
        (DEBIAN_13, False, "docker-buildx"),
        (UBUNTU, False, "docker-buildx"),
        (MINT, False, "docker-buildx"),
        (FEDORA, False, None),
        (ARCH, False, None),
        (ARCH, True, None),
        ({}, False, None),
    ],
)
def test_the_remedy_is_true_on_the_distribution(
    release: dict[str, str], is_docker_ce: bool, package: str | None
) -> None:
    remedy = str(docker_cli.buildx_remedy(release, is_docker_ce))
    assert ("apt-get install" in remedy) == (package is not None)
    if package:
        assert remedy.split("apt-get install ")[1].removesuffix(")") == package


@pytest.mark.parametrize(
    ("release", "is_docker_ce", "remedy"),
    [
        (
            DEBIAN_12,
            False,
            "Debian 12 has no package for it; `bash .*/scripts/engine.sh --with-compose` adds",
        ),
        (RASPBIAN_12, False, "Debian 12 has no package for it"),
        (DEBIAN_12, True, "apt-get install docker-compose-plugin"),
        (DEBIAN_11, False, "Debian 11 has no package for it: install Docker's own packages"),
        (DEBIAN_13, False, "apt-get install docker-compose\\)"),
        (UBUNTU, False, "apt-get install docker-compose-v2"),
        (MINT, False, "apt-get install docker-compose-v2"),
        (FEDORA, False, "your system's package manager"),
        (ARCH, True, "your system's package manager"),
        ({}, False, "your system's package manager"),
    ],
)
def test_composes_remedy_is_true_on_the_distribution(
    release: dict[str, str], is_docker_ce: bool, remedy: str
) -> None:
    assert re.search(remedy, str(docker_cli.compose_remedy(release, is_docker_ce)))


def test_a_snaps_plugins_are_in_the_snap(monkeypatch: pytest.MonkeyPatch) -> None:
    """An apt package of Ubuntu's would be a plugin of another docker command."""
    monkeypatch.setattr(docker_cli, "commands", lambda _path: iter(["/snap/bin/docker", "/usr/bin/docker"]))
    for remedy in (docker_cli.buildx_remedy, docker_cli.compose_remedy):
        assert "snap refresh docker" in str(remedy(UBUNTU, is_docker_ce=False))
        assert "apt" not in str(remedy(UBUNTU, is_docker_ce=False))


@pytest.mark.parametrize(("uid", "command"), [(0, "(apt-get install"), (1000, "(sudo apt-get install")])
@pytest.mark.parametrize("release", [DEBIAN_13, UBUNTU])
def test_a_package_is_installed_as_this_user_may(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], uid: int, command: str
) -> None:
    """Without rights `apt-get install` says only that it cannot open its lock file."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    for remedy in (docker_cli.buildx_remedy, docker_cli.compose_remedy):
        for is_docker_ce in (False, True):
            assert command in str(remedy(release, is_docker_ce))


def test_os_release_is_read_without_its_quotes(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n\n')
    assert docker_cli.os_release(file) == {"NAME": "Debian GNU/Linux", "VERSION_ID": "12", "ID": "debian"}
    assert docker_cli.os_release(tmp_path / "none") == {}


def test_a_folder_that_is_closed_to_the_user_hides_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /root/bin is after `su`; is_file() raises there. Root may read everything, so it is played."""
    closed, open_to_all = path / "local" / "docker", command(path / "distribution", "20.10.24")
    is_file, access = Path.is_file, os.access

    def raising(file: Path) -> bool:
        if file == closed:
            raise PermissionError(13, "Permission denied", str(file))
        return is_file(file)

    monkeypatch.setattr(Path, "is_file", raising)
    monkeypatch.setattr(os, "access", lambda file, mode: Path(file) != closed and access(file, mode))
    assert docker_cli.builder() == open_to_all
