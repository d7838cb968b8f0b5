"""The real engine on each exchange's own shapes, 80 ticks with each fault alone; 200 with --long.

Always: one order at a level, and no position beyond max_position. At the end: account and ledger agree, and
nothing is left in the market.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import cases
from tests.bot.kits.apex import Apex
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.paradex import Paradex

KITS = (Apex, Paradex)
FAULTS = (
    None,
    "partial fills",
    "late fills",
    "duplicates",
    "out of order",
    "request lost",
    "answer lost",
    "rejected",
)
TICKS = 200 if cases.is_long else 80


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KITS, ids=lambda kind: kind.name)
def test_account_and_ledger_agree_after_a_walk(kind: type[Kit], fault: str | None, tmp_path: Path) -> None:
    kit = kind()
    kit.fault = fault
    kit.book.partial_fills = 0.7 if fault == "partial fills" else 0.0
    run = Run(kit, tmp_path)
    run.walk(TICKS)
    assert len(kit.book.fills) > 10, run.failures[:3]
    assert not run.failures or fault in ("request lost", "answer lost"), run.failures[:3]
    run.end()
