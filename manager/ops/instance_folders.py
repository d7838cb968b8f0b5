"""Makes what a container mounts: folders, the database link, the env file. Idempotent; nothing is ever removed.

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

SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")

Owner = tuple[int, int]


class FolderError(ManagerError):
    """A folder or file under the data folder cannot be made or used."""


def prepare(spec: InstanceSpec, fleet: Fleet, owner: Owner) -> None:
    """Makes the instance's folders and its database link. Raises FolderError."""
    with _explained(spec.id):
        if fleet.restoring_dir(spec.id).exists():
            raise FolderError(
                "cannot prepare {id}: a restore of it was interrupted; run `manager restore FILE {id}` again, or remove {path}",
                id=spec.id, path=fleet.restoring_dir(spec.id),
            )  # fmt: skip
        for bind in binds(spec):
            mode = 0o700 if bind.read_only else 0o755
            _own_folder(fleet.data_dir, bind.source, mode, owner)
        for folder in (fleet.state_dir, fleet.secrets_dir(spec.id).parent):
            keep_from_git(folder)
        halt_mark.keep_ready(fleet.secrets_dir(spec.id), owner if os.geteuid() == 0 else None)
        halt_mark.keep_ready(fleet.secrets_dir(spec.id).parent)
        _link_database(spec, fleet, owner)


def write_env(spec: InstanceSpec, fleet: Fleet, owner: Owner, values: Mapping[str, str]) -> None:
    """Writes the env file, 0400 and owned by the bot's user, as a whole. Raises FolderError."""
    stage_env(spec, fleet, owner, values)
    use_staged_env(spec, fleet)


def stage_env(spec: InstanceSpec, fleet: Fleet, owner: Owner, values: Mapping[str, str]) -> None:
    """Writes the new env file beside the one in use, which a running bot's supervisor may read at any time.

    One that holds these values already stays as it is: a start then costs no write to the disk.
    """
    with _explained(spec.id):
        path = fleet.secrets_dir(spec.id) / STAGED_FILE
        if _is_in_use(path.with_name(ENV_FILE), values, owner):
            path.unlink(missing_ok=True)  # of a manager that was killed, perhaps with older values
        else:
            atomic_file.write_atomically(path, dict(values), mode=0o400, owner=owner)


def use_staged_env(spec: InstanceSpec, fleet: Fleet) -> None:
    """Puts the staged env file into use, where one had to be written."""
    folder = fleet.secrets_dir(spec.id)
    with _explained(spec.id), suppress(FileNotFoundError):
        (folder / STAGED_FILE).replace(folder / ENV_FILE)


def _is_in_use(path: Path, values: Mapping[str, str], owner: Owner) -> bool:
    """Whether the env file is, to the last bit of its mode, what would be written."""
    wanted = atomic_file.encode_json(dict(values))
    try:
        found = path.lstat()
        is_right = (stat.S_IMODE(found.st_mode), found.st_uid) == (0o400, owner[0])
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
    """Makes `data_dir/relative` and gives the last folder, with what is in it, to `owner`."""
    ownership.make_folder(data_dir)
    path = data_dir
    *parents, last = relative.split("/")
    for name in parents:
        path = path / name
        real_folder(path, 0o755)
    path = path / last
    real_folder(path, mode)
    found = path.lstat()
    if os.geteuid() == 0 and (found.st_uid, found.st_gid) != owner:
        give_away(path, owner)
    elif found.st_uid != owner[0]:
        raise FolderError(
            "{path} belongs to uid {uid}, the bots run as uid {wanted}: chown it",
            path=path, uid=found.st_uid, wanted=owner[0],
        )  # fmt: skip
    if stat.S_IMODE(found.st_mode) != mode and mode == 0o700:
        path.chmod(mode)


def real_folder(path: Path, mode: int) -> None:
    """Makes the folder where it is missing. Raises FolderError for a link, or a file, in its place."""
    try:
        path.mkdir(mode)
        ownership.give_to_folder_owner(path)
    except FileExistsError:
        found = path.lstat().st_mode
        if stat.S_ISLNK(found):
            raise FolderError(
                "{path} is a symbolic link; replace it by a real folder (or point data_dir in config/fleet.toml there)",
                path=path,
            ) from None
        if not stat.S_ISDIR(found):
            raise FolderError("{path} is in the way: it is not a folder; move it away", path=path) from None


def keep_from_git(folder: Path) -> None:
    """Credentials and trades must not be committed, wherever the data folder lies."""
    path = folder / ".gitignore"
    with suppress(FileExistsError, PermissionError), path.open("x") as stream:
        stream.write("*\n")
        ownership.give_to_folder_owner(path)


def give_away(folder: Path, owner: Owner) -> None:
    """Changes the owner of a folder and everything in it, following no link."""
    for root, _folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        os.chown(root, *owner, follow_symlinks=False)
        for name in files:
            os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)


def _link_database(spec: InstanceSpec, fleet: Fleet, owner: Owner) -> None:
    """`database/ID.db` becomes a link to `ID/ID.db`; a database that lay there is moved in if nobody has it open."""
    link = fleet.data_dir / spec.db_path
    real = fleet.database_dir(spec.id) / spec.db_name
    if link == real:
        return
    target = os.path.relpath(real, link.parent)
    try:
        found = link.lstat().st_mode
    except FileNotFoundError:
        _make_link(link, target)
        return
    if stat.S_ISLNK(found):
        if str(link.readlink()) != target:
            raise FolderError(
                "cannot prepare {id}: {path} links to {other} instead of {target}; remove the link",
                id=spec.id, path=link, other=link.readlink(), target=target,
            )  # fmt: skip
    elif stat.S_ISREG(found):
        _move_database_in(spec, link, real, owner)
        _make_link(link, target)
    else:
        raise FolderError("{path} is in the way: it is not a file; move it away", path=link)


def _make_link(link: Path, target: str) -> None:
    link.symlink_to(target)
    ownership.give_to_folder_owner(link)


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
            id=spec.id, pid=user, path=link,
        )  # fmt: skip
    for suffix in reversed(SQLITE_SUFFIXES):  # the main file last: until then the old place is complete
        source = link.with_name(link.name + suffix)
        if source.is_file() and not source.is_symlink():
            destination = real.with_name(real.name + suffix)
            source.rename(destination)
            if os.geteuid() == 0:
                os.chown(destination, *owner, follow_symlinks=False)


def process_with_open(path: Path) -> int | None:
    """The pid of some process that has the file open, as far as we may see."""
    return processes_with_open([path]).get(path)


def processes_with_open(paths: Iterable[Path]) -> dict[Path, int]:
    """The same of many files that are there, in one look at all processes."""
    wanted = {key: path for path in paths if (key := _identity(path)) is not None}
    found: dict[Path, int] = {}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        for descriptor in _descriptors(process):
            key = _identity(descriptor)
            if key is not None and key in wanted:
                found[wanted[key]] = int(process.name)
    return found


def _descriptors(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # gone, or somebody else's
        return []


def _identity(path: Path) -> tuple[int, int] | None:
    """What two paths of one file share; a descriptor that is closed meanwhile says nothing of the process's others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
