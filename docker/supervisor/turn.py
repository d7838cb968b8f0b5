"""Wait for the turn of a start: many bots of one exchange that start at one moment get their common address
banned.

The manager writes it into the secrets folder, which no bot can write to: no other container can hold this
one up.
"""

import math

from supervisor import files, json_text

MAX_BYTES = 4096
MOST_S = 600.0  # no file keeps a bot from starting for longer
GIVEN_FOR_S = 120.0  # the manager starts a container within this time after it has given the turn


def wait_s(path: str, now: float, started_before: float | None = None) -> float:
    """Return the seconds until the bot may start: 0 without a file, or with one that cannot be used.

    `now`: seconds since the epoch. A turn that the manager has just given counts, once. Otherwise the engine,
    or a person at it, has started the container, perhaps with all others: then the phase counts.
    `started_before`: when this container was started before, which has used a turn given by then.
    """
    try:
        content = json_text.loads(files.read_small(path, MAX_BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return 0.0
    if not isinstance(content, dict):
        return 0.0
    given, turn = _number(content.get("turn_given")), _number(content.get("turn"))
    is_new = given is not None and 0 <= now - given <= GIVEN_FOR_S
    if is_new and started_before is not None and given is not None:
        is_new = started_before < given  # else the engine came back soon after that start
    wait = turn - now if is_new and turn is not None else _number(content.get("phase")) or 0.0
    return wait if 0 < wait <= MOST_S else 0.0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
