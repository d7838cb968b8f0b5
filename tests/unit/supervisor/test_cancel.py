import pytest

from supervisor.cancel import figures, orders_left
from supervisor.state import Record


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
