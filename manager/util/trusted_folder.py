"""Reach a folder that is written to, without being led elsewhere by another user's link.

Root runs the manager in projects of other users, who may replace `state`, `secrets` or `logs` at any moment.
A link is followed if root or the caller has made it, or if it leads to what belongs to its maker, such as a
disk for logs. The folder is then named by its descriptor, so that what is checked is what is written to.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from manager.i18n import Text

ROOT = 0
MAX_LINKS = 40
"""The kernel's own limit for one path."""

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_DESCRIPTORS = "/proc/self/fd"
"""Absent outside Linux: the folder is then checked, and reached by its path."""


@contextmanager
def trusted(folder: Path) -> Iterator[Path]:
    """Yield a path of the folder that leads nowhere else while it is used, for this process only.

    Raises OSError, with the name of a link that is not followed.
    """
    descriptor = _opened(folder)
    try:
        by_descriptor = f"{_DESCRIPTORS}/{descriptor}"
        yield Path(by_descriptor) if os.path.lexists(by_descriptor) else folder
    finally:
        os.close(descriptor)


def require_trusted(folder: Path) -> None:
    """Check a folder that others than this process write to. Raises OSError, unless it is missing."""
    try:
        os.close(_opened(folder))
    except FileNotFoundError:
        return


def open_in_trusted(path: Path, flags: int, mode: int = 0o600) -> int:
    """Return a descriptor of a file, which is no link itself. Raises OSError with its name."""
    with trusted(path.parent) as folder:
        try:
            return os.open(folder / path.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except OSError as error:
            error.filename = str(path)
            raise


def unlink_in_trusted(path: Path) -> None:
    """Remove a file if it is there. Raises OSError with its name."""
    try:
        with trusted(path.parent) as folder:
            os.unlink(folder / path.name)  # noqa: PTH108 - its error is named anew
    except FileNotFoundError:
        return
    except OSError as error:
        error.filename = error.filename if _is_about_link(error) else str(path)
        raise


def put_away_in_trusted(path: Path) -> None:
    """Remove it if it is there. A folder, which a bot can put there, is renamed. Raises OSError."""
    with suppress(FileNotFoundError), trusted(path.parent) as folder:
        put_away(folder / path.name)


def put_away(present: Path) -> None:
    """Remove it if it is there, in a folder that is trusted already. A folder is renamed. Raises OSError."""
    try:
        present.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if not stat.S_ISDIR(present.lstat().st_mode):
            raise
        present.rename(present.with_name(f"{present.name}.moved-{os.urandom(3).hex()}"))


def _is_about_link(error: OSError) -> bool:
    return error.errno == errno.ELOOP


def _opened(folder: Path) -> int:
    """Return a descriptor of the folder. Raises OSError."""
    descriptor = os.open(folder, _FOLDER)
    if _real_path(descriptor) == os.fspath(folder):  # without any link
        return descriptor
    os.close(descriptor)
    return _walked(folder)


def _real_path(descriptor: int) -> str | None:
    try:
        return os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115 - no path on any disk
    except OSError:
        return None


def _walked(folder: Path) -> int:
    """Open one folder after the other, and decide at each link. Raises OSError."""
    at = os.open("/" if folder.is_absolute() else ".", _FOLDER)
    try:
        names, links = _parts(os.fspath(folder)), 0
        makers: dict[int, str] = {}
        while names:
            name = names.pop(0)
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
                makers.setdefault(status.st_uid, name)
                target = os.readlink(name, dir_fd=at)
                names[:0] = _parts(target)
                if not target.startswith("/"):
                    continue
                name = "/"
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        _require_trusted(makers, os.fstat(at).st_uid, folder)
    except BaseException as error:
        os.close(at)
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            error.filename = str(folder)
        raise
    return at


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def trusted_target(path: Path) -> Path:
    """Return the path of the file that is meant, following links as for folders. Raises OSError."""
    target, makers = path, dict[int, str]()
    for _link in range(MAX_LINKS):
        try:
            status = target.lstat()
        except FileNotFoundError:
            status = target.parent.stat()
            break
        if not stat.S_ISLNK(status.st_mode):
            break
        makers.setdefault(status.st_uid, target.name)
        target = target.parent / target.readlink()
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    _require_trusted(makers, status.st_uid, path)
    return target


def _require_trusted(makers: Mapping[int, str], owner: int, path: Path) -> None:
    """Raise OSError if somebody's link leads to what is not theirs. `makers`: uid → name of a link."""
    for uid, name in makers.items():
        if uid not in (ROOT, os.geteuid(), owner):
            why = Text(
                "the symbolic link “{name}” of uid {uid} leads to what belongs to uid {owner}, and is not"
                " followed: replace it, or give the link to root with `chown -h`",
                name=name,
                uid=uid,
                owner=owner,
            )
            raise OSError(errno.ELOOP, str(why), str(path))
