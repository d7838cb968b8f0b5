"""The manager's named tuples behave as those of `typing` do."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from manager import typed

ROOT = Path(__file__).resolve().parents[2]

CLASSES = '''
class Order(NamedTuple):
    """Hold an order."""

    id: int
    side: str = "buy"
    tags: tuple[str, ...] = ()
    unknown: NotDefinedAnywhere = None

    @property
    def is_buy(self) -> bool:
        """Return whether it buys."""
        return self.side == "buy"

    @classmethod
    def sale(cls, id: int) -> "Order":
        return cls(id, side="sell")


class One(NamedTuple):
    only: int


class Empty(NamedTuple):
    pass


class Holds(NamedTuple, Generic[T]):
    value: T
    times: int = 1
'''
HEAD = """
from __future__ import annotations
from typing import Generic, TypeVar
from {origin} import NamedTuple
T = TypeVar("T")
"""


def classes(origin: str) -> Any:
    """Return a module with classes made by the NamedTuple of a module."""
    module = ModuleType(f"records_of_{origin.replace('.', '_')}")
    exec(HEAD.format(origin=origin) + CLASSES, module.__dict__)
    return module


def answer(work: Callable[[], object]) -> str:
    """Return what a call gives, or the error that it raises, as text."""
    try:
        return repr(work())
    except (TypeError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


CALLS: dict[str, Callable[[Any], object]] = {
    "by position": lambda of: of.Order(1, "sell", ("a",), 2),
    "by name": lambda of: of.Order(tags=("a",), id=1),
    "both": lambda of: of.Order(1, tags=("a",)),
    "defaults": lambda of: of.Order(1),
    "one field": lambda of: of.One(1),
    "no field": lambda of: of.Empty(),
    "generic": lambda of: (of.Holds(1), of.Holds[int](2, times=3)),
    "nothing given": lambda of: of.Order(),
    "not enough": lambda of: of.Order(side="buy"),
    "too many": lambda of: of.Order(1, "buy", (), None, 5),
    "an unknown name": lambda of: of.Order(1, price=5),
    "twice": lambda of: of.Order(1, id=1),
    "class method": lambda of: of.Order.sale(2),
    "property": lambda of: of.Order(1).is_buy,
    "replaced": lambda of: of.Order(1)._replace(side="sell"),
    "as a dictionary": lambda of: of.Order(1)._asdict(),
    "set": lambda of: setattr(of.Order(1), "id", 2),
    "set anew": lambda of: setattr(of.Order(1), "price", 2),
    "equal to a tuple": lambda of: of.Order(1) == (1, "buy", (), None),
    "hash": lambda of: hash(of.Order(1)) == hash((1, "buy", (), None)),
    "copied": lambda of: (copy.copy(of.Order(1)), copy.deepcopy(of.Order(1, tags=("a",)))),
    "unpacked": lambda of: [*of.Order(1)],
    "sorted": lambda of: sorted([of.Order(2), of.Order(1)]),
    "what it is": lambda of: (of.Order.__doc__, of.Order._fields, of.Order._field_defaults),
    "annotations": lambda of: [str(value) for value in of.Order.__annotations__],
    "patterns": lambda of: of.Order.__match_args__,
}


@pytest.mark.parametrize("name", CALLS)
def test_it_behaves_as_the_one_of_typing(name: str) -> None:
    ours, theirs, call = classes("manager.typed"), classes("typing"), CALLS[name]
    assert answer(lambda: call(ours)) == answer(lambda: call(theirs))


def test_one_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = classes("manager.typed")
    monkeypatch.setitem(__import__("sys").modules, ours.__name__, ours)
    order = ours.Order(1, tags=("a",))
    assert pickle.loads(pickle.dumps(order)) == order
    assert type(pickle.loads(pickle.dumps(order))) is ours.Order


def test_one_that_others_are_made_of_keeps_its_class() -> None:
    ours = classes("manager.typed")

    special = type("Special", (ours.Order,), {"__slots__": ()})
    assert type(special(1)) is special
    assert type(ours.Order(1)) is ours.Order


def test_constructors_of_as_many_fields_are_compiled_once() -> None:
    classes("manager.typed")
    before = {count: id(code) for count, code in typed.codes.items()}  # equal ones may be made twice
    classes("manager.typed")
    assert {count: id(code) for count, code in typed.codes.items()} == before
    assert {1, 4} <= {*before}


def test_the_manager_makes_its_named_tuples_with_it() -> None:
    """One of `typing` costs each command that loads its module a sixth of a millisecond."""
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "manager").rglob("*.py"))
        if path.name != "typed.py"
    )
    assert "manager.typed import NamedTuple" in text
    assert [line for line in text.splitlines() if "typing import" in line and "NamedTuple" in line] == []


def test_no_short_command_loads_what_it_does_without() -> None:
    """Each of them takes as long as reading the configs of a small fleet."""
    program = (
        "import sys; from manager.cli import _load_pathlib, standby; _load_pathlib()\n"
        "import importlib\n"
        "for name in ('cli.main', 'engine.client', *(f'cli.commands.{it}' for it in ('ps', 'up'))):\n"
        "    importlib.import_module(f'manager.{name}')\n"
        "print({'typing', 'urllib.parse', 'ipaddress', 'argparse', 'dataclasses', 'socket'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True, timeout=120
    )
    assert done.stdout == "set()\n"


def test_values_of_a_literal_are_told_by_both() -> None:
    alias = typed.Literal["run", "stopped"]
    assert typed.get_args(alias) == get_args(alias) == ("run", "stopped")
    assert typed.get_args(typed.Literal["one"]) == ("one",)


def test_pathlib_still_makes_an_address() -> None:
    program = (
        "from manager.cli import _load_pathlib; _load_pathlib(); import pathlib, sys;"
        " assert 'urllib.parse' not in sys.modules; print(pathlib.Path('/a b/ä').as_uri())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True, timeout=120
    )
    assert done.stdout == "file:///a%20b/%C3%A4\n"
