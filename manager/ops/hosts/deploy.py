"""Bring this manager and the fleet's image to another machine, by digest. What runs there is not touched."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from typing import Any

from manager.errors import ManagerError
from manager.ops.hosts import account_looks, ssh
from manager.ops.hosts.package import Package
from manager.ops.hosts.registry import Host
from manager.typed import NamedTuple
from manager.util import console

ASKING_S = 30.0
INSTALL_S = 1200.0
SEND_S = 3600.0
LOOK = """\
mkdir -p -- "$0/config/active" && cd -- "$0" || exit 1
if [ -L .venv ]; then readlink .venv; elif [ -e .venv ]; then echo own; else echo none; fi
if [ -e ".botfleet/$1/complete" ]; then echo there; else echo missing; fi
"""
"""Tell what `.venv` is, and whether this very package is installed."""
INSTALL = """\
ended() {
  rm -rf -- "$part"
  if [ -e "$at/complete" ]; then return; fi
  left=$(df -Pk . | awk 'NR == 2 { print int($4 * 1.024 / 1000) }')
  if [ "$left" -lt 150 ]; then echo "its disk has $left MB left, and an installation takes 110 MB" >&2; fi
  if [ "$is_ours" ]; then rm -rf -- "$at"; fi
}
set -eu
cd -- "$0"
at=".botfleet/$1" part=".botfleet/$1.$$" is_ours=
for python in python3 python3.14 python3.13 python3.12 python3.11 ""; do
  if [ -z "$python" ]; then echo "Python 3.11 or newer is missing" >&2; exit 1; fi
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
done
trap ended EXIT
mkdir -p -- "$part"
tar -x -f - -C "$part"
exec 9>.botfleet/lock
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
if [ -e "$at/complete" ]; then exit 0; fi
is_ours=yes
rm -rf -- "$at"
mv -- "$part" "$at"
"$python" -m venv "$at/venv" >&2
pip() { "$at/venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@" >&2; }
pip --require-hashes -r "$at/requirements.lock"
pip --no-deps --no-index "$at"/*.whl
touch "$at/complete"
"""
"""Install the package anew, after another installation there has ended.

One whose connection was cut, or whose caller was killed, goes on: without the lock it would write into the
new one's folder, and call that complete before it is. The shell holds the lock, which Python takes, and not
before the package is there: a connection that is cut may be waited for by sshd for hours. What has failed
leaves nothing: the disk may be full, and bots need it.
"""
SWITCH = 'cd -- "$0" && ln -sfn ".botfleet/$1/venv" .venv.new && mv -fT .venv.new .venv'
"""In one step: a command that begins there now has either the old manager or the new one."""
LOAD = 'docker load --quiet >&2 && docker image inspect --format "{{.Id}}" "$0"'
TAG = 'docker tag "$0" "$1"'
HAS = 'docker image inspect --format "{{.Id}}" "$0" 2>/dev/null || true'


TAR_ENDS = "tar: Exiting with failure status"
"""What tar says last; the line before says why, as of a full disk."""


class Installation(NamedTuple):
    """Hold what a machine has. `venv`: where its `.venv` leads; `own` for a folder, `none` for nothing."""

    venv: str
    is_installed: bool


def look(host: Host, package: Package) -> Installation:
    """Ask what is there; the project folder is made if it is missing. Raises ManagerError."""
    words = _done(host, LOOK, (host.folder, package.digest), ASKING_S).split()
    if len(words) < 2:
        raise ManagerError("host {name}: cannot use {folder}", name=host.name, folder=host.folder)
    return Installation(" ".join(words[:-1]), words[-1] == "there")


def install(host: Host, package: Package) -> bool:
    """Install the package and switch to it; return whether there was anything to do. Raises ManagerError."""
    there = look(host, package)
    if there.venv == "own":
        raise ManagerError(
            "host {name}: {folder}/.venv is the environment of a checkout, which `git pull` and `make`"
            " update; to have it deployed from here, rename it there",
            name=host.name,
            folder=host.folder,
        )
    if there.is_installed and there.venv == f".botfleet/{package.digest}/venv":
        return False
    if not there.is_installed:
        _done(host, INSTALL, (host.folder, package.digest), INSTALL_S, _archive(package))
    _done(host, SWITCH, (host.folder, package.digest), ASKING_S)
    return True


def facts(host: Host) -> dict[str, Any]:
    """Return what the manager there says of itself: its own name, its image's name. Raises ManagerError."""
    completed = ssh.run(host, account_looks.WORDS, ASKING_S, account_looks.new_key().hex().encode())
    try:
        return dict(json.loads(completed.out))
    except (ValueError, TypeError) as error:
        why = console.without_label((completed.err.strip().splitlines() or ["-"])[-1])
        raise ManagerError("host {name}: its manager reports: {why}", name=host.name, why=why) from error


def send_image(host: Host, image_id: str, name: str) -> bool:
    """Send the image and give it this name there; return whether there was anything to do.

    Its containers go on with the image that they have.
    """
    if _done(host, HAS, (name,), ASKING_S).strip() == image_id:
        return False
    if _done(host, HAS, (image_id,), ASKING_S).strip() != image_id:
        transfer(host, image_id)
    _done(host, TAG, (image_id, name), ASKING_S)
    return True


def transfer(host: Host, image_id: str) -> None:
    """Pipe `docker save` here into `docker load` there, compressed on the way."""
    with (
        subprocess.Popen(
            ["docker", "save", image_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as save,
        subprocess.Popen(["gzip", "-1"], stdin=save.stdout, stdout=subprocess.PIPE) as pack,
    ):
        for process in (save, pack):
            assert process.stdout is not None
        load = ssh.shell(host, ["sh", "-c", LOAD, image_id], is_read=True)
        try:
            completed = subprocess.run(
                load, stdin=pack.stdout, capture_output=True, timeout=SEND_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ssh.silent(host, SEND_S) from error
        finally:
            for process in (pack, save):
                assert process.stdout is not None
                process.stdout.close()
                process.kill()
    if completed.returncode == ssh.SSH_FAILED:
        raise ssh.unreachable(host, completed.stderr.decode(errors="replace"))
    if completed.returncode != 0 or ssh.output(completed.stdout).decode().strip() != image_id:
        why = (completed.stderr.decode(errors="replace").strip().splitlines() or ["-"])[-1]
        raise ManagerError("host {name}: the image was not loaded: {why}", name=host.name, why=why)


def _archive(package: Package) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(package.wheel, package.wheel.name)
        archive.add(package.lock, "requirements.lock")
    return stream.getvalue()


def _done(host: Host, script: str, words: Sequence[str], limit: float, stdin: bytes = b"") -> str:
    """Run a script there; return what it prints. Raises ManagerError."""
    completed = ssh.ended(host, ssh.shell(host, ["sh", "-c", script, *words], is_read=True), limit, stdin)
    if completed.code != 0:
        lines = [line for line in completed.err.strip().splitlines() if not line.startswith(TAR_ENDS)]
        why = (lines or ["-"])[-1]
        raise ManagerError("host {name}: {why}", name=host.name, why=why)
    return completed.out
