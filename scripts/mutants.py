"""Put faults into a copy of the project, one at a time, and see whether the tests beside them notice.

    python scripts/mutants.py [WORD…]                those of the list whose name or file has a word in it
    python scripts/mutants.py --sweep FILE TESTS…    each condition of a source file is false

Prints a table. Ends with 1 when one survives, or when one no longer fits its file and is to be written anew.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "scripts" / "mutants.toml"
COPIED = (
    "manager",
    "tests",
    "docker",
    "scripts",
    "config",
    "docs",
    "pyproject.toml",
    "README.md",
    "Makefile",
)
TIMEOUT_S = 300
TEST_FAILED = 1
"""What pytest ends with then. Anything else is no verdict: no test was found, or none could be run."""

SLOW_TO_IMPORT = ("hypothesis", "psutil", "pydantic", "pytest_timeout", "requests", "xdist.plugin", "yaml")
_SECONDS = itertools.count(1_000_000_000)

Verdict = Literal["killed", "SURVIVED", "does not fit", "not run"]


class Mutant(NamedTuple):
    """Hold one fault: `old` becomes `new` in the file, and the tests have to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str]


def load(path: Path = LIST) -> list[Mutant]:
    """Return all mutants of the list."""
    return [Mutant(**values) for values in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]]


def sweep(file: str, tests: Sequence[str]) -> Iterator[Mutant]:
    """Yield a mutant for each `if` of the file, of a statement or an expression: it never holds."""
    text = (ROOT / file).read_text(encoding="utf-8")
    starts = [0, *itertools.accumulate(len(line.encode()) for line in text.splitlines(keepends=True))]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If | ast.IfExp) and ast.unparse(node.test) != "TYPE_CHECKING":
            test = node.test
            begin = starts[test.lineno - 1] + test.col_offset
            end = starts[(test.end_lineno or 0) - 1] + (test.end_col_offset or 0)
            raw = text.encode()
            new = (raw[:begin] + b"False" + raw[end:]).decode()
            yield Mutant(f"{file}:{test.lineno}: {ast.unparse(test)[:80]}", file, text, new, tests)


def mutated(mutant: Mutant, root: Path) -> str | None:
    """Return the file's text with the fault; None where it does not stand there exactly once."""
    try:
        text = (root / mutant.file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return text.replace(mutant.old, mutant.new) if text.count(mutant.old) == 1 else None


def judge(mutant: Mutant, copy: Path) -> Verdict:
    """Put the fault in, run its tests, and take it out again."""
    text = mutated(mutant, copy)
    if text is None:
        return "does not fit"
    path = copy / mutant.file
    before = path.read_text(encoding="utf-8")
    _write(path, text)
    try:
        code = _tested(mutant.tests, copy)
    finally:
        _write(path, before)
    return "SURVIVED" if code == 0 else "killed" if code == TEST_FAILED else "not run"


def _write(path: Path, text: str) -> None:
    """Write the source, of another second each time: by it Python knows whether its compiled file is still
    true.
    """
    path.write_text(text, encoding="utf-8")
    second = next(_SECONDS)
    os.utime(path, (second, second))


def _tested(tests: Sequence[str], copy: Path) -> int:
    """Run tests in a child that has the slow imports already; return how it ended.

    One that hangs has noticed.
    """
    child = os.fork()
    if not child:
        code = 3
        try:
            os.chdir(copy)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            signal.alarm(TIMEOUT_S)
            code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return TEST_FAILED if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def main(words: Sequence[str]) -> int:
    """Run those that are meant. Return the exit code."""
    if words[:1] == ["--sweep"]:
        chosen = list(sweep(words[1], words[2:]))
    else:
        chosen = [
            mutant
            for mutant in load()
            if not words or any(word in mutant.name or word in mutant.file for word in words)
        ]
    for name in SLOW_TO_IMPORT:
        importlib.import_module(name)
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="botfleet-mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, copy / name)
        for mutant in chosen:
            began = time.monotonic()
            verdicts.append(judge(mutant, copy))
            print(f"{verdicts[-1]:<12}  {time.monotonic() - began:5.1f} s  {mutant.name}", flush=True)
    killed = verdicts.count("killed")
    print(f"{killed} of {len(chosen)} killed")
    return 0 if chosen and killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
