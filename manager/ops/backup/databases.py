"""An instance's database folder → copies in a folder of ours. The bot owns the folder, and may be hostile: see copier.py.

SQLite databases are copied consistently while they are written; whatever else lies there is copied as it is.
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
ATTENDANTS = ("-wal", "-shm", "-journal")
"""Beside a database: what is in them is in the copy."""

MOST_FILES = 1000
MOST_DEPTH = 8
MOST_PLAIN_BYTES = 64 * MIB
"""Of an instance's files that are no databases: they may be torn when they are copied while they are written."""
CHUNK = MIB
MARGIN = 64 * MIB
"""What a database may grow by between the look at its size and the copy, and what is left free on the disk."""
START_S = 120
MARGIN_S = 5
SLOWEST = 2_000_000
"""Bytes a second. A copy and its check that are slower are stuck: a bot can put a pipe where its database was."""

COPIER = Path(__file__).with_name("copier.py")

FAULTS: Mapping[str, str] = {
    "damaged": mark("the database is damaged: {why}"),
    "locked": mark("its bot has kept the database locked for {why}"),
    "link": mark("{why} leads out of its folder"),
    "ended": mark("the copy ended with {why}"),
    "unreadable": mark("SQLite says: {why}"),
}


class CopyError(ManagerError):
    """An instance's files that could not all be saved."""


class Found(NamedTuple):
    """A file of a database folder. `name` is relative to the folder; `attended` counts its `-wal` too."""

    name: str
    size: int
    attended: int
    mode: int
    is_database: bool


class Copy(NamedTuple):
    """A file as it was copied: `how` is `snapshot`, `steps` or `whole` for a database, `file` for anything else."""

    found: Found
    path: Path
    how: str


class Copies(NamedTuple):
    """What became of one folder: the copies, what was left out and why, and what failed."""

    done: tuple[Copy, ...] = ()
    left_out: tuple[tuple[str, Text], ...] = ()
    faults: tuple[tuple[str, Text], ...] = ()


def member(instance: str, name: str) -> str:
    """What a file of a database folder is called in a backup."""
    return f"database/{instance}/{name}"


def copied(instance: str, folder: Path, work: Path) -> Copies:
    """Copies everything of an instance's database folder into `work`; nothing where there is none, for an instance that never ran.

    Raises CopyError where the folder itself cannot be read.
    """
    left_out: list[tuple[str, Text]] = []
    try:
        try:
            owner = folder.lstat()
        except FileNotFoundError:
            return Copies()
        if not stat.S_ISDIR(owner.st_mode):
            raise CopyError("{path} is not a folder", path=folder)
        found = _worth_it(instance, _found(folder, left_out), left_out)
        plain, faults = _plain_copies(folder, [each for each in found if not each.is_database], work)
    except OSError as error:
        raise CopyError(
            "cannot read {path}: {why}", path=error.filename or folder, why=error.strerror or error
        ) from error
    fitting, too_large = _fitting([each for each in found if each.is_database], shutil.disk_usage(work).free)
    user = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 and owner.st_uid != 0 else None
    done, damaged = _database_copies(folder, user, fitting, work)
    return Copies((*plain, *done), tuple(left_out), (*faults, *too_large, *damaged))


def _worth_it(instance: str, found: Iterable[Found], left_out: list[tuple[str, Text]]) -> list[Found]:
    """Without names that no backup can have, and with what is no database only as long as it is little."""
    kept, left = [], MOST_PLAIN_BYTES
    for each in found:
        if not is_allowed(member(instance, each.name)):
            left_out.append((each.name, Text("its name is too long")))
        elif not each.is_database and each.size > left:
            left_out.append(
                (
                    each.name,
                    Text(
                        "such files, which are no databases, are more than {limit} MiB",
                        limit=MOST_PLAIN_BYTES // MIB,
                    ),
                )
            )
        else:
            left -= 0 if each.is_database else each.size
            kept.append(each)
    return kept


def _fitting(databases: list[Found], free: int) -> tuple[list[Found], list[tuple[str, Text]]]:
    """Those for which there is room, the smallest first, and what to say of the others."""
    fitting, too_large, left = [], [], free - MARGIN
    for each in sorted(databases, key=lambda each: each.attended):
        left -= each.attended
        if left >= 0:
            fitting.append(each)
        else:
            why = Text(
                "needs {needed} MiB of disk for the copy, {free} MiB are free",
                needed=(each.attended + MARGIN) // MIB,
                free=free // MIB,
            )
            too_large.append((each.name, why))
    return fitting, too_large


def _database_copies(
    folder: Path, user: tuple[int, int] | None, databases: list[Found], work: Path
) -> tuple[list[Copy], list[tuple[str, Text]]]:
    targets = [work / f"{number}.db" for number in range(len(databases))]
    jobs: list[dict[str, object]] = [
        {"source": each.name, "target": str(target), "most": each.attended + MARGIN}
        for each, target in zip(databases, targets, strict=True)
    ]
    answers = _by_copier(folder, user, jobs, sum(each.attended for each in databases))
    done, faults = [], []
    for each, target, said in zip(databases, targets, answers, strict=True):
        if isinstance(said, Text):
            faults.append((each.name, said))
        else:
            done.append(Copy(each._replace(size=target.stat().st_size), target, said))
    return done, faults


def is_database(path: Path) -> bool:
    """Whether a file of ours is a SQLite database."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def fault_of(database: Path, work: Path) -> Text | None:
    """Why a copy of a database is not sound. `work`: an empty folder, which is all that its check gets to see."""
    size = database.stat().st_size
    user = (BOT_ID, BOT_ID) if os.geteuid() == 0 else None
    (said,) = _by_copier(work, user, [{"source": None, "target": str(database), "most": 0}], size)
    return said if isinstance(said, Text) else None


def _by_copier(
    root: Path, user: tuple[int, int] | None, jobs: list[dict[str, object]], size: int
) -> list[Text | str]:
    """What the copier says of each job: how it was copied, or the fault."""
    if not jobs:
        return []
    seconds = START_S + size // SLOWEST
    order = json.dumps({"root": str(root), "user": user, "seconds": seconds, "jobs": jobs})
    try:
        run = subprocess.run(
            [sys.executable, "-I", "-S", str(COPIER)], input=order, capture_output=True, text=True, env={},
            check=False, timeout=seconds + MARGIN_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [Text("the copy was not done after {seconds} s", seconds=seconds)] * len(jobs)
    lines = [_answer(line) for line in run.stdout.splitlines()[: len(jobs)]]
    last = (run.stderr.strip().splitlines() or [str(Text("exit code {code}", code=run.returncode))])[-1]
    return lines + [Text("the copy failed: {why}", why=last[:300])] * (len(jobs) - len(lines))


def _answer(line: str) -> Text | str:
    said = json.loads(line)
    if "fault" in said:
        return Text(FAULTS[said["fault"]], why=str(said["why"])[:300])
    return str(said["how"])


def _found(folder: Path, left_out: list[tuple[str, Text]]) -> Iterator[Found]:
    """The regular files below a folder, following no link. What is passed over is named in `left_out`."""
    count = 0
    for root, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        inside = os.path.relpath(root, folder)
        prefix = "" if inside == "." else f"{inside}/"
        if prefix.count("/") >= MOST_DEPTH:
            left_out += [
                (f"{prefix}{each}/", Text("lies deeper than {limit} folders", limit=MOST_DEPTH))
                for each in folders
            ]
            folders.clear()
        folders.sort()
        names = set(files)
        for name in sorted(files):
            if _attends(name, names):
                continue
            if count == MOST_FILES:
                left_out.append(
                    (prefix + name, Text("and all that follow: more than {limit} files", limit=MOST_FILES))
                )
                return
            what = _look(prefix, name, names, descriptor, left_out)
            if what is not None:
                count += 1
                yield what


def _attends(name: str, names: set[str]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in ATTENDANTS)


def _look(
    prefix: str, name: str, names: set[str], folder: int, left_out: list[tuple[str, Text]]
) -> Found | None:
    shown = prefix + name
    if not shown.isprintable():
        left_out.append((ascii(shown), Text("its name cannot be printed")))
        return None
    try:
        descriptor = _opened(name, folder)
    except OSError as error:
        left_out.append((shown, Text("{why}", why=error.strerror)))
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            left_out.append((shown, Text("is not a regular file")))
            return None
        is_database = os.pread(descriptor, len(MAGIC), 0) == MAGIC
        # before it is opened as a database: closing a descriptor gives up all locks that a process has on the file
    finally:
        os.close(descriptor)
    attended = status.st_size
    if is_database and f"{name}-wal" in names:
        attended += os.stat(f"{name}-wal", dir_fd=folder, follow_symlinks=False).st_size
    return Found(shown, status.st_size, attended, stat.S_IMODE(status.st_mode), is_database)


def _opened(name: str, folder: int) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=folder)


def _plain_copies(folder: Path, files: list[Found], work: Path) -> tuple[list[Copy], list[tuple[str, Text]]]:
    """Copies of what is no database, each folder on the way opened without following a link."""
    done: list[Copy] = []
    faults: list[tuple[str, Text]] = []
    for number, each in enumerate(files):
        target = work / f"{number}.file"
        try:
            _copy_plain(folder, each.name, each.size, target)
        except OSError as error:
            faults.append((each.name, Text("{why}", why=error.strerror)))
        else:
            done.append(Copy(each._replace(size=target.stat().st_size), target, "file"))
    return done, faults


def _copy_plain(folder: Path, name: str, size: int, target: Path) -> None:
    *parents, last = name.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        source = _opened(last, at)
    finally:
        os.close(at)
    with open(source, "rb", buffering=0) as stream, target.open("xb") as copy:  # noqa: PTH123 - a descriptor
        while size and (
            chunk := stream.read(min(CHUNK, size))
        ):  # no more than it was: it may grow without end
            copy.write(chunk)
            size -= len(chunk)
