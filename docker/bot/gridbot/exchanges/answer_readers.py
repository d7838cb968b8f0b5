"""Name the reader of each exchange's answers."""

from __future__ import annotations

from collections.abc import Mapping

from gridbot.exchanges.answers import Answers
from gridbot.exchanges.answers_apex import Apex
from gridbot.exchanges.answers_aster import Aster
from gridbot.exchanges.answers_backpack import Backpack
from gridbot.exchanges.answers_lighter import Lighter
from gridbot.exchanges.answers_paradex import Paradex

READERS: Mapping[str, type[Answers]] = {
    "backpack": Backpack,
    "aster": Aster,
    "paradex": Paradex,
    "lighter": Lighter,
    "apex": Apex,
}
