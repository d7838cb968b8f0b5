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
from manager.util.real_path import real_path

ANSWERS_S = 30  # an engine that is busy removing fifty containers answers within a few seconds
FIRST_WITHOUT_BUILDKIT = 23
"""From this version on, BuildKit is in the plugin buildx; older commands include it."""
DOCKERS_OWN = re.compile(r"Docker version (\d[^ ,]*)")
OS_RELEASE = Path("/etc/os-release")
DOCKER_CE_RECORD = Path("/var/lib/dpkg/info/docker-ce-cli.list")


DEBIAN, BOOKWORM, BULLSEYE, UBUNTU = "debian", "bookworm", "bullseye", "ubuntu"
WITHOUT_PLUGINS = {BOOKWORM: "12", BULLSEYE: "11"}
"""The releases of Debian that have no package of buildx and Compose v2; the command they have can build."""
SNAP = "/snap/"
"""Below it are the commands of Ubuntu's snaps; that of Docker has both plugins in it."""


def builder() -> str:
    """Return the first docker command on PATH that can build with BuildKit: the rule of scripts/engine.sh.

    A newer command without plugins in /usr/local/bin does not hide the distribution's own, which can.
    Raises EngineUnreachable if there is no docker command, ManagerError if none of them can build.
    """
    first = ""
    for command in commands(os.environ.get("PATH", os.defpath)):
        version = _version(command)
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
        if folder and os.access(file, os.X_OK) and file.is_file() and (real := real_path(file)) not in seen:
            seen.add(real)
            yield str(file)


def buildx_remedy(release: Mapping[str, str], is_docker_ce: bool) -> Text:
    """Return how to install buildx on the distribution that /etc/os-release describes."""
    family = _family(release)
    if is_docker_ce and family:
        return Text("Install it ({command})", command=_install("docker-buildx-plugin"))
    if is_snap():
        return Text("Update the snap that it is in ({command})", command=_as_root("snap refresh docker"))
    if family in WITHOUT_PLUGINS:
        return Text(
            "Debian {number} has no package for it, but its own docker builds without it: {command}",
            number=WITHOUT_PLUGINS[family],
            command=_install("docker.io"),
        )
    if family:
        return Text("Install it ({command})", command=_install("docker-buildx"))
    return Text("Install the plugin docker-buildx with your system's package manager")


def compose_remedy(release: Mapping[str, str], is_docker_ce: bool) -> Text:
    """Return how to install Compose v2 on the distribution that /etc/os-release describes."""
    family = _family(release)
    if is_docker_ce and family:
        return Text("install it ({command})", command=_install("docker-compose-plugin"))
    if is_snap():
        return Text("update the snap that it is in ({command})", command=_as_root("snap refresh docker"))
    if family == BULLSEYE:
        return Text(
            "Debian 11 has no package for it: install Docker's own packages"
            " (https://docs.docker.com/engine/install/debian)"
        )
    if family == BOOKWORM:
        return Text(
            "Debian 12 has no package for it; `{command}` adds Debian 13's",
            command=f"{bundle.engine_script()} --with-compose",
        )
    if family:
        package = "docker-compose-v2" if family == UBUNTU else "docker-compose"
        return Text("install it ({command})", command=_install(package))
    return Text("install the plugin docker-compose with your system's package manager")


def _install(package: str) -> str:
    """Return the command that installs a package, as this user may run it."""
    return _as_root(f"apt-get install {package}")


def _as_root(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"


def _family(release: Mapping[str, str]) -> str:
    """Return the distribution whose packages are used here; empty if it is neither Debian nor Ubuntu nor
    derived from them.
    """
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if UBUNTU in family:
        return UBUNTU
    if DEBIAN not in family:
        return ""
    codenames = {release.get("VERSION_CODENAME"), release.get("DEBIAN_CODENAME")}
    own_number = release.get("VERSION_ID") if release.get("ID") == DEBIAN else None
    for codename, number in WITHOUT_PLUGINS.items():
        if codename in codenames or own_number == number:
            return codename
    return DEBIAN


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


def is_snap() -> bool:
    """Return whether the docker command is a snap's."""
    command = next(commands(os.environ.get("PATH", os.defpath)), "")
    return command.startswith(SNAP)


def major(version: str) -> int:
    """Return the first number of a version, or 0 without one."""
    number = re.match(r"\d+", version)
    return int(number.group()) if number else 0


def _version(command: str) -> str:
    """Return a docker command's version; empty if it is not Docker's own, such as podman's, which builds
    for another engine.
    """
    match = DOCKERS_OWN.match(_answer(command, "--version"))
    return match.group(1) if match else ""


def _answer(*command: str) -> str:
    """Return a command's output; empty if it fails or hangs."""
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_S, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.strip() if completed.returncode == 0 else ""
