import pytest

from supervisor.cancel import is_confirmed, orders_left


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


def test_only_a_confirmation_is_one() -> None:
    assert is_confirmed({"state": "confirmed"})
    assert not is_confirmed(None)
    assert not is_confirmed({})
    for other in ("running", "failing", ["confirmed"], None):
        assert not is_confirmed({"state": other})
