"""The bot's packages: imports point in one direction, and every module belongs to one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.bots import RUN

PACKAGE = RUN.parent / "gridbot"
# Each room may import itself and the rooms to its right.
ROOMS = ("cli", "web", "trading", "strategies", "exchanges", "store", "runtime", "config", "model")
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imported_modules(source: str) -> Iterator[str]:
    """Yield the names of the gridbot modules that `source` imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "gridbot")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gridbot":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward_imports(room: str, source: str) -> list[str]:
    """Return the imports of a module in `room` that lead to a room on its left."""
    allowed = ROOMS[ROOMS.index(room) :]
    return [name for name in imported_modules(source) if name.split(".")[1] not in allowed]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_in_one_direction(module: Path) -> None:
    source = (PACKAGE / module).read_text()
    if module.name == "__init__.py":
        assert ast.get_docstring(ast.parse(source)), "a room's __init__ says what is in it"
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(source)))
        return
    assert len(module.parts) == 2, "every module belongs to a room"
    assert upward_imports(module.parts[0], source) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_its_modules(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    listed = {line.split()[0] for line in docstring.splitlines()[2:] if line}
    present = {path.stem for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__"}
    assert listed - {"page/"} == present


def test_the_listed_rooms_are_the_folders() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)


def test_an_upward_import_is_recognised() -> None:
    source = "def late():\n    from gridbot.web.server import serve\n"
    assert upward_imports("store", source) == ["gridbot.web.server.serve"]
    assert upward_imports("cli", source) == []


def test_the_signal_handlers_are_installed_before_anything_large_is_imported() -> None:
    source = RUN.read_text()
    [first] = list(imported_modules(source.partition("if __name__")[0]))
    assert first.startswith("gridbot.runtime.stop_signal.")
    imports = set(imported_modules((PACKAGE / "runtime" / "stop_signal.py").read_text()))
    assert imports == set()


def test_one_style_holds_everywhere() -> None:
    root = RUN.parents[2]
    for folder in (RUN.parent, root / "tests" / "bot", root / "tests" / "fake_exchange"):
        for path in folder.rglob("*.py"):
            lines = path.read_text().splitlines()
            assert [line for line in lines if len(line) > 110] == [], path
            assert not any(line.endswith("# fmt:" + " skip") for line in lines), path
