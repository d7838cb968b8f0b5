"""Keep the bot's last exits in a file of their own, so that a loop of crashes is counted whole by whoever
looks once a minute, or tomorrow.

It outlives a user's start, which removes the state file. It also says that a bot runs, so that the supervisor
after one that was killed counts the end that nobody could write down.
"""

# (pathlib is 0.8 MB of resident memory)

import os
from _collections_abc import Mapping

from supervisor import files, json_text, state
from supervisor.paths import Paths
from supervisor.reasons import Reason

MAX_EXITS = 50
MAX_BYTES = 1 << 16
MAX_DEPTH = 10


def begin(path: str, began: float) -> None:
    """Keep that a bot runs since then. Raises OSError."""
    _write(path, _exits(_kept(path)), began)


def add(path: str, ending: Mapping[str, object], began: float | None) -> None:
    """Add an exit, and drop the oldest ones. `began`: when that bot was started, None if it could not be.

    Raises OSError.
    """
    entry = {"began": began, "at": ending["at"], "why": ending["why"], "reason": ending["reason"]}
    _write(path, [*_exits(_kept(path)), entry], None)


def add_unseen(paths: Paths, now: float) -> bool:
    """Add the end of a bot that was killed together with its supervisor; return whether there was one.

    It has ended after the last sign of life that its files have. Raises OSError.
    """
    began = _kept(paths.exits_file).get("running_since")
    if not isinstance(began, float) or not 0 < began <= now:
        return False
    signs = [(state.load(paths.state_file) or {}).get("updated_at"), _modified(paths.report_copy)]
    at = max([began, *(sign for sign in signs if isinstance(sign, float) and began < sign <= now)])
    cause = Reason("container_ended")
    add(paths.exits_file, {"at": at, "why": str(cause), "reason": cause.as_json()}, began)
    return True


def _write(path: str, exits: list[object], running_since: float | None) -> None:
    exits = exits[-MAX_EXITS:]
    while len(content := _encoded(exits, running_since)) > MAX_BYTES and exits:
        exits = exits[1:]
    files.replace(path, content, durable=False)


def _encoded(exits: list[object], running_since: float | None) -> bytes:
    return json_text.dumps({"exits": exits, "running_since": running_since}).encode() + b"\n"


def _kept(path: str) -> Mapping[str, object]:
    """Return the file's content; nothing where the bot, which can write there too, left something else."""
    try:
        kept = json_text.loads(files.read_small(path, MAX_BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and state.is_within(kept, MAX_DEPTH + 1) else {}


def _exits(kept: Mapping[str, object]) -> list[object]:
    exits = kept.get("exits")
    return exits if isinstance(exits, list) else []


def _modified(path: str) -> float | None:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return None
