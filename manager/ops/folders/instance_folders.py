"""Create what a container mounts: folders, the database link, the env file. Idempotent; removes nothing.

Every step refuses symlinks below the data folder: a bot owns its folders and must not lead us out of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine.container_config import binds
from manager.errors import ManagerError
from manager.fleet import halt_mark
from manager.fleet.env_file import ENV_FILE, STAGED_FILE
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import trusted, unlink_in_trusted

SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")
PROCESSES = Path("/proc")

Owner = tuple[int, int]


class FolderError(ManagerError):
    """Signal that a folder or file under the data folder cannot be created or used."""


def prepare(spec: InstanceSpec, fleet: Fleet, owner: Owner) -> None:
    """Create the instance's folders and its database link. Raises FolderError."""
    with _explained(spec.id):
        if fleet.restoring_dir(spec.id).exists():
            raise FolderError(
                "cannot prepare {id}: a restore of it was interrupted; run `manager restore FILE {id}`"
                " again, or remove {path}",
                id=spec.id,
                path=fleet.restoring_dir(spec.id),
            )
        for bind in binds(spec):
            mode = 0o700 if bind.read_only else 0o755
            _own_folder(fleet.data_dir, bind.source, mode, owner)
        for folder in (fleet.state_dir, fleet.secrets_dir(spec.id).parent):
            keep_from_git(folder)
        halt_mark.keep_ready(fleet.secrets_dir(spec.id), owner if os.geteuid() == 0 else None)
        halt_mark.keep_ready(fleet.secrets_dir(spec.id).parent)
        halt_mark.make_own_of_fleets(fleet, spec.id)
        _link_database(spec, fleet, owner)


def write_env(spec: InstanceSpec, fleet: Fleet, owner: Owner, values: Mapping[str, str]) -> None:
    """Write the env file atomically, 0400 and owned by the bot's user. Raises FolderError."""
    stage_env(spec, fleet, owner, values)
    use_staged_env(spec, fleet)


def stage_env(spec: InstanceSpec, fleet: Fleet, owner: Owner, values: Mapping[str, str]) -> None:
    """Write the new env file beside the one in use, which a running bot's supervisor may read at any time.

    If the present one holds these values, it is kept: a start then writes nothing to the disk.
    """
    with _explained(spec.id):
        path = fleet.secrets_dir(spec.id) / STAGED_FILE
        if _is_in_use(path.with_name(ENV_FILE), values, owner):
            unlink_in_trusted(path)  # of a manager that was killed, perhaps with older values
        else:
            atomic_file.write_atomically(path, dict(values), mode=0o400, owner=owner)


def use_staged_env(spec: InstanceSpec, fleet: Fleet) -> None:
    """Replace the env file with the staged one, if there is one."""
    folder = fleet.secrets_dir(spec.id)
    with _explained(spec.id), suppress(FileNotFoundError), trusted(folder) as secrets:
        (secrets / STAGED_FILE).replace(secrets / ENV_FILE)


@contextmanager
def scratch_env(spec: InstanceSpec, fleet: Fleet, owner: Owner, values: Mapping[str, str]) -> Iterator[str]:
    """Yield a folder with an env file of its own, beside those of the bots, and remove it afterwards.

    Raises FolderError.
    """
    with _explained(spec.id):
        instance_secrets = fleet.preflight_dir / spec.id
        _own_folder(fleet.data_dir, str(instance_secrets.relative_to(fleet.data_dir)), 0o700, owner)
        keep_from_git(fleet.preflight_dir.parent)
        path = instance_secrets / ENV_FILE
        atomic_file.write_atomically(path, dict(values), mode=0o400, owner=owner)
    try:
        yield str(instance_secrets)
    finally:
        with suppress(OSError):
            unlink_in_trusted(path)
            instance_secrets.rmdir()
            fleet.preflight_dir.rmdir()


def _is_in_use(path: Path, values: Mapping[str, str], owner: Owner) -> bool:
    """Return whether the env file has the same content, mode and owner that would be written."""
    wanted = atomic_file.encode_json(dict(values))
    try:
        status = path.lstat()
        is_right = (stat.S_IMODE(status.st_mode), status.st_uid) == (0o400, owner[0])
        return is_right and strict_json.read_bytes(path, len(wanted), follow=False) == wanted
    except OSError:
        return False


@contextmanager
def _explained(instance: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise FolderError(
            "cannot prepare {id}: no permission for {path}; run as the owner of the data folder",
            id=instance,
            path=error.filename or "?",
        ) from error
    except OSError as error:
        raise FolderError(
            "cannot prepare {id}: {path}: {why}",
            id=instance,
            path=error.filename or "?",
            why=error.strerror or error,
        ) from error


def _own_folder(data_dir: Path, relative: str, mode: int, owner: Owner) -> None:
    """Create `data_dir/relative`, and give the last folder with its content to `owner`."""
    ownership.make_folder(data_dir)
    path = data_dir
    *parents, last = relative.split("/")
    for name in parents:
        path = path / name
        real_folder(path, 0o755)
    path = path / last
    real_folder(path, mode)
    with trusted(path.parent) as parent:
        _settle_rights(parent / last, path, mode, owner)


def _settle_rights(folder: Path, path: Path, mode: int, owner: Owner) -> None:
    """Give a folder to its owner. `path` is its name for people."""
    status = folder.lstat()
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != owner:
        give_away(folder, owner)
    elif status.st_uid != owner[0]:
        raise FolderError(
            "{path} belongs to uid {uid}, but the bots run as uid {wanted}; change its owner with chown",
            path=path,
            uid=status.st_uid,
            wanted=owner[0],
        )
    if stat.S_IMODE(status.st_mode) != mode and mode == 0o700:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def real_folder(path: Path, mode: int) -> None:
    """Create the folder if it is missing. Raises FolderError for a symlink or a file in its place."""
    try:
        path.mkdir(mode)
        ownership.give_to_folder_owner(path)
    except FileExistsError:
        mode_found = path.lstat().st_mode
        if stat.S_ISLNK(mode_found):
            raise FolderError(
                "{path} is a symbolic link; replace it with a real folder (or set data_dir in"
                " config/fleet.toml to its target)",
                path=path,
            ) from None
        if not stat.S_ISDIR(mode_found):
            raise FolderError("{path} exists and is not a folder; move it away", path=path) from None


def keep_from_git(folder: Path) -> None:
    """Add a .gitignore, because credentials and trades must not be committed.

    An empty one is what a full disk or a crash has left of an earlier attempt.
    """
    with suppress(FileNotFoundError, PermissionError), trusted(folder) as real:
        path = real / ".gitignore"
        status = path.lstat()
        if status.st_size:
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o002:  # an earlier version's, by its umask
                path.chmod(0o644)
            return
        path.unlink()
    with suppress(FileExistsError, PermissionError):
        atomic_file.create(folder / ".gitignore", b"*\n")


def give_away(folder: Path, owner: Owner) -> None:
    """Change the owner of a folder and everything in it, without following symlinks.

    Everything is reached by descriptor: a bot that runs can replace a folder by a link at any moment.
    """
    for _root, _folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        os.chown(descriptor, *owner)
        for name in files:
            os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)


def _link_database(spec: InstanceSpec, fleet: Fleet, owner: Owner) -> None:
    """Make `database/ID.db` a symlink to `ID/ID.db`. A database in its place is moved, unless it is open."""
    link = fleet.data_dir / spec.db_path
    real = fleet.database_dir(spec.id) / spec.db_name
    if link == real:
        return
    target = os.path.relpath(real, link.parent)
    try:
        link_mode = link.lstat().st_mode
    except FileNotFoundError:
        _make_link(link, target)
        return
    if stat.S_ISLNK(link_mode):
        if str(link.readlink()) != target:
            raise FolderError(
                "cannot prepare {id}: {path} links to {other} instead of {target}; remove the link",
                id=spec.id,
                path=link,
                other=link.readlink(),
                target=target,
            )
    elif stat.S_ISREG(link_mode):
        _move_database_in(spec, link, real, owner)
        _make_link(link, target)
    else:
        raise FolderError("{path} exists and is not a file; move it away", path=link)


def _make_link(link: Path, target: str) -> None:
    with trusted(link.parent) as folder:
        made = folder / link.name
        made.symlink_to(target)
        ownership.give_to_folder_owner(made)


def _move_database_in(spec: InstanceSpec, link: Path, real: Path, owner: Owner) -> None:
    if real.exists():
        raise FolderError(
            "cannot prepare {id}: both {path} and {real} hold a database; move one away",
            id=spec.id,
            path=link,
            real=real,
        )
    if user := process_with_open(link):
        raise FolderError(
            "cannot prepare {id}: process {pid} still has {path} open; stop it first",
            id=spec.id,
            pid=user,
            path=link,
        )
    for suffix in reversed(SQLITE_SUFFIXES):  # the main file last: until then the old place is complete
        source = link.with_name(link.name + suffix)
        if source.is_file() and not source.is_symlink():
            destination = real.with_name(real.name + suffix)
            source.rename(destination)
            if os.geteuid() == 0:
                os.chown(destination, *owner, follow_symlinks=False)


def process_with_open(path: Path) -> int | None:
    """Return the pid of a process that has the file open, as far as we may see."""
    return processes_with_open([path]).get(path)


def processes_with_open(paths: Iterable[Path]) -> dict[Path, int]:
    """Return file → pid for existing files, in one pass over all processes."""
    wanted = {key: path for path in paths if (key := _identity(path)) is not None}
    pids: dict[Path, int] = {}
    for process in PROCESSES.glob("[0-9]*") if wanted else ():
        for descriptor in _descriptors(process):
            key = _identity(descriptor)
            if key is not None and key in wanted:
                pids[wanted[key]] = int(process.name)
    return pids


def _descriptors(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # gone, or another user's
        return []


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what identifies a file; None for a path that cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
