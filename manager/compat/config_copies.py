"""Copy config files to `archived/`, each with its SHA-256 in a file beside it."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from datetime import datetime
from pathlib import Path

from manager.compat.config_errors import ConfigBackupError, ConfigRestoreError, reason
from manager.i18n import Text
from manager.util import atomic_file

NAME = re.compile(r"(.+)_backup_\d{8}_\d{6}(?:_\d+)?")

logger = logging.getLogger(__name__)


def make_copy(source: Path, folder: Path) -> Path:
    """Copy the file into the folder and return the copy's path. Raises ConfigBackupError."""
    try:
        content = source.read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        copied = _free(folder, f"{source.stem}_backup_{datetime.now():%Y%m%d_%H%M%S}")
        atomic_file.replace_bytes(_checksum_file(copied), _checksum(content).encode(), 0o644)
        atomic_file.replace_bytes(copied, content, 0o644)
        shutil.copystat(source, copied)
    except OSError as error:
        raise ConfigBackupError("cannot back up {file}: {why}", source, why=reason(error)) from error
    return copied


def original_name(copied: Path) -> str:
    """Return the name of the file that was copied. Raises ConfigRestoreError for an unexpected name."""
    match = NAME.fullmatch(copied.stem)
    if match is None:
        raise ConfigRestoreError("cannot determine from its name which file {file} is a copy of", copied)
    return f"{match[1]}.json"


def restore(copied: Path, target: Path) -> None:
    """Write a copy back atomically. Raises ConfigRestoreError if it is missing or damaged."""
    try:
        content, mode = copied.read_bytes(), copied.stat().st_mode & 0o777
        if not _checksum_file(copied).exists():
            logger.warning("%s", Text("{file} has no checksum file", file=copied))
        elif _checksum_file(copied).read_bytes().split()[:1] != [_checksum(content).encode()]:
            raise ConfigRestoreError("{file} is damaged: checksum mismatch", copied)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace_bytes(target, content, mode)
    except OSError as error:
        raise ConfigRestoreError("cannot restore {file}: {why}", copied, why=reason(error)) from error


def _free(folder: Path, stem: str) -> Path:
    """Return an unused path: two copies may be made within one second."""
    path, number = folder / f"{stem}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}_{number}.json"
    return path


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.checksum")
