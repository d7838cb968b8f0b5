"""What the page is told: a bot may report anything, and nothing unknown is 0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from manager.fleet.bot_report import parse_report
from manager.web.engine_side import answers
from manager.web.engine_side.figures import Figures
from manager.web.engine_side.observer import PageSnapshot
from manager.web.engine_side.sums import PARTS
from manager.web.web_side.models import Fleet as FleetAnswer
from manager.web.web_side.models import Instance as InstanceAnswer
from tests.builders import a_fleet, some_figures
from tests.web.served import a_bot


@pytest.mark.parametrize(
    ("reported", "bounds"),
    [
        ({"lower": "140", "upper": 180}, (Decimal(140), Decimal(180))),
        ({"lower": None, "upper": "x"}, (None, None)),
        ({}, (None, None)),
        ([1, 2], (None, None)),
        (None, (None, None)),
        ({"lower": [140], "upper": {"x": 1}}, (None, None)),
    ],
)
def test_a_range_is_read_as_carefully_as_all_else(reported: Any, bounds: tuple[Decimal | None, ...]) -> None:
    report = parse_report({"range": reported})
    assert (report.lower, report.upper) == bounds


@pytest.mark.parametrize(("lower", "upper"), [("180", "140"), ("5", "5"), (None, "5")])
def test_bounds_that_are_no_range_are_not_drawn(lower: str | None, upper: str) -> None:
    row = some_figures()._replace(report=parse_report({"range": {"lower": lower, "upper": upper}}))
    [told] = answers.instances(PageSnapshot(a_fleet(), [row]), Figures())
    assert told["range"] is None


def test_every_key_is_described_and_every_description_is_a_key() -> None:
    look = PageSnapshot(a_fleet(), [some_figures(pnl="1", quote="USDC")])
    [told] = answers.instances(look, Figures())
    assert set(told) == set(InstanceAnswer.model_fields)
    assert set(answers.fleet(look, Figures())) == set(FleetAnswer.model_fields)


def test_before_the_first_look_nothing_is_known_rather_than_0() -> None:
    told = answers.fleet(PageSnapshot(a_fleet()), Figures())
    assert told["looked_at"] is None
    assert told["pnl"] == []
    assert answers.curves(Figures()) == {"begin": None, "end": None, "curves": [], "notes": []}


def test_a_live_bot_that_reports_invented_prices_is_in_no_live_sum() -> None:
    row = some_figures(mode="live", pnl="99", quote="USDC", position="3", base="SOL", market="synthetic")
    told = answers.fleet(PageSnapshot(a_fleet(), [row]), Figures())
    assert [(pnl["kind"], pnl["run"]) for pnl in told["pnl"]] == [("synthetic", "99")]
    assert told["exposure"] == []


def test_the_pnl_of_the_present_runs_is_split_into_its_parts() -> None:
    parts = {"quote": "USDC", "realized": "12", "unrealized": "-1.5", "fees": "0.25"}
    rows = [a_bot("a", pnl="10.25", **parts), a_bot("b", pnl="10.25", **parts)]
    paper = a_bot("c", mode="paper", pnl="5", quote="USDC")
    [live, other] = answers.fleet(PageSnapshot(a_fleet(), [*rows, paper]), Figures())["pnl"]
    assert (live["run"], live["realized"], live["unrealized"], live["fees"]) == (
        "20.50",
        "24",
        "-3.0",
        "0.50",
    )
    assert (other["run"], other["realized"]) == ("5", None)  # one that does not say, says nothing of the sum
    without = a_bot("d", pnl="1", quote="USDC", realized="1")
    [live] = answers.fleet(PageSnapshot(a_fleet(), [*rows, without]), Figures())["pnl"]
    assert [live[key] for key in ("run", *PARTS)] == ["21.50", "25", None, None]
