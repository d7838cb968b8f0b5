"""Read and write config/hosts.toml: the trader's other machines."""

from __future__ import annotations

import json
import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from manager.config.fleet import HOST_PATTERN
from manager.errors import ConfigError, ManagerError, Problem, UsageError
from manager.util import atomic_file, ownership

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
HERE = "here"
"""The name of this machine in what is shown of all of them."""


class Host(NamedTuple):
    """Hold one machine. `folder`: its project folder, absolute. `port`: None for what ssh_config says."""

    name: str
    address: str
    user: str | None
    port: int | None
    folder: str

    @property
    def url(self) -> str:
        """Return it as `host add` takes it."""
        user = f"{self.user}@" if self.user else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"ssh://{user}{address}{f':{self.port}' if self.port else ''}{self.folder}"


def path(project_dir: Path) -> Path:
    """Return where the file is."""
    return project_dir / "config" / "hosts.toml"


def parse(name: str, url: str) -> Host:
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
    return Host(name, host.strip("[]"), parts.username, port, folder.rstrip("/"))


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
    for name, url in content.items():
        try:
            hosts[name] = parse(name, url if isinstance(url, str) else "")
        except UsageError as error:
            problems.append(Problem.at("config/hosts.toml", name, "{why}", why=error))
    return hosts, problems


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
    lines += [f"{name} = {json.dumps(hosts[name].url)}" for name in sorted(hosts)]
    file = path(project_dir)
    try:
        atomic_file.replace_bytes(file, ("\n".join(lines) + "\n").encode(), 0o644)
        ownership.give_to_folder_owner(file)
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=file, why=error.strerror) from error
