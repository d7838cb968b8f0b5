"""What counts in the fleet's sums, and what counts elsewhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from manager.web.engine_side.figures import Figures, InstanceFigures
from manager.web.engine_side.sums import sums
from tests.builders import a_fleet

LIVE = ("live", "USDC")


def an_answer(instance: str, **changes: Any) -> dict[str, Any]:
    part = {"kind": "live", "quote": "USDC"}
    return {
        "id": instance,
        "mode": "live",
        "market": "live",
        "is_artificial": False,
        "mode_mismatch": None,
        "moved_to": None,
        "pnl": "10",
        "quote": "USDC",
        "realized": "4",
        "unrealized": "7",
        "fees": "1",
        "in_all": [{**part, "pnl": "100"}],
        "today": [{**part, "pnl": "1", "is_uncertain": False}],
        **changes,
    }


def of_fleet(*answers: dict[str, Any], figures: Figures | None = None) -> tuple[str, str, str]:
    """Return what the runs, all runs and today have earned."""
    [line] = sums(answers, figures or Figures(None), a_fleet())["pnl"]
    return line["run"], line["in_all"], line["today"]


def test_what_was_moved_to_another_machine_counts_there() -> None:
    assert of_fleet(an_answer("a"), an_answer("b", moved_to="tokyo")) == ("10", "100", "1")


def test_a_run_whose_mode_is_in_doubt_is_in_no_sum() -> None:
    """Its report may say paper money, and its container that it trades live."""
    assert of_fleet(an_answer("a"), an_answer("b", mode_mismatch="paper"))[0] == "10"


def test_a_removed_instance_has_earned_what_it_has() -> None:
    gone = InstanceFigures([], {LIVE: Decimal(5)}, {}, {}, None)
    figures = Figures(1.0, instances={"a": gone, "gone": gone})
    assert of_fleet(an_answer("a"), figures=figures)[1] == "105"
