"""What short commands and the supervisor load: most of their time is the start of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "argparse",
    "ast",
    "dataclasses",
    "datetime",
    "difflib",
    "docker",
    "gettext",
    "http.client",
    "inspect",
    "pydantic",
    "requests",
    "signal",
    "socket",
    "threading",
}
"""A millisecond to a fifth of a second each."""
LOAD = """
import sys, typing

class ForwardRef(typing.ForwardRef, _root=True):
    def __init__(self, *args, **keywords):
        sys.exit(f"a class has the annotation {args[0]!r}")

typing.ForwardRef = ForwardRef
import manager.cli.main, manager.engine.client, manager.fleet.session, manager.cli.commands.COMMAND
assert manager.cli.plain_line.read(["COMMAND", "bp_sol_01"])
print(*sys.modules)
"""


KEPT_OUT_OF_CONTAINERS = {
    *(
        "collections",
        "contextlib",
        "enum",
        "functools",
        "json",
        "re",
        "selectors",
        "signal",
        "socket",
        "pathlib",
    ),
    *(
        "dataclasses",
        "datetime",
        "subprocess",
        "threading",
        "traceback",
        "types",
        "typing",
        "supervisor.cancel",
    ),
}
"""Each is resident memory in every container of the fleet, and makes its bot start later."""


@pytest.mark.parametrize("command", ["ps", "list", "status", "up"])
def test_a_short_command_loads_only_what_it_needs(command: str) -> None:
    """Nor is an annotation compiled: Python's compiler alone takes 2 ms to get ready, so the modules of these
    commands have no annotations in quotes in a NamedTuple, and no `from __future__ import annotations`.
    """
    assert HEAVY.isdisjoint(_loaded(LOAD.replace("COMMAND", command)))


def test_the_standby_is_asked_before_anything_is_loaded() -> None:
    """What `python -c pass` has loaded is free."""
    bare = set(_loaded("import sys; print(*sys.modules)", "-S"))
    asked = set(_loaded("import sys, manager.cli.standby; print(*sys.modules)", "-S"))
    own = {"_socket", "_stat", "marshal", "manager", "manager.cli", "manager.cli.standby"}
    assert asked - bare <= own


def test_logs_of_one_load_no_snapshot_of_the_fleet() -> None:
    loaded = set(_loaded(LOAD.replace("COMMAND", "logs")))
    assert loaded.isdisjoint({"manager.fleet.observe", "manager.fleet.status", "decimal", "numbers"})


@pytest.mark.parametrize("is_urgent", [False, True])
def test_what_is_installed_is_found_where_python_was_started_without_site(is_urgent: bool) -> None:
    """Before that, what is of the library, or nowhere, has nothing loaded."""
    program = f"""
import sys
from manager.cli import without_site
without_site.make_up_for_it(is_urgent={is_urgent})
try:
    import _winapi
except ImportError:
    print("site" in sys.modules, end=" ")
import pydantic
print("site" in sys.modules, sys.prefix)
"""
    assert _loaded(program, "-S") == [str(is_urgent), "True", sys.prefix]


@pytest.mark.parametrize("start", ["cli.entry_point()", "runpy.run_module('manager', run_name='__main__')"])
def test_ctrl_c_while_a_command_is_loaded_prints_no_traceback(start: str, tmp_path: Path) -> None:
    """Whether its modules come from their own files or from the one of earlier runs: both execute them."""
    interrupted = f"""
import runpy, signal, sys
from manager import cli

def in_the_middle(event, arguments):
    if event == "exec" and arguments[0].co_filename.endswith("manager/cli/main.py"):
        signal.raise_signal(signal.SIGINT)

sys.addaudithook(in_the_middle)
sys.argv[1:] = ["ps"]
{start}
"""
    process = subprocess.run(
        [sys.executable, "-c", interrupted],
        cwd=ROOT,
        env={**os.environ, "MANAGER_LANG": "en", "XDG_CACHE_HOME": str(tmp_path)},  # no standby runs it
        capture_output=True,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (130, b"", b"interrupted\n")


def test_the_supervisor_loads_only_what_it_needs() -> None:
    code = "import sys; sys.path.insert(0, 'docker'); import supervisor.main; print(*sys.modules)"
    assert KEPT_OUT_OF_CONTAINERS.isdisjoint(_loaded(code, "-I", "-S"))


def _loaded(code: str, *options: str) -> list[str]:
    """Return the modules that the program has loaded at its end."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
