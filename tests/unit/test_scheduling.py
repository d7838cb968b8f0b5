"""What the workers of `make test` take, and in which order."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import scheduling

ROOT = Path(__file__).resolve().parents[2]
PAGE = ["tests/web/test_page.py::test_a", "tests/web/test_page.py::test_b"]
API = ["tests/web/test_api.py::test_a", "tests/web/test_api.py::test_b"]
STOP = ["tests/faults/test_stop.py::test_a", "tests/faults/test_stop.py::test_b"]
PLAN = ["tests/unit/ops/test_plan.py::test_a", "tests/unit/ops/test_plan.py::test_b"]
LOCK = ["tests/unit/test_lock.py::test_a", "tests/unit/test_lock.py::test_b"]


class Worker:
    """Stands in for a worker, and notes what it is given."""

    def __init__(self, number: int, tests: list[str]) -> None:
        self.gateway, self.shutting_down = SimpleNamespace(id=f"gw{number}"), False
        self.tests, self.given = tests, list[str]()

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += [self.tests[index] for index in indices]

    def shutdown(self) -> None:
        self.shutting_down = True


def first_given(count: int, tests: list[str]) -> tuple[list[Worker], scheduling.Spread]:
    """Return the workers, each with the first that it was given, and the scheduler."""
    ordered = sorted(tests, key=scheduling.rank)
    option = SimpleNamespace(tx=["popen"] * count, px=[], loadscopereorder=True)
    spread = scheduling.Spread(SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name)))
    workers = [Worker(number, ordered) for number in range(count)]
    for worker in workers:
        spread.add_node(worker)
        spread.add_node_collection(worker, ordered)
    spread.schedule()
    return workers, spread


def finish(worker: Worker, spread: scheduling.Spread) -> None:
    """Have the worker end all that it was given."""
    for test in list(worker.given):
        spread.mark_test_complete(worker, worker.tests.index(test))


def test_one_worker_computes_and_all_others_take_what_waits() -> None:
    workers, _spread = first_given(3, [*PLAN, *LOCK, *STOP, *API, *PAGE])
    assert [worker.given for worker in workers] == [PAGE, API, PLAN]


def test_tests_on_an_engine_are_handed_out_one_by_one() -> None:
    workers, _spread = first_given(2, [*PLAN, *STOP])
    assert [worker.given[:1] for worker in workers] == [STOP[:1], PLAN[:1]]


@pytest.mark.parametrize(("mine", "others"), [(0, PLAN), (1, STOP)], ids=["what computes", "what waits"])
def test_a_worker_that_has_no_more_of_its_own_takes_the_others(mine: int, others: list[str]) -> None:
    tests = [*API, *PLAN, *LOCK] if mine == 0 else [*API, *STOP, *PLAN]
    workers, spread = first_given(2, tests)
    own = list(workers[mine].given)
    finish(workers[mine], spread)
    taken = [test for test in workers[mine].given if test not in own]
    assert taken
    assert set(taken) <= {*others, *LOCK}


@pytest.mark.parametrize(("cores", "computing"), [(1, 1), (2, 1), (4, 2), (8, 4)])
def test_half_as_many_workers_as_cores_compute(cores: int, computing: int) -> None:
    files = [f"tests/unit/test_{number}.py::test_a" for number in range(20)]
    waiting = [f"tests/bot/test_{number}.py::test_a" for number in range(20)]
    workers, _spread = first_given(cores + scheduling.MORE_THAN_CORES, [*files, *waiting])
    kinds = [worker.given[0].startswith("tests/unit/") for worker in workers]
    assert kinds == [False] * (len(workers) - computing) + [True] * computing


def test_make_test_has_as_many_workers_as_the_order_is_made_for() -> None:
    (more,) = re.findall(r"^WORKERS := .*nproc.* \+ (\d+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert int(more) == scheduling.MORE_THAN_CORES


def test_each_beginning_names_tests_that_exist() -> None:
    known = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    for start in (*scheduling.FIRST, *scheduling.WAITING):
        assert any(path.startswith(start) for path in known), start
