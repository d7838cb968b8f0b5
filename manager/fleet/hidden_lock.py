"""Say that this user may not look at an instance's lock: then nothing is known of its bot."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from manager.fleet.supervisor_state import LOCK_FILE
from manager.i18n import Text


def hidden_text(instance: str, state_dir: Path) -> Text | None:
    """Return that this user cannot look at the instance's lock, for an instance whose container is down.

    It counts as locked then, which is no knowledge that a bot runs.
    """
    lock = state_dir / LOCK_FILE
    with suppress(FileNotFoundError):
        try:
            can_be_seen = not stat.S_ISREG(lock.lstat().st_mode) or os.access(lock, os.R_OK)
        except PermissionError:
            can_be_seen = False
        if not can_be_seen:
            return Text(
                "{id}: whether another container runs its bot cannot be seen, because this user cannot read"
                " {path}; run the command as root, or as the user whose folder it is",
                id=instance,
                path=lock,
            )
    return None
