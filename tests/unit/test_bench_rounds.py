"""The benchmark's default run keeps to its time."""

from __future__ import annotations

import math
import time

import pytest

from bench.measure import alternating


@pytest.mark.parametrize(("no_round_after", "rounds"), [(-1.0, 1), (math.inf, 3)])
def test_there_is_one_round_at_least_and_none_begins_when_the_time_is_over(
    no_round_after: float, rounds: int
) -> None:
    samples = alternating({"ours": lambda: 1.0, "theirs": lambda: 2.0}, 3, time.monotonic() + no_round_after)
    assert [len(sample.values) for sample in samples.values()] == [rounds, rounds]
