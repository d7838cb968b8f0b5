"""Read the halt mark: a file in the secrets folder that keeps the bot from being started.

The manager creates it. The tombstone of an instance that was moved to another machine is such a mark as well.
The folder is mounted read-only, so that a bot can neither remove nor create them.
"""

import os

from supervisor import files, json_text
from supervisor.reasons import Reason

MAX_BYTES = 4096
_WORDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def read(path: str) -> Reason | None:
    """Return the mark as the reason `halted`; None when there is no mark.

    A mark that is empty, cannot be read or has an unknown content counts, because a halt must not depend on
    its content.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return Reason("halted", by="", nonce="")
    try:
        content = json_text.loads(files.read_small(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {}
    return Reason("halted", by=_word(content.get("by")), nonce=_word(content.get("nonce")))


def _word(value: object) -> str:
    return value[:64] if isinstance(value, str) and _WORDS.issuperset(value) else ""
