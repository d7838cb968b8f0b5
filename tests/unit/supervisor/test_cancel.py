from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from supervisor.cancel import OrderCancel, figures, orders_left
from supervisor.loop import Loop
from supervisor.main import Supervisor
from supervisor.state import Record
from supervisor.timings import Timings
from tests.unit.supervisor.journals import RecordedJournal


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (['{"open_orders_left": 0}'], 0),
        (["cancelling", '{"open_orders_left": 3}', "done", ""], 3),
        (['{"open_orders_left": 0}', '{"open_orders_left": 2}'], 2),
        (['{"open_orders_left": 0}', "{"], 0),
        (['{"open_orders_left": 0}', '{"other": 1}'], None),
        (['{"open_orders_left": null}'], None),
        (['{"open_orders_left": true}'], None),
        (['{"open_orders_left": -1}'], None),
        (['{"open_orders_left": "0"}'], None),
        (["0"], None),
        (["{" * 500], None),
        ([], None),
    ],
)
def test_the_answer(lines: list[str], left: int | None) -> None:
    assert orders_left(lines) == left


def test_what_is_left_may_be_said_on_a_line_before() -> None:
    report = '{"report": {"position": "0.2"}}'
    assert figures([report, '{"open_orders_left": 0}']) == {"position": "0.2"}
    assert figures(['{"report": 1}', "{", '{"open_orders_left": 0}']) == {}


def test_only_a_confirmation_is_one() -> None:
    record = Record("bp_sol_01", "c")
    assert not record.is_cancel_confirmed
    record.cancel = {"state": "confirmed"}
    assert record.is_cancel_confirmed
    for other in ("running", "failing", ["confirmed"], None):
        record.cancel = {"state": other}
        assert not record.is_cancel_confirmed


@pytest.mark.parametrize(
    ("exit_code", "killed", "state", "reason"),
    [(0, False, "confirmed", None), (1, False, "failing", "exit_code"), (-9, True, "failing", "no_answer")],
)
def test_only_a_program_that_has_ended_well_is_believed(
    tmp_path: Path, exit_code: int, killed: bool, state: str, reason: str | None
) -> None:
    """One that says that no order is left, and fails then, may be wrong: it is asked again."""
    record = Record("bp_sol_01", "c")
    status: Any = SimpleNamespace(record=record, write=lambda: None, dated_files={})
    journal: Any = RecordedJournal()
    copy = str(tmp_path / "copy.json")
    cancel = OrderCancel(Loop(), Timings(), status, journal, {}, copy, lambda: pytest.fail("not yet"))
    ended: Any = SimpleNamespace(
        exit_code=exit_code,
        process=SimpleNamespace(killed=killed),
        stdout_tail=SimpleNamespace(lines=lambda: ['{"open_orders_left": 0}']),
        stderr_tail=SimpleNamespace(lines=lambda: ["Traceback"]),
    )
    cancel._run = ended
    cancel._finish()
    assert record.cancel is not None
    assert record.cancel["state"] == state
    told: Any = record.cancel["reason"] or {"code": None}
    assert told["code"] == reason
    assert record.cancel["stderr_tail"] == ([] if state == "confirmed" else ["Traceback"])


@pytest.mark.parametrize(
    ("command", "mode", "confirmed", "is_begun"),
    [
        (["/cancel"], "live", False, True),
        (["/cancel"], "live", True, False),
        (["/cancel"], "paper", False, False),
        ([], "live", False, False),
    ],
    ids=["given up", "confirmed before", "on paper", "without a program"],
)
def test_orders_are_cancelled_once_and_only_real_ones(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    mode: str,
    confirmed: bool,
    is_begun: bool,
) -> None:
    begun: list[str] = []
    made: Any = SimpleNamespace(start=lambda: begun.append("the program"))
    monkeypatch.setattr("supervisor.cancel.OrderCancel", lambda *_: made)
    supervisor: Any = Mock()
    supervisor._status.record.is_cancel_confirmed = confirmed
    supervisor._settings.cancel_command = command
    supervisor._environ = {"TRADING_MODE": mode}
    supervisor._paths.tombstone = str(tmp_path / "none")
    Supervisor._cancel_orders(supervisor)
    assert bool(begun) is is_begun
