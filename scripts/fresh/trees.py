"""Make the pristine tree of each Debian release, once, and the copies that rows boot."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

from scripts.fresh import inherit

README_ASKS_FOR = ("git", "make", "python3")
OLDEST_TREE_S = 7 * 24 * 3600  # security updates go on
OLDEST_WITHOUT_BUILDKIT = 23
CLI_SUITE = "trixie"
"""Its docker command has no BuildKit built in, and runs on Debian 12 as well."""
CLI_PACKAGES = ("docker-cli", "docker-compose")


def pristine(suite: str, base: Path, inherited: inherit.Inherited) -> Path:
    """Return the tree of a release with what the README asks for and nothing else; made where it is
    missing or old.
    """
    tree = base / "trees" / suite
    if tree.is_dir() and time.time() - tree.stat().st_mtime < OLDEST_TREE_S:
        return tree
    remove(tree)
    part = tree.with_suffix(".part")
    remove(part)
    part.mkdir(parents=True)
    print(f"making a pristine tree of {suite} in {tree}", flush=True)
    mirror = inherit.debian_mirror(suite)
    settings = part.with_suffix(".wgetrc")
    settings.write_text(f"ca_certificate = {inherited.ca}\n" if inherited.ca else "", encoding="utf-8")
    log = base / "logs" / f"tree-{suite}.log"
    with log.open("wb") as output:
        _run(
            [
                "env",
                f"WGETRC={settings}",
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(README_ASKS_FOR)}",
                suite,
                str(part),
                *([mirror] if mirror else []),
            ],
            output,
            log,
        )
        mirror = mirror or (part / "etc/apt/sources.list").read_text().split()[1]
        security = f"{mirror.rstrip('/')}-security"
        (part / "etc/apt/sources.list").write_text(
            f"deb {mirror} {suite} main\ndeb {mirror} {suite}-updates main\ndeb {security} "
            f"{suite}-security main\n"
        )
        (part / "etc/hostname").write_text("fresh\n")
        (part / "etc/hosts").write_text("127.0.0.1 localhost fresh\n::1 localhost\n")
        inherited.write_into(part)
        apt = ["chroot", str(part), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy"]
        _run([*apt, "update"], output, log)
        _run([*apt, "upgrade"], output, log)
        _run([*apt, "clean"], output, log)
    settings.unlink()
    (part / "etc/pip.conf").unlink(missing_ok=True)
    part.rename(tree)
    tree.touch()
    return tree


def packages(tree: Path) -> list[str]:
    """Return the names of the packages that are installed in a tree."""
    completed = subprocess.run(
        ["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "-W", "-f", "${Package}\\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(set(completed.stdout.split()))


def copy(tree: Path, root: Path) -> None:
    """Copy a tree to where a row boots it: a real file system, on which an engine can keep its layers."""
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(tree), str(root)], check=True)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, but nothing that is mounted there."""
    if folder.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def plain_docker(base: Path, suite: str, *, with_compose: bool) -> tuple[Path, Path]:
    """Return a docker command that needs buildx and has no plugin, and where a plugin compose for it is.

    The command is this machine's own static one, where it has one of a fitting version, else that of a Debian
    package.
    """
    folder = base / "docker-cli"
    command, compose = folder / "usr/bin/docker", folder / "usr/libexec/docker/cli-plugins/docker-compose"
    own = Path("/usr/local/bin/docker")
    if _is_fitting(own):
        command = own
    if not command.exists() or (with_compose and not compose.exists()):
        _unpack(base, suite, folder)
    return command, compose


def _unpack(base: Path, suite: str, folder: Path) -> None:
    """Take the docker command and Compose out of the packages of CLI_SUITE, with the apt of a tree of
    `suite`.
    """
    remove(folder)
    tree = folder.with_suffix(".tree")
    remove(tree)
    copy(base / "trees" / suite, tree)
    sources = tree / "etc/apt/sources.list"
    sources.write_text(f"deb {sources.read_text().split()[1]} {CLI_SUITE} main\n")
    log = base / "logs" / "docker-cli.log"
    with log.open("wb") as output:
        for command in (["update"], ["download", *CLI_PACKAGES]):
            _run(["env", f"--chdir={tree}", "chroot", str(tree), "apt-get", "-q", *command], output, log)
    for package in tree.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    remove(tree)


def _is_fitting(command: Path) -> bool:
    if not command.is_file():
        return False
    linked = subprocess.run(["ldd", str(command)], capture_output=True, text=True, check=False)
    version = subprocess.run([str(command), "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"version (\d+)", version)
    return linked.returncode != 0 and number is not None and int(number[1]) >= OLDEST_WITHOUT_BUILDKIT


def _run(command: list[str], output: BinaryIO, log: Path) -> None:
    completed = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
    )
    if completed.returncode:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        sys.exit("\n".join([*tail, f"cannot make a fresh machine: see {log}"]))
