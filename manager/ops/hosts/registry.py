"""Read and write config/hosts.toml: the trader's other machines."""

from __future__ import annotations

import json
import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from manager.config.fleet import HOST_PATTERN
from manager.errors import ConfigError, ManagerError, Problem, UsageError
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
HERE = "here"
"""The name of this machine in what is shown of all of them."""
ANSWERS_S = 20
"""One look at a fleet takes a second on a busy machine, and a connection across the world another."""
LONGEST_ANSWER_S = 600


class Host(NamedTuple):
    """Hold one machine. `folder`: its project folder, absolute. `port`: None for what ssh_config says.

    `answer_within`: for how many seconds it is waited for, at least; more than usual for a slow link.
    """

    name: str
    address: str
    user: str | None
    port: int | None
    folder: str
    answer_within: int = ANSWERS_S

    @property
    def url(self) -> str:
        """Return it as `host add` takes it."""
        user = f"{self.user}@" if self.user else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"ssh://{user}{address}{f':{self.port}' if self.port else ''}{self.folder}"


def path(project_dir: Path) -> Path:
    """Return where the file is."""
    return project_dir / "config" / "hosts.toml"


def parse(name: str, url: str, answer_within: int = ANSWERS_S) -> Host:
    """Return the host of an address such as `ssh://trader@tokyo.example:22/srv/desk`. Raises UsageError."""
    if not HOST_PATTERN.fullmatch(name) or name == HERE:
        raise UsageError(
            "{name} cannot be a host's name: a-z, 0-9, _ and -, and not {here}", name=name, here=HERE
        )
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("{url} is no address: {why}", url=url, why=error) from error
    netloc = parts.netloc.rpartition("@")[2]
    host = re.sub(r":\d+$", "", netloc)
    is_sound = (
        parts.scheme == "ssh"
        and HOST.fullmatch(host) is not None
        and (parts.username is None or USER.fullmatch(parts.username) is not None)
        and parts.password is None
        and not (parts.query or parts.fragment)
    )
    if not is_sound:
        raise UsageError("{url} is no address such as ssh://trader@tokyo.example:22/srv/desk", url=url)
    folder = urllib.parse.unquote(parts.path)
    if len(folder) < 2 or not folder.isprintable():
        raise UsageError(
            "{url} names no project folder on that host: ssh://trader@tokyo.example/srv/desk", url=url
        )
    if not 1 <= answer_within <= LONGEST_ANSWER_S:
        raise UsageError(
            "answer_within of {name} must be 1 to {most} seconds, not {seconds}",
            name=name,
            most=LONGEST_ANSWER_S,
            seconds=answer_within,
        )
    return Host(name, host.strip("[]"), parts.username, port, folder.rstrip("/"), answer_within)


def load(project_dir: Path) -> dict[str, Host]:
    """Return the hosts by name; none if there is no file. Raises ConfigError."""
    hosts, problems = readable(project_dir)
    if problems:
        raise ConfigError(problems)
    return hosts


def readable(project_dir: Path) -> tuple[dict[str, Host], list[Problem]]:
    """Return the hosts that the file names, and what is wrong with the rest of it.

    A typo must not keep a halt from the other machines.
    """
    file = path(project_dir)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [Problem.at("config/hosts.toml", "", "cannot be read: {why}", why=error)]
    hosts, problems = {}, []
    for name, value in content.items():
        try:
            hosts[name] = _read(name, value)
        except UsageError as error:
            problems.append(Problem.at("config/hosts.toml", name, "{why}", why=error))
    return hosts, problems


def _read(name: str, value: object) -> Host:
    """Return the host of a line, which is its address, or a table with it. Raises UsageError."""
    table = dict(value) if isinstance(value, dict) else {"url": value}
    url, seconds = table.pop("url", ""), table.pop("answer_within", ANSWERS_S)
    if table:
        raise UsageError(
            "{name} has an unknown key: {keys}; there are url and answer_within",
            name=name,
            keys=", ".join(table),
        )
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise UsageError("answer_within of {name} must be a whole number of seconds", name=name)
    return parse(name, url if isinstance(url, str) else "", seconds)


def _line(host: Host) -> str:
    """Return the host as a line of the file."""
    url = json.dumps(host.url)
    if host.answer_within == ANSWERS_S:
        return f"{host.name} = {url}"
    return f"{host.name} = {{ url = {url}, answer_within = {host.answer_within} }}"


def get(project_dir: Path, name: str) -> Host:
    """Return one host, whatever is wrong with other lines of the file.

    Raises UsageError for a name that is not there, ConfigError for one whose line is invalid.
    """
    hosts, problems = readable(project_dir)
    if name in hosts:
        return hosts[name]
    if problems:
        raise ConfigError(problems)
    if not hosts:
        raise UsageError(
            "there is no host {name}: no hosts are configured; `manager host add {name} ssh://…` adds it",
            name=name,
        )
    raise UsageError(
        "there is no host {name}; config/hosts.toml has: {names}", name=name, names=", ".join(hosts)
    )


def save(project_dir: Path, hosts: Mapping[str, Host]) -> None:
    """Write the file. Raises ManagerError."""
    lines = ["# The other machines of this trader: `manager host add NAME ssh://USER@HOST/FOLDER`"]
    lines += [_line(hosts[name]) for name in sorted(hosts)]
    file = path(project_dir)
    try:
        atomic_file.replace_bytes(file, ("\n".join(lines) + "\n").encode(), 0o644)
        ownership.give_to_folder_owner(file)
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=file, why=error.strerror) from error
