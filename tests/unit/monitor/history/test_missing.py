"""Of which times a bot's own database is asked."""

from __future__ import annotations

from decimal import Decimal

from manager.monitor.history import fill
from manager.monitor.history.model import Sample, Span


def test_it_is_asked_before_the_first_sample_in_the_gaps_and_after_the_last() -> None:
    samples = [Sample(at, "running", pnl=Decimal(1)) for at in (1000.0, 1060.0, 5000.0)]
    assert fill.missing(samples, [], 9000.0) == [
        Span(fill.BEGINNING, 1000.0),
        Span(1060.0, 5000.0),
        Span(5000.0, 9000.0),
    ]
    assert fill.missing([], [], 9000.0) == [Span(fill.BEGINNING, 9000.0)]
