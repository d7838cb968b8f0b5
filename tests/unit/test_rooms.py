"""The rooms of manager/ and their one direction: each imports only what lies below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.unit.syntax import last_name, parsed

ROOT = Path(__file__).resolve().parents[2]
SINGLE = ("errors", "i18n", "typed")
ROOMS = ("compat", "cli", "web", "monitor", "ops", "fleet", "engine", "config", "util", *SINGLE)
"""From the top down; the last three are single modules that every room may import."""
ENTRANCES = ("__main__", "config_manager", "daemon_manager", "exceptions", "instance_manager")
"""Modules of manager/ itself, above all rooms: the names that callers and `python -m` use."""

EARLIER_NAMES = ("manager.watch.__init__", "manager.watch.send")
"""What a resident of an earlier version still starts by name."""

MOST_LINES = 400
"""Of a module. One that outgrows it has two jobs."""

NAMED_AS_TYPED = ("manager.cli.commands",)
"""Folders whose modules are named as the commands, and need no map."""

BY_NAME = {
    ("manager.ops.move.orders", "manager.cli.main"): "a command of its own, given at a moment of its own",
}
"""Modules that name one of a higher room, to run it in another process, and why."""

IN_A_PROGRAM = re.compile(
    r"\b(?:from (manager(?:\.\w+)*) import (\w+(?:, *\w+)*)|import (manager(?:\.\w+)+))"
)

Sources = Mapping[str, str]
"""Dotted module → its source. A package is its `__init__`: `manager.ops.__init__`."""


def sources() -> dict[str, str]:
    """Return every module of the package."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "manager").rglob("*.py"))
    }


def room_of(module: str) -> str | None:
    """Return the room of a module; "" for those above all rooms, None for one that lies in none."""
    name, *inside = module.split(".")[1:]
    if module in EARLIER_NAMES or (name in ENTRANCES and not inside):
        return ""
    is_file = name in SINGLE
    return name if name in ROOMS and is_file == (not inside) else None


def part_of(module: str) -> str:
    """Return the folder of a module: a room, or a part of a room such as `manager.ops.backup`."""
    return module.rpartition(".")[0]


def imported(tree: ast.AST, modules: Sources) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of what is imported from our own package, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name) for alias in node.names if alias.name.startswith("manager.")
            )
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import"
            if (node.module or "").split(".")[0] != "manager":
                continue
            for alias in node.names:
                target = f"{node.module}.{alias.name}"
                yield node.lineno, target if known(target, modules) else str(node.module)
        elif isinstance(node, ast.Call) and last_name(node.func).endswith(("import_module", "__import__")):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(name, str) and known(name, modules):
                yield node.lineno, name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, name) for name in named_in(node.value) if known(name, modules))


def named_in(text: str) -> Iterator[str]:
    """Yield what a program in a text imports (`python -c`)."""
    for package, names, module in IN_A_PROGRAM.findall(text):
        yield from [module] if module else (f"{package}.{name.strip()}" for name in names.split(","))


def known(name: str, modules: Sources) -> bool:
    """Return whether it is a module or a package of ours."""
    return name in modules or f"{name}.__init__" in modules


def loaded_at_once(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the import statements that run when a module is loaded."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from loaded_at_once([child for child in ast.walk(node) if isinstance(child, ast.stmt)][1:])


def faults(modules: Sources) -> list[str]:
    """Return what breaks the order, each with the place that does."""
    problems = []
    graph: dict[str, set[str]] = {}
    parts: dict[str, set[str]] = {}
    for module, source in modules.items():
        tree = parsed(source)
        if module.endswith(".__init__"):
            for node in loaded_at_once(tree.body):
                problems.append(
                    f"{module}:{node.lineno} imports something, which every command would pay for"
                )
        if module == "manager.__init__":
            continue
        room = room_of(module)
        if room is None:
            problems.append(f"{module} lies in no room")
            continue
        for line, target in sorted(set(imported(tree, modules))):
            if target == "manager":
                continue
            other = room_of(target)
            if other is None:
                problems.append(f"{module}:{line} imports {target}, which lies in no room")
            elif (module, target) in BY_NAME:
                continue
            elif rank(other) < rank(room):
                problems.append(f"{module}:{line} imports {target} of a higher room")
            if not module.endswith(".__init__"):
                graph.setdefault(module, set()).add(target)
                if part_of(module) != part_of(target) and "manager" not in {part_of(module), part_of(target)}:
                    parts.setdefault(part_of(module), set()).add(part_of(target))
    return problems + [f"a circle: {' → '.join(names)}" for names in (circle(graph), circle(parts)) if names]


def rank(room: str) -> int:
    """Return how far down a room lies."""
    return ROOMS.index(room) if room else -1


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the nodes of some circle, the first one again at its end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


PRINTERS = {
    "manager.monitor.logs.printing": "the bytes of `logs`, which are no text of ours",
    "manager.monitor.watch.send": "a process of its own, whose output is its answer",
    "manager.ops.backup.copier": "a process of its own, whose output is its answer",
    "manager.engine.image_build": "hands its terminal on to `docker build`",
    "manager.monitor.watch.egress_keeper": "a part of `watch`, which prints as it goes",
    "manager.monitor.watch.loop": "`watch`, which prints as it goes",
    "manager.monitor.watch.notifier": "a part of `watch`, which prints as it goes",
    "manager.monitor.watch.observer": "a part of `watch`, which prints as it goes",
    "manager.util.console": "the one place that prints",
    "manager.util.prompt": "asks at a terminal",
    "manager.util.progress_line": "the line that changes on a terminal",
    "manager.util.screen": "what is drawn again and again on a terminal",
    "manager.web.engine_side.exposition": "a part of `watch`, in the page's process",
    "manager.web.engine_side.process": "the page's process, which prints as it goes",
    "manager.web.keeper": "`serve`, which prints as it goes",
}
"""Modules outside cli that print, or use standard output or error, and why."""

CONSOLE = {"say", "warn", "warning", "error", "say_json"}
"""What of the console prints."""

STREAMS = {"stdout", "stderr"}
"""What of `sys` does."""


def printing(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that print, or touch a standard stream."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno
        if isinstance(node, ast.Attribute) and node.attr in STREAMS and ast.unparse(node.value) == "sys":
            yield node.lineno
        if isinstance(node, ast.Attribute) and node.attr in CONSOLE and ast.unparse(node.value) == "console":
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "manager.util.console":
            yield from (node.lineno for name in node.names if name.name in CONSOLE)
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            yield from (node.lineno for name in node.names if name.name in STREAMS)


def parsing(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that import argparse."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(name.name == "argparse" for name in node.names):
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "argparse":
            yield node.lineno


def test_nothing_outside_cli_prints_or_parses_arguments() -> None:
    problems = []
    for module, source in sources().items():
        room = room_of(module)
        if room in {"cli", ""}:
            continue
        if module not in PRINTERS:
            problems += [f"{module}:{line} prints" for line in printing(parsed(source))]
        if room != "compat":  # it has the old system's command line
            problems += [f"{module}:{line} parses arguments" for line in parsing(parsed(source))]
    assert problems == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "import sys\nsys.stdout.write('')",
        "from sys import stdout",
        "from sys import stderr as e",
        "from manager.util import console\nconsole.say('')",
        "from manager.util.console import say",
        "tell(console.warning)",
    ],
)
def test_printing_is_found(source: str) -> None:
    assert list(printing(ast.parse(source))) == [1 + source.count("\n")]


@pytest.mark.parametrize("source", ["import argparse", "def f():\n    from argparse import Namespace"])
def test_parsing_is_found(source: str) -> None:
    assert list(parsing(ast.parse(source))) == [1 + source.count("\n")]


def test_what_need_not_keep_to_it_still_does_not() -> None:
    modules = sources()
    assert [module for module in PRINTERS if not list(printing(parsed(modules[module])))] == []
    assert [
        pair
        for pair in BY_NAME
        if pair[1] not in {name for _line, name in imported(parsed(modules[pair[0]]), modules)}
    ] == []


def test_each_room_imports_only_what_lies_below_it() -> None:
    assert faults(sources()) == []


def test_each_folders_map_names_every_module() -> None:
    modules = sources()
    missing = []
    for module in modules:
        folder, _dot, name = module.removesuffix(".__init__").rpartition(".")
        if folder not in {"", "manager", *NAMED_AS_TYPED} and module not in EARLIER_NAMES:
            words = re.findall(r"[\w*]+", modules[f"{folder}.__init__"])
            missing += [module] if not any(fnmatchcase(name, word) for word in words) else []
    assert missing == []


@pytest.mark.parametrize("folder", ["manager", "docker"])
def test_a_module_has_one_job(folder: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(lines) > 30
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_every_room_is_there() -> None:
    assert {room_of(path) for path in sources()} - {None} == {"", *ROOMS}


@pytest.mark.parametrize(
    "source",
    [
        "from manager.cli import main",
        "from manager.cli.main import entry_point, main",
        "import manager.cli.main",
        "def f():\n    from manager.cli import main",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from manager.cli.main import entry_point",
        "try:\n    from manager.cli import main\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('manager.cli.main')",
        "P = 'import sys; from manager.cli import main; main.main([])'",
        "P = 'import manager.cli.main'",
    ],
)
def test_an_upward_import_is_found(source: str) -> None:
    modules = {"manager.cli.main": "", "manager.ops.plan": source}
    line = 1 + source[: source.index("manager.cli")].count("\n")
    assert faults(modules) == [f"manager.ops.plan:{line} imports manager.cli.main of a higher room"]


def test_the_single_modules_lie_below_every_room() -> None:
    assert faults({"manager.util.console": "from manager import errors, i18n", "manager.errors": ""}) == []
    assert faults({"manager.errors": "from manager.util import console", "manager.util.console": ""}) == [
        "manager.errors:1 imports manager.util.console of a higher room"
    ]


def test_an_entrance_is_imported_by_nobody() -> None:
    modules = {"manager.daemon_manager": "", "manager.compat.daemon": "from manager import daemon_manager"}
    assert faults(modules) == ["manager.compat.daemon:1 imports manager.daemon_manager of a higher room"]


def test_a_module_in_no_room_is_found() -> None:
    assert faults({"manager.ports": ""}) == ["manager.ports lies in no room"]
    assert faults({"manager.misc.ports": ""}) == ["manager.misc.ports lies in no room"]
    assert faults({"manager.errors.more": ""}) == ["manager.errors.more lies in no room"]
    assert faults({"manager.util": ""}) == ["manager.util lies in no room"]


def test_a_circle_between_rooms_is_found() -> None:
    modules = {
        "manager.ops.plan": "from manager.fleet import lock",
        "manager.fleet.lock": "",
        "manager.fleet.host": "from manager.ops import action",
        "manager.ops.action": "",
    }
    upward, between = faults(modules)
    assert upward == "manager.fleet.host:1 imports manager.ops.action of a higher room"
    assert between in {
        "a circle: manager.ops → manager.fleet → manager.ops",
        "a circle: manager.fleet → manager.ops → manager.fleet",
    }


def test_a_circle_inside_a_room_is_found() -> None:
    modules = {
        "manager.ops.plan": "from manager.ops.action import Action",
        "manager.ops.action": "def f():\n    from manager.ops import plan",
    }
    [problem] = faults(modules)
    assert problem.startswith("a circle: manager.ops.")


def test_a_circle_between_a_room_and_its_part_is_found() -> None:
    modules = {
        "manager.ops.plan": "from manager.ops.backup import swap",
        "manager.ops.backup.swap": "",
        "manager.ops.backup.make": "from manager.ops import action",
        "manager.ops.action": "",
    }
    [problem] = faults(modules)
    assert "manager.ops.backup" in problem


@pytest.mark.parametrize(
    "source", ["import json", "if True:\n    from manager.util import lock", "class A:\n    import os"]
)
def test_a_room_that_loads_something_by_itself_is_found(source: str) -> None:
    modules = {"manager.util.__init__": source, "manager.util.lock": ""}
    line = len(source.splitlines())
    assert faults(modules) == [
        f"manager.util.__init__:{line} imports something, which every command would pay for"
    ]


def test_what_a_room_imports_when_it_is_called_costs_nobody() -> None:
    assert (
        faults({"manager.cli.__init__": "def f():\n    from manager.cli import main", "manager.cli.main": ""})
        == []
    )
