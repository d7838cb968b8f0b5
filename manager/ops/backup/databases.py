"""Copy an instance's database folder. The bot owns the folder and may be hostile: see copier.py.

SQLite databases are copied consistently while they are being written; other files are copied as they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from manager.config.spec import BOT_ID
from manager.errors import ManagerError
from manager.i18n import Text, mark
from manager.ops.backup import scan
from manager.ops.backup.scan import SourceFile
from manager.typed import NamedTuple
from manager.util.formatting import MIB, file_size, size_beyond
from manager.util.real_path import real_path

CHUNK = MIB
DISK_MARGIN = 64 * MIB
MOVED_ASIDE = re.compile(r".+\.before-restore-\d{8}-\d{6}(-\d+)?(-interrupted)?(-\d+)?")
"""What a restore, or a move back, has left beside what it put there."""
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


Rows = Mapping[str, int]
"""Table → how many rows it has. Of a database with very many tables, some of them."""


class CopiedFile(NamedTuple):
    """Hold a copied file.

    `how`: `snapshot`, `steps` or `whole` for a database, `file` for anything else. `rows`: of a database.
    """

    source: SourceFile
    path: Path
    how: str
    rows: Rows | None = None


class CopyResult(NamedTuple):
    """Hold the result for one folder: the copies, what was left out and why, and what failed."""

    copied: tuple[CopiedFile, ...] = ()
    left_out: tuple[tuple[str, Text], ...] = ()
    faults: tuple[tuple[str, Text], ...] = ()


class _Copied(NamedTuple):
    """Hold what the copier says about a database that it has copied, or only checked."""

    how: str
    rows: Rows


def copy_folder(
    instance: str, folder: Path, work: Path, *, plain: bool = True, expected: Collection[str] = ()
) -> CopyResult:
    """Copy an instance's database folder into `work`; nothing if it does not exist yet.

    Databases come first, so that no other file takes their space. `plain`: the files that are no databases
    too. `expected`: the databases that the instance is known to have. Raises CopyError if the folder itself
    cannot be read.
    """
    try:
        try:
            owner = folder.lstat()
        except FileNotFoundError:
            return CopyResult()
        if not stat.S_ISDIR(owner.st_mode):
            raise CopyError("{path} is not a folder", path=folder)
        scanned = scan.scan(instance, folder, expected)
    except OSError as error:
        raise _unreadable(folder, error) from error
    fitting, too_large = _fitting(scanned.databases, shutil.disk_usage(work).free)
    user = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 and owner.st_uid != 0 else None
    copies, damaged = _database_copies(folder, user, fitting, work)
    try:
        copied, faults = _plain_copies(folder, scanned.others if plain else [], work)
    except OSError as error:
        raise _unreadable(folder, error) from error
    return CopyResult(
        (*copies, *copied), tuple(scanned.left_out), (*scanned.faults, *too_large, *damaged, *faults)
    )


def copy_database(path: Path, work: Path) -> CopyResult:
    """Copy one database of the manager's own into `work`; nothing if there is none. Raises CopyError."""
    try:
        file = scan.inspect_database(path)
    except FileNotFoundError:
        return CopyResult()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not file.is_database:
        return CopyResult(faults=((file.name, Text("not a SQLite database")),))
    fitting, too_large = _fitting([file], shutil.disk_usage(work).free)
    copies, damaged = _database_copies(real_path(path).parent, None, fitting, work)
    return CopyResult(tuple(copies), (), (*too_large, *damaged))


def _unreadable(path: Path, error: OSError) -> CopyError:
    return CopyError("cannot read {path}: {why}", path=error.filename or path, why=error.strerror or error)


def _fitting(databases: list[SourceFile], free: int) -> tuple[list[SourceFile], list[tuple[str, Text]]]:
    """Return the databases that fit on the disk, smallest first, and the faults of the others."""
    fitting, too_large, remaining = [], [], free - DISK_MARGIN
    for file in sorted(databases, key=lambda file: file.total_size):
        remaining -= file.total_size
        if remaining >= 0:
            fitting.append(file)
        else:
            why = Text(
                "the copy needs {needed} of disk space, but only {free} are free",
                needed=size_beyond(file.total_size + DISK_MARGIN, free),
                free=file_size(free),
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
    copies, faults = [], []
    for file, target, result in zip(databases, targets, answers, strict=True):
        if isinstance(result, Text):
            result = _copied_elsewhere(folder, user, file, target, result)
        if isinstance(result, Text):
            faults.append((file.name, result))
        else:
            copies.append(
                CopiedFile(file._replace(size=target.stat().st_size), target, result.how, result.rows)
            )
    return copies, faults


def _copied_elsewhere(
    folder: Path, user: tuple[int, int] | None, file: SourceFile, target: Path, fault: Text
) -> Text | _Copied:
    """Copy a database that cannot be opened where it is from a copy of its files; the fault if that fails.

    To be opened, one that its bot has left needs some kilobytes beside it (a `-shm`, or room to roll a
    transaction back), which a full disk does not have. Its files must not change meanwhile.
    """
    if fault.message != FAULTS["unreadable"]:
        return fault
    raw = target.with_suffix(".raw")
    try:
        raw.mkdir(mode=0o700)
        before = _stamps(folder, file.name)
        for suffix, (_inode, size, _written) in before.items():
            _copy_plain(folder, f"{file.name}{suffix}", size, raw / f"copy{suffix}")
        if _stamps(folder, file.name) != before:
            return fault
        if user is not None:
            for path in (*raw.iterdir(), raw):
                os.chown(path, *user)
        target.unlink(missing_ok=True)
        job = {"source": "copy", "target": str(target), "most": file.total_size + DISK_MARGIN}
        [result] = _run_copier(raw, user, [job], file.total_size)
        return fault if isinstance(result, Text) else result
    except OSError:
        return fault
    finally:
        shutil.rmtree(raw, ignore_errors=True)


def _stamps(folder: Path, name: str) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether a database's files change: suffix → inode, size, time of the last write."""
    stamps = {}
    for suffix in ("", "-wal", "-journal"):
        with suppress(FileNotFoundError):
            status = (folder / f"{name}{suffix}").stat(follow_symlinks=False)
            stamps[suffix] = status.st_ino, status.st_size, status.st_mtime_ns
    return stamps


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    with path.open("rb") as stream:
        return stream.read(len(scan.MAGIC)) == scan.MAGIC


def check_database(database: Path, work: Path) -> Text | None:
    """Return why a copy of a database is invalid, or None.

    `work`: an empty folder to confine the check to.
    """
    result = count_rows(database, work)
    return result if isinstance(result, Text) else None


def count_rows(database: Path, work: Path) -> Rows | Text:
    """Return how many rows each table of a copy has, or why the copy is invalid.

    `work`: an empty folder to confine the check to.
    """
    size = database.stat().st_size
    user = (BOT_ID, BOT_ID) if os.geteuid() == 0 else None
    (result,) = _run_copier(work, user, [{"source": None, "target": str(database), "most": 0}], size)
    return result if isinstance(result, Text) else result.rows


def _run_copier(
    root: Path, user: tuple[int, int] | None, jobs: list[dict[str, object]], size: int
) -> list[Text | _Copied]:
    """Return the copier's result for each job, or the fault."""
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
    lines: list[Text | _Copied] = [_answer(line) for line in process.stdout.splitlines()[: len(jobs)]]
    last = (process.stderr.strip().splitlines() or [str(Text("exit code {code}", code=process.returncode))])[
        -1
    ]
    return lines + [Text("the copy failed: {why}", why=last[:300])] * (len(jobs) - len(lines))


def _answer(line: str) -> Text | _Copied:
    result = json.loads(line)
    if "fault" in result:
        why = " ".join(str(result["why"]).splitlines())  # it may name an index, which the bot has named
        return Text(FAULTS[result["fault"]], why=why[:300])
    return _Copied(str(result["how"]), dict(result["rows"]))


def _plain_copies(
    folder: Path, files: list[SourceFile], work: Path
) -> tuple[list[CopiedFile], list[tuple[str, Text]]]:
    """Copy the files that are not databases, opening each folder on the way without following a symlink."""
    copies: list[CopiedFile] = []
    faults: list[tuple[str, Text]] = []
    for number, file in enumerate(files):
        target = work / f"{number}.file"
        try:
            _copy_plain(folder, file.name, file.size, target)
        except OSError as error:
            faults.append((file.name, Text("{why}", why=error.strerror)))
        else:
            copies.append(CopiedFile(file._replace(size=target.stat().st_size), target, "file"))
    return copies, faults


def _copy_plain(folder: Path, name: str, size: int, target: Path) -> None:
    *parents, last = name.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        source = scan.open_file(last, at)
    finally:
        os.close(at)
    with open(source, "rb", buffering=0) as stream, target.open("xb") as copy:  # noqa: PTH123 - a descriptor
        while size and (
            chunk := stream.read(min(CHUNK, size))
        ):  # not more than its initial size: the bot may write forever
            copy.write(chunk)
            size -= len(chunk)
