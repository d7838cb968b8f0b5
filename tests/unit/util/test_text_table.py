"""What is cut on a narrow terminal, and what never is."""

from __future__ import annotations

import re

import pytest

from manager.util import text_table
from manager.util.text_table import cut

TOTAL = "total: 4 running; P&L live +1234.56 USDC, synthetic -10.94 USDC; CPU 6.2%"


@pytest.mark.parametrize("room", range(1, len(TOTAL) + 2))
def test_no_number_is_cut(room: int) -> None:
    """`-10.9…` would be read as another amount."""
    shown = cut(TOTAL, room)
    assert len(shown) <= max(room, 2)
    assert not shown.removesuffix("…").endswith(("+", "-"))
    assert set(re.findall(r"[-+]?[\d.]*\d", shown)) <= set(re.findall(r"[-+]?[\d.]*\d", TOTAL))


def test_words_are_cut_anywhere() -> None:
    assert cut("the exchange does not answer", 10) == "the excha…"
    assert cut("short", 5) == "short"


@pytest.mark.parametrize("room", range(8, 30))
def test_a_wrapped_note_breaks_no_number_that_has_room(room: int) -> None:
    """Chinese sentences have no spaces: they are broken anywhere, and half a price reads as another one."""
    lines = text_table.wrapped("價格157.525高於上限156.75；剩餘部位：-0.3 SOL", room)
    assert all(text_table.width(line) <= room for line in lines)
    assert {"157.525", "156.75", "-0.3"} <= {
        number for line in lines for number in re.findall(r"-?[\d.]+", line)
    }
