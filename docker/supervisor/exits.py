"""Keep the bot's last exits in a file of their own, so that a loop of crashes is counted whole by whoever
looks once a minute, or tomorrow.

It outlives a user's start, which removes the state file.
"""

from _collections_abc import Mapping

from supervisor import files, json_text
from supervisor.state import is_within

MAX_EXITS = 50
MAX_BYTES = 1 << 16
MAX_DEPTH = 10


def add(path: str, ending: Mapping[str, object], began: float | None) -> None:
    """Add an exit, and drop the oldest ones. `began`: when that bot was started, None if it could not be.

    Raises OSError.
    """
    entry = {"began": began, "at": ending["at"], "why": ending["why"], "reason": ending["reason"]}
    exits = [*_kept(path), entry][-MAX_EXITS:]
    while len(content := _encoded(exits)) > MAX_BYTES and exits:
        exits = exits[1:]
    files.replace(path, content, durable=False)


def _encoded(exits: list[object]) -> bytes:
    return json_text.dumps({"exits": exits}).encode() + b"\n"


def _kept(path: str) -> list[object]:
    """Return the exits in the file; none where the bot, which can write there too, left something else."""
    try:
        kept = json_text.loads(files.read_small(path, MAX_BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return []
    exits = kept.get("exits") if isinstance(kept, dict) else None
    return exits if isinstance(exits, list) and is_within(exits, MAX_DEPTH) else []
