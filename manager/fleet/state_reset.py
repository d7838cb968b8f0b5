"""Clear what a supervisor has left, before a user's start."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

from manager.errors import ManagerError
from manager.fleet import supervisor_state
from manager.fleet.supervisor_state import REPORT_FILE, STATE_FILE
from manager.util import atomic_file
from manager.util.trusted_folder import put_away_in_trusted


def require_resettable(state_dir: Path) -> None:
    """Raise ManagerError if `reset` would fail, before a bot is stopped that could not be started again."""
    if state_dir.exists() and not os.access(state_dir, os.W_OK | os.X_OK):
        raise ManagerError(
            "cannot remove {path}: {why}", path=state_dir / STATE_FILE, why=os.strerror(errno.EACCES)
        )


def reset(state_dir: Path) -> None:
    """Clear what a user's start clears: a final state and the restart counts. Raises ManagerError.

    The bot's last report stays, marked as that of an earlier run, until the new run writes its first. A final
    state must not reappear after a power failure: the supervisor would not start the bot.
    """
    before = supervisor_state.read(state_dir)
    names = (STATE_FILE,) if _keep_as_previous(state_dir / REPORT_FILE) else (STATE_FILE, REPORT_FILE)
    for name in names:
        path = state_dir / name
        try:
            put_away_in_trusted(path)
        except OSError as error:
            raise ManagerError(
                "cannot remove {path}: {why}", path=path, why=error.strerror or error
            ) from error
    if before is not None and before.state in supervisor_state.FINAL:
        atomic_file.sync_folder(state_dir)


def _keep_as_previous(path: Path) -> bool:
    """Mark the kept report as an earlier run's, as the supervisor does at each start. Whether that is done.

    What it says of orders goes: it must not be taken for what the next run leaves. A report that was no
    supervisor's copy (of contract 1) says nothing of whose it is, and one that cannot be marked on a full
    disk would pass for the new run's.
    """
    try:
        kept_report = supervisor_state.content(path)
        if not isinstance(kept_report, dict) or not isinstance(kept_report.get("report"), dict):
            return False
        marked = {**kept_report, "previous_run": True}
        marked.pop("open_orders_left", None)
        atomic_file.replace_bytes(path, json.dumps(marked).encode() + b"\n", 0o644, durable=False)
    except (OSError, ValueError, RecursionError):
        return False
    return True
