"""The position that a stopped bot has left: the exchange's figure before the bot's, of the last run only; and
of when the report is.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from manager.fleet import bot_report, supervisor_state
from manager.fleet.bot_report import Position

REPORT = {"contract": 2, "position": "-0.5", "base": "SOL"}
OF_BOT = Position(Decimal("-0.5"), "SOL")
OF_EXCHANGE = Position(Decimal("-0.6"), "SOL", is_of_exchange=True)


@pytest.mark.parametrize(
    ("kept", "report", "left"),
    [
        ({"run_ended": True}, {"position_at_exchange": "-0.6"}, OF_EXCHANGE),
        ({"run_ended": True}, {"position_at_exchange": None}, OF_BOT),
        ({"run_ended": True}, {"position_at_exchange": "soon"}, OF_BOT),
        ({"run_ended": True, "previous_run": True}, {"position_at_exchange": "-0.6"}, OF_BOT),
        ({"run_ended": False}, {"position_at_exchange": "-0.6"}, OF_BOT),
        ({"run_ended": True}, {"position": None}, None),
    ],
)
def test_whose_figure_counts(
    tmp_path: Path, kept: dict[str, Any], report: dict[str, Any], left: Position | None
) -> None:
    content = {**kept, "report": {**REPORT, **report}}
    (tmp_path / supervisor_state.REPORT_FILE).write_text(json.dumps(content))
    assert bot_report.position_left(tmp_path) == left


@pytest.mark.parametrize(
    ("at", "written_at", "read_at", "made_at"),
    [
        (1000.0, 1001.0, 1002.0, 1000.0),
        (9e9, 1001.0, 1002.0, 1002.0),
        (None, 1001.0, 1002.0, 1001.0),
        (1005.0, 1005.0, 1002.0, 1005.0),  # changed by the manager since
        (1000.0, 1001.0, None, 1000.0),
    ],
)
def test_a_report_is_not_from_after_it_was_read(
    tmp_path: Path, at: float | None, written_at: float, read_at: float | None, made_at: float
) -> None:
    content = {"written_at": written_at, "read_at": read_at, "report": {**REPORT, "at": at}}
    (tmp_path / supervisor_state.REPORT_FILE).write_text(json.dumps(content))
    kept_report = bot_report.read_kept(tmp_path)
    assert kept_report is not None
    assert kept_report.at == made_at
    assert kept_report.report.at == (None if at is None else made_at)
