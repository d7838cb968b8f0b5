from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.cancel import OrderCancel, figures, orders_left
from supervisor.loop import Loop
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
    assert (record.cancel["reason"] or {"code": None})["code"] == reason
    assert record.cancel["stderr_tail"] == ([] if state == "confirmed" else ["Traceback"])
