"""Find the docker command that builds images, because the SDK has no BuildKit."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from manager.errors import EngineUnreachable, ManagerError
from manager.i18n import Text
from manager.util import bundle

ANSWERS_S = 30  # an engine that is busy removing fifty containers answers within a few seconds
FIRST_WITHOUT_BUILDKIT = 23
"""From this version on, BuildKit is in the plugin buildx; older commands include it."""
OS_RELEASE = Path("/etc/os-release")
DOCKER_CE_RECORD = Path("/var/lib/dpkg/info/docker-ce-cli.list")


def builder() -> str:
    """Return the first docker command on PATH that can build with BuildKit: the rule of scripts/engine.sh.

    A newer command without plugins in /usr/local/bin does not hide the distribution's own, which can.
    Raises EngineUnreachable if there is no docker command, ManagerError if none of them can build.
    """
    first = ""
    for command in commands(os.environ.get("PATH", os.defpath)):
        version = _answer(command, "version", "--format", "{{.Client.Version}}")
        if not version:
            continue
        if major(version) < FIRST_WITHOUT_BUILDKIT or _answer(command, "buildx", "version"):
            return command
        first = first or f"{command} {version}"
    if not first:
        raise EngineUnreachable(
            "cannot build the image: the docker command is missing; `{command}` installs it",
            command=bundle.engine_command(),
        )
    raise ManagerError(
        "cannot build the image: {command} has no buildx. {remedy}, and try again",
        command=first,
        remedy=buildx_remedy(os_release(), is_docker_ce()),
    )


def commands(path: str) -> Iterator[str]:
    """Yield every docker command on a PATH, in its order, each file once."""
    seen = set()
    for folder in path.split(os.pathsep):
        file = Path(folder, "docker")
        # `access` first: a folder of PATH may be closed to this user, where is_file() raises
        if folder and os.access(file, os.X_OK) and file.is_file() and (real := file.resolve()) not in seen:
            seen.add(real)
            yield str(file)


def buildx_remedy(release: Mapping[str, str], is_docker_ce: bool) -> Text:
    """Return how to install buildx on the distribution that /etc/os-release describes."""
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if is_docker_ce:
        return Text("Install it (apt-get install docker-buildx-plugin)")
    if release.get("ID") == "debian" and release.get("VERSION_ID") == "12":
        return Text(
            "Debian 12 has no package for it, but its own docker builds without it: apt-get install docker.io"
        )
    if family & {"debian", "ubuntu"}:
        return Text("Install it (apt-get install docker-buildx)")
    return Text("Install the plugin docker-buildx with your system's package manager")


def os_release(path: Path = OS_RELEASE) -> dict[str, str]:
    """Read the fields of an os-release file; none if it does not exist."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {
        key: value.strip("\"'")
        for key, has_value, value in (line.partition("=") for line in lines)
        if has_value
    }


def is_docker_ce() -> bool:
    """Return whether the docker command is from Docker's own packages, which name the plugin differently."""
    return DOCKER_CE_RECORD.exists()


def major(version: str) -> int:
    """Return the first number of a version, or 0 without one."""
    number = re.match(r"\d+", version)
    return int(number.group()) if number else 0


def _answer(*command: str) -> str:
    """Return a command's output; empty if it fails.

    `docker version` shows its client even without an engine.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    is_version = command[1] == "version"
    return done.stdout.strip() if done.returncode == 0 or is_version else ""
