"""Determine the user that bots run as, in the container and on the host, and record it for Compose."""

import os
from collections.abc import Mapping
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.spec import BOT_ID
from manager.engine.client import security_modes
from manager.errors import ManagerError, writing_to
from manager.fleet import host
from manager.fleet.definition_drift import UID_VARIABLE
from manager.typed import Any, NamedTuple
from manager.util import atomic_file, ownership
from manager.util.trusted_folder import open_in_trusted, trusted_target

GID_VARIABLE = "BOTFLEET_GID"
PLACE_VARIABLE = "COMPOSE_FILE"
UNKNOWN_TO_COMPOSE = frozenset(":'\r\n")
EXPANDED_BY_COMPOSE = frozenset('$\\"#`')
"""Characters that mean something in a value of .env without quotes."""


class BotUser(NamedTuple):
    """Hold uid and gid inside the container, and the (uid, gid) that owns the folders on the host."""

    uid: int
    gid: int
    owner: tuple[int, int]


def bot_user(fleet: Fleet, variables: Mapping[str, str], info: Mapping[str, Any]) -> BotUser:
    """Return the user of `configured_user`, unless the engine is rootless: there the container's root is the
    user outside, who owns everything.

    `info`: the engine's own description. Raises ManagerError for an engine under which no bot can write.
    """
    require_writing(info)  # first: .env may name the user of the engine's own user, whom root is not
    user = configured_user(fleet, variables)
    if "rootless" in security_modes(info):
        return _of_rootless()
    if user.uid == 0:
        raise _no_id(UID_VARIABLE, "0")
    return user


def _of_rootless() -> BotUser:
    return BotUser(0, 0, (os.geteuid(), os.getegid()))


def require_writing(info: Mapping[str, Any]) -> None:
    """Raise ManagerError for an engine under which no bot can write. Changes nothing."""
    modes = security_modes(info)
    if "userns" in modes:
        raise ManagerError(
            "the engine maps the users of containers to others (userns-remap), who may not write to the bots'"
            " folders: remove userns-remap from /etc/docker/daemon.json and restart the engine, or use a"
            " rootless engine"
        )
    if "rootless" in modes and os.geteuid() == 0:
        raise ManagerError(
            "the engine is rootless and belongs to another user, who may not write to root's folders:"
            " run the manager as that user"
        )


def configured_user(fleet: Fleet, variables: Mapping[str, str]) -> BotUser:
    """Return BOTFLEET_UID and BOTFLEET_GID if set, otherwise the data folder's owner. Asks no engine.

    Raises ManagerError if the data folder cannot be created.
    """
    try:
        ownership.make_folder(fleet.data_dir)
    except OSError as error:
        raise ManagerError(
            "cannot create the data folder {path}: {why}", path=fleet.data_dir, why=error.strerror or error
        ) from error
    if os.geteuid() != 0 and variables.get(UID_VARIABLE) == "0":  # written there for a rootless engine
        return _of_rootless()
    uid, gid = host.bot_owner(fleet.data_dir)
    uid = _number(variables, UID_VARIABLE, uid)
    gid = _number(variables, GID_VARIABLE, gid)
    return BotUser(uid, gid, (uid, gid))


def compose_variables(fleet: Fleet, variables: Mapping[str, str], user: BotUser) -> dict[str, str]:
    """Return the variables that Compose puts into `user:`.

    Those that differ from its default are added to .env.
    """
    configured = {name: variables[name] for name in (UID_VARIABLE, GID_VARIABLE) if variables.get(name)}
    missing = {
        name: str(value)
        for name, value in ((UID_VARIABLE, user.uid), (GID_VARIABLE, user.gid))
        if name not in configured and value != BOT_ID
    }
    if missing:
        _append(fleet, missing)
    return {**configured, **missing}


def save_compose_path(fleet: Fleet) -> None:
    """Set COMPOSE_FILE in .env to the file's real path, so that Compose run through a symlink keeps
    containers.

    It is updated after a move. A user's own value, which names other files, is kept.
    """
    wanted, path = str(fleet.compose_file), fleet.dotenv_file
    text = _compose_value(wanted)
    if text is None:
        return
    try:
        # By "\n" alone, so that the user's other lines stay as they are to the byte.
        lines = path.read_bytes().decode().split("\n") if path.exists() else []
    except (OSError, UnicodeDecodeError):  # said where its content is needed
        return
    numbers = [number for number, line in enumerate(lines) if line.startswith(f"{PLACE_VARIABLE}=")]
    if not numbers:
        _append(fleet, {PLACE_VARIABLE: text})
        return
    written = lines[numbers[-1]].partition("=")[2].removesuffix("\r")
    value = written.strip("'\"")
    if (
        (value == wanted and text in (wanted, written))
        or Path(value).name != fleet.compose_file.name
        or ":" in value
    ):
        return
    with writing_to(path):
        link = trusted_target(path)
        status = link.stat()
        end = "\r" if lines[numbers[-1]].endswith("\r") else ""
        lines[numbers[-1]] = f"{PLACE_VARIABLE}={text}{end}"
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        atomic_file.replace_bytes(link, "\n".join(lines).encode(), status.st_mode & 0o777, owner)


def _compose_value(path: str) -> str | None:
    """Return a path as Compose reads it from .env; None if it cannot: `:` separates paths there."""
    is_utf8 = path.encode(errors="replace").decode() == path
    if not is_utf8 or UNKNOWN_TO_COMPOSE & set(path):
        return None
    return f"'{path}'" if EXPANDED_BY_COMPOSE & set(path) else path


def _append(fleet: Fleet, lines: Mapping[str, str]) -> None:
    path = fleet.dotenv_file
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    with writing_to(path):
        path = trusted_target(path)
        descriptor = open_in_trusted(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            if not size:
                ownership.give_to_folder_owner(path)
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = "\n" + text
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    value = variables.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit()) or int(value) == 0:
        raise _no_id(name, value)
    return int(value)


def _no_id(name: str, value: str) -> ManagerError:
    return ManagerError("{name} must be a numeric id other than 0, not “{value}”", name=name, value=value)
