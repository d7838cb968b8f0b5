"""Copy an instance's database folder. The bot owns the folder and may be hostile: see copier.py.

SQLite databases are copied consistently while they are being written; other files are copied as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from manager.config.spec import BOT_ID
from manager.errors import ManagerError
from manager.i18n import Text, mark
from manager.ops.backup.manifest import is_allowed
from manager.util.formatting import MIB

MAGIC = b"SQLite format 3\0"
SIDE_FILE_SUFFIXES = ("-wal", "-shm", "-journal")
"""Files beside a database, whose content the copy includes."""

MAX_FILES = 1000
MAX_DEPTH = 8
MAX_PLAIN_BYTES = 64 * MIB
"""Limit for an instance's files that are not databases. They may be inconsistent if copied during a write."""
CHUNK = MIB
DISK_MARGIN = 64 * MIB
"""Growth of a database allowed between measuring and copying, and the free space left on the disk."""
BASE_TIMEOUT_S = 120
TIMEOUT_MARGIN_S = 5
MIN_BYTES_PER_S = 2_000_000
"""A slower copy or check is taken to hang: a bot can replace its database by a pipe."""

COPIER = Path(__file__).with_name("copier.py")

FAULTS: Mapping[str, str] = {
    "damaged": mark("the database is damaged: {why}"),
    "locked": mark("the bot has kept the database locked for {why}"),
    "link": mark("{why} points outside its folder"),
    "ended": mark("the copy process exited with {why}"),
    "unreadable": mark("SQLite error: {why}"),
}


class CopyError(ManagerError):
    """Signal that an instance's files could not all be saved."""


class SourceFile(NamedTuple):
    """A file of a database folder. `name` is relative to it; `total_size` includes the `-wal`."""

    name: str
    size: int
    total_size: int
    mode: int
    is_database: bool


class CopiedFile(NamedTuple):
    """A copied file. `how`: `snapshot`, `steps` or `whole` for a database, `file` for anything else."""

    source: SourceFile
    path: Path
    how: str


class CopyResult(NamedTuple):
    """The result for one folder: the copies, what was left out and why, and what failed."""

    done: tuple[CopiedFile, ...] = ()
    left_out: tuple[tuple[str, Text], ...] = ()
    faults: tuple[tuple[str, Text], ...] = ()


def member_name(instance: str, name: str) -> str:
    """Return the name that a file of a database folder has in a backup."""
    return f"database/{instance}/{name}"


def copy_folder(instance: str, folder: Path, work: Path, *, plain: bool = True) -> CopyResult:
    """Copy an instance's database folder into `work`; nothing if it does not exist yet.

    `plain`: the files that are no databases too. Raises CopyError if the folder itself cannot be read.
    """
    left_out: list[tuple[str, Text]] = []
    try:
        try:
            owner = folder.lstat()
        except FileNotFoundError:
            return CopyResult()
        if not stat.S_ISDIR(owner.st_mode):
            raise CopyError("{path} is not a folder", path=folder)
        selected = _select(instance, _scan(folder, left_out), left_out)
        others = [file for file in selected if not file.is_database] if plain else []
        copied, faults = _plain_copies(folder, others, work)
    except OSError as error:
        raise CopyError(
            "cannot read {path}: {why}", path=error.filename or folder, why=error.strerror or error
        ) from error
    fitting, too_large = _fitting(
        [file for file in selected if file.is_database], shutil.disk_usage(work).free
    )
    user = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 and owner.st_uid != 0 else None
    done, damaged = _database_copies(folder, user, fitting, work)
    return CopyResult((*copied, *done), tuple(left_out), (*faults, *too_large, *damaged))


def _select(instance: str, files: Iterable[SourceFile], left_out: list[tuple[str, Text]]) -> list[SourceFile]:
    """Leave out names that a backup cannot contain, and plain files beyond their size limit."""
    selected, remaining = [], MAX_PLAIN_BYTES
    for file in files:
        if not is_allowed(member_name(instance, file.name)):
            left_out.append((file.name, Text("the file name is too long")))
        elif not file.is_database and file.size > remaining:
            left_out.append(
                (
                    file.name,
                    Text(
                        "files other than databases exceed {limit} MiB",
                        limit=MAX_PLAIN_BYTES // MIB,
                    ),
                )
            )
        else:
            remaining -= 0 if file.is_database else file.size
            selected.append(file)
    return selected


def _fitting(databases: list[SourceFile], free: int) -> tuple[list[SourceFile], list[tuple[str, Text]]]:
    """Return the databases that fit on the disk, smallest first, and the faults of the others."""
    fitting, too_large, remaining = [], [], free - DISK_MARGIN
    for file in sorted(databases, key=lambda file: file.total_size):
        remaining -= file.total_size
        if remaining >= 0:
            fitting.append(file)
        else:
            why = Text(
                "the copy needs {needed} MiB of disk space, but only {free} MiB are free",
                needed=(file.total_size + DISK_MARGIN) // MIB,
                free=free // MIB,
            )
            too_large.append((file.name, why))
    return fitting, too_large


def _database_copies(
    folder: Path, user: tuple[int, int] | None, databases: list[SourceFile], work: Path
) -> tuple[list[CopiedFile], list[tuple[str, Text]]]:
    targets = [work / f"{number}.db" for number in range(len(databases))]
    jobs: list[dict[str, object]] = [
        {"source": file.name, "target": str(target), "most": file.total_size + DISK_MARGIN}
        for file, target in zip(databases, targets, strict=True)
    ]
    answers = _run_copier(folder, user, jobs, sum(file.total_size for file in databases))
    done, faults = [], []
    for file, target, result in zip(databases, targets, answers, strict=True):
        if isinstance(result, Text):
            faults.append((file.name, result))
        else:
            done.append(CopiedFile(file._replace(size=target.stat().st_size), target, result))
    return done, faults


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def check_database(database: Path, work: Path) -> Text | None:
    """Return why a copy of a database is invalid, or None.

    `work`: an empty folder to confine the check to.
    """
    size = database.stat().st_size
    user = (BOT_ID, BOT_ID) if os.geteuid() == 0 else None
    (result,) = _run_copier(work, user, [{"source": None, "target": str(database), "most": 0}], size)
    return result if isinstance(result, Text) else None


def _run_copier(
    root: Path, user: tuple[int, int] | None, jobs: list[dict[str, object]], size: int
) -> list[Text | str]:
    """Return the copier's result for each job: how it was copied, or the fault."""
    if not jobs:
        return []
    seconds = BASE_TIMEOUT_S + size // MIN_BYTES_PER_S
    order = json.dumps({"root": str(root), "user": user, "seconds": seconds, "jobs": jobs})
    try:
        process = subprocess.run(
            [sys.executable, "-I", "-S", str(COPIER)],
            input=order,
            capture_output=True,
            text=True,
            env={},
            check=False,
            timeout=seconds + TIMEOUT_MARGIN_S,
        )
    except subprocess.TimeoutExpired:
        return [Text("the copy did not finish within {seconds} s", seconds=seconds)] * len(jobs)
    lines = [_answer(line) for line in process.stdout.splitlines()[: len(jobs)]]
    last = (process.stderr.strip().splitlines() or [str(Text("exit code {code}", code=process.returncode))])[
        -1
    ]
    return lines + [Text("the copy failed: {why}", why=last[:300])] * (len(jobs) - len(lines))


def _answer(line: str) -> Text | str:
    result = json.loads(line)
    if "fault" in result:
        return Text(FAULTS[result["fault"]], why=str(result["why"])[:300])
    return str(result["how"])


def _scan(folder: Path, left_out: list[tuple[str, Text]]) -> Iterator[SourceFile]:
    """Yield the regular files below a folder, without following symlinks. `left_out` collects the others."""
    count = 0
    for root, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        relative = os.path.relpath(root, folder)
        prefix = "" if relative == "." else f"{relative}/"
        if prefix.count("/") >= MAX_DEPTH:
            left_out += [
                (f"{prefix}{subfolder}/", Text("nested deeper than {limit} folders", limit=MAX_DEPTH))
                for subfolder in folders
            ]
            folders.clear()
        folders.sort()
        names = set(files)
        for name in sorted(files):
            if _is_side_file(name, names):
                continue
            if count == MAX_FILES:
                left_out.append(
                    (
                        prefix + name,
                        Text("this and all following files: more than {limit} files", limit=MAX_FILES),
                    )
                )
                return
            file = _inspect(prefix, name, names, descriptor, left_out)
            if file is not None:
                count += 1
                yield file


def _is_side_file(name: str, names: set[str]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SIDE_FILE_SUFFIXES)


def _inspect(
    prefix: str, name: str, names: set[str], folder: int, left_out: list[tuple[str, Text]]
) -> SourceFile | None:
    shown = prefix + name
    if not shown.isprintable():
        left_out.append((ascii(shown), Text("the file name contains unprintable characters")))
        return None
    try:
        descriptor = _open_file(name, folder)
    except OSError as error:
        left_out.append((shown, Text("{why}", why=error.strerror)))
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            left_out.append((shown, Text("not a regular file")))
            return None
        is_database = os.pread(descriptor, len(MAGIC), 0) == MAGIC
    finally:
        # Not in the process that opens the database: closing a descriptor drops its locks on the file.
        os.close(descriptor)
    total_size = status.st_size
    if is_database and f"{name}-wal" in names:
        total_size += os.stat(f"{name}-wal", dir_fd=folder, follow_symlinks=False).st_size
    return SourceFile(shown, status.st_size, total_size, stat.S_IMODE(status.st_mode), is_database)


def _open_file(name: str, folder: int) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=folder)


def _plain_copies(
    folder: Path, files: list[SourceFile], work: Path
) -> tuple[list[CopiedFile], list[tuple[str, Text]]]:
    """Copy the files that are not databases, opening each folder on the way without following a symlink."""
    done: list[CopiedFile] = []
    faults: list[tuple[str, Text]] = []
    for number, file in enumerate(files):
        target = work / f"{number}.file"
        try:
            _copy_plain(folder, file.name, file.size, target)
        except OSError as error:
            faults.append((file.name, Text("{why}", why=error.strerror)))
        else:
            done.append(CopiedFile(file._replace(size=target.stat().st_size), target, "file"))
    return done, faults


def _copy_plain(folder: Path, name: str, size: int, target: Path) -> None:
    *parents, last = name.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        source = _open_file(last, at)
    finally:
        os.close(at)
    with open(source, "rb", buffering=0) as stream, target.open("xb") as copy:  # noqa: PTH123 - a descriptor
        while size and (
            chunk := stream.read(min(CHUNK, size))
        ):  # not more than its initial size: the bot may write forever
            copy.write(chunk)
            size -= len(chunk)
