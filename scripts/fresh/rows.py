"""List the fresh machines that `make fresh` tries."""

from __future__ import annotations

from dataclasses import dataclass

RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


@dataclass(frozen=True)
class Row:
    """Describe one machine: a release, what is on it beside the README's git, make and python3, and where the
    project lies.
    """

    name: str
    suite: str
    about: str
    packages: tuple[str, ...] = ()
    has_cli: bool = False
    """A docker command of version 23 or later, alone, in /usr/local/bin."""
    has_compose: bool = False
    """The plugin compose for that command."""
    has_sudo_user: bool = False
    """Everything is done by a user who may use sudo and is not in the group docker, instead of by root."""
    folder: str = "/srv/botfleet"
    link: str = ""
    """A link to the folder, through which the project is reached."""
    runs_tests: bool = False
    """Also runs `make test`. The rows that only differ in what `make up` does leave it out."""


BLANKS = "/srv/my bots/交易 機器人"

ROWS = (
    Row("debian12", "bookworm", "nothing installed", runs_tests=True),
    Row("debian12-cli", "bookworm", "a docker CLI without plugins in /usr/local/bin", has_cli=True),
    Row("debian12-compose", "bookworm", "CLI and Compose, no buildx", has_cli=True, has_compose=True),
    Row("debian12-stopped", "bookworm", "engine installed, but stopped", packages=("docker.io",)),
    Row(
        "debian12-sudo",
        "bookworm",
        "a sudo user outside the group docker",
        has_sudo_user=True,
        runs_tests=True,
    ),
    Row("debian12-blanks", "bookworm", "a path with blanks and CJK", folder=BLANKS, runs_tests=True),
    Row("debian12-link", "bookworm", "reached through a link", link="/srv/link"),
    Row("debian13", "trixie", "nothing installed", runs_tests=True),
    Row("debian13-cli", "trixie", "a docker CLI without plugins in /usr/local/bin", has_cli=True),
    Row("debian13-compose", "trixie", "CLI and Compose, no buildx", has_cli=True, has_compose=True),
    Row("debian13-stopped", "trixie", "engine installed, but stopped", packages=("docker.io", "docker-cli")),
    Row(
        "debian13-sudo",
        "trixie",
        "a sudo user, a path with blanks and CJK",
        has_sudo_user=True,
        folder=BLANKS,
    ),
)
