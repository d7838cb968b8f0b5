"""Tell what of the account's position is not this bot's: others', and that of the fleet's other bots.

The manager hands over what the fleet's other bots on the same account and market hold by their records. It
changes while they trade, and is a few seconds old; so a difference that it explains a moment later is none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from gridbot.config.settings import Settings
from gridbot.model.types import ZERO
from gridbot.runtime import handed_file

# The name under which the run's part that others hold is stored.
OTHERS = "others_position"
# An older report counts as none: then it is unknown what the others hold, and whether there is a difference.
WORDS_WITHIN_S = 120.0
# Stored beside it where that part does not contain what the fleet's other bots hold.
APART_FROM_BOTS = "others_are_apart_from_bots"
MOST = Decimal(10) ** 15
Facts = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class OthersPosition:
    """Hold what the fleet's other bots hold together, and since when that is not known to have changed."""

    position: Decimal
    at: float

    def is_of(self, now: float, within: float) -> bool:
        """Tell whether it is at most `within` seconds old; one from ahead of this clock is as old."""
        return abs(now - self.at) <= within


def read_others_position(path: Path | None) -> OthersPosition | None:
    """Return what the manager has handed over, None where no other bot trades there or nothing is known."""
    try:
        raw = json.loads(handed_file.read(path)) if path is not None else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    position, at = _number(raw.get("position")), _number(raw.get("at"))
    return None if position is None or at is None else OthersPosition(position, float(at))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) <= MOST else None


def bots_position(settings: Settings) -> Decimal | None:
    """Return what the fleet's other bots hold, as a program was told or the manager hands over."""
    if settings.other_bots_position is not None:
        return settings.other_bots_position
    word = read_others_position(settings.others_file)
    return None if word is None else word.position


def held_by_others(settings: Settings, fact: Facts, bots: Decimal | None) -> Decimal | None:
    """Return what is not this bot's, None where nothing was compared yet.

    `fact` returns what is stored with the run, `bots` is what the fleet's other bots hold; None for none.
    What a run found at its beginning counts no more where other bots' part was in it, and has changed since.
    """
    if settings.others_position is not None:
        return settings.others_position + (bots or ZERO)
    stored = fact(OTHERS)
    if bots is None or stored is None:
        return bots if stored is None else Decimal(stored)
    return Decimal(stored) + bots if fact(APART_FROM_BOTS) else bots


def own_part(settings: Settings, fact: Facts, account: Decimal | None, own: Decimal) -> Decimal | None:
    """Return what of the account's position is this bot's, whose trades make `own`; None if that is unknown.

    What other bots of the fleet hold is older than the account's position: they may have traded since, and
    one that was killed has left orders that were filled since. So beside them the account confirms a record,
    or says nothing.
    """
    if account is None:
        return None
    if settings.other_bots_position is None:
        word = read_others_position(settings.others_file)
        if word is not None and not word.is_of(time.time(), WORDS_WITHIN_S):
            return None
    bots = bots_position(settings)
    part = account - (held_by_others(settings, fact, bots) or ZERO)
    return part if bots is None or part == own else None
