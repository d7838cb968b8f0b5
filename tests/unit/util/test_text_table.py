"""What is cut on a narrow terminal, and what never is."""

from __future__ import annotations

import re

import pytest

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
