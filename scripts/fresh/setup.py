"""Make a row's machine of a pristine tree: its packages, its docker command, its user, the clone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import BinaryIO

from scripts.fresh.machine import USER, USER_ID, Machine
from scripts.fresh.rows import Row

PLUGINS = Path("usr/local/lib/docker/cli-plugins")
BARE = Path("srv/botfleet.git")
APT_INSTALL = (
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-qy",
    "-o",
    "Dpkg::Use-Pty=0",
    "--no-install-recommends",
    "install",
)


def before_boot(row: Row, root: Path, checkout: Path, docker: tuple[Path, Path] | None) -> None:
    """Lay out files: what a row has that no package brings."""
    if docker:
        command, compose = docker
        shutil.copy(command, root / "usr/local/bin/docker")
        (root / "usr/local/bin/docker").chmod(0o755)
        if row.has_compose:
            (root / PLUGINS).mkdir(parents=True)
            shutil.copy(compose, root / PLUGINS / "docker-compose")
    subprocess.run(["git", "clone", "--quiet", "--bare", checkout.as_uri(), str(root / BARE)], check=True)


def after_boot(row: Row, machine: Machine, log: BinaryIO) -> None:
    """Install the row's packages, stop what they started, and clone the project as its user."""
    packages = [*row.packages, *(["sudo"] if row.has_sudo_user else [])]
    if packages:
        _do(machine, log, "apt-get", "-qy", "update")
        _do(machine, log, *APT_INSTALL, *packages)
    if "docker.io" in row.packages:
        machine.run("service", "docker", "stop", output=log)
    if row.has_sudo_user:
        _do(machine, log, "useradd", "--create-home", "--shell=/bin/bash", f"--uid={USER_ID}", USER)
        _do(machine, log, "sh", "-c", f"echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}")
        _do(machine, log, "chown", "-R", f"{USER}:{USER}", f"/{BARE}", f"/home/{USER}")
    owner = USER if row.has_sudo_user else "root"
    _do(machine, log, "mkdir", "-p", str(Path(row.folder).parent))
    _do(machine, log, "install", "-d", f"--owner={owner}", row.folder)
    _do(machine, log, "git", "clone", "--quiet", f"/{BARE}", row.folder, user=row.has_sudo_user)
    if row.link:
        _do(machine, log, "ln", "-s", row.folder, row.link)


def _do(machine: Machine, log: BinaryIO, *command: str, user: bool = False) -> None:
    log.write(f"# {' '.join(command)}\n".encode())
    log.flush()
    if machine.run(*command, user=user, output=log).returncode:
        raise RuntimeError(f"cannot set up the row: `{' '.join(command)}` failed")
