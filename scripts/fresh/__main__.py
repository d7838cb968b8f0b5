"""Run rows one after another and print their table: see scripts/fresh.sh."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.fresh import inherit, machine, results, setup, trees
from scripts.fresh.rows import RELEASES, ROWS, Row
from scripts.fresh.steps import Done, Newcomer

CHECKOUT = Path(__file__).resolve().parents[2]
COLUMNS = ("set up", "make up", "ps", "again", "make test", "down")
NAME_WIDTH = max(len(row.name) for row in ROWS)
LAST_LINES = 25
LOCK = "/run/botfleet-fresh.lock"


class Fresh:
    """Hold one run: the folder of everything it keeps, and what it tries."""

    def __init__(self, base: Path, *, with_tests: bool, force: bool) -> None:
        self.base, self.with_tests, self.force = base, with_tests, force
        self.tree = results.tree_of(CHECKOUT)
        self.inherited = inherit.from_this_machine()
        for name in ("logs", "results", "cache", "trees"):
            (base / name).mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove what a run that was killed left behind. Its processes and mounts went with it."""
        machine.sweep()
        trees.remove(self.base / "run")

    def prepare(self, rows: list[Row]) -> None:
        """Make the pristine trees, and say what is in them."""
        for suite in dict.fromkeys(row.suite for row in rows):
            names = trees.packages(trees.pristine(suite, self.base, self.inherited))
            print(f"{RELEASES[suite]}, {len(names)} packages:")
            print(
                textwrap.fill(
                    " ".join(names), 118, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
                )
            )

    def row(self, row: Row) -> bool:
        """Run one row, printing its line as it goes. Returns whether it passed."""
        tests = self.with_tests and row.runs_tests
        record = self.base / "results" / f"{row.name}.json"
        print(f"{row.name:{NAME_WIDTH}}", end="", flush=True)
        wanted = {step for step in COLUMNS if tests or step != "make test"}
        if not self.force and (before := results.passed(record, self.tree, wanted)):
            _print_cells(iter(before))
            print("  passed before")
            return True
        log = self.log(row)
        steps = list(_print_cells(self._steps(row, log, tests)))
        if problem := steps[-1].problem:
            print(f"  FAILED\n  {steps[-1].step}: {problem}\n  log: {log}")
            lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
            print(textwrap.indent("\n".join(lines), "  | "), flush=True)
            return False
        results.write(record, self.tree, steps)
        print("  passed", flush=True)
        return True

    def log(self, row: Row) -> Path:
        return self.base / "logs" / f"{row.name}.log"

    def _steps(self, row: Row, log: Path, tests: bool) -> Iterator[Done]:
        started = time.monotonic()
        root = self.base / "run" / row.name / "root"
        try:
            with log.open("w+b") as output:
                docker = (
                    trees.plain_docker(self.base, row.suite, with_compose=row.has_compose)
                    if row.has_cli
                    else None
                )
                trees.copy(self.base / "trees" / row.suite, root)
                self.inherited.write_into(root)
                setup.before_boot(row, root, CHECKOUT, docker)
                with machine.Machine(root, self._binds(row), self.inherited.environ) as fresh:
                    setup.after_boot(row, fresh, output)
                    yield Done("set up", time.monotonic() - started, "")
                    yield from Newcomer(row, fresh, output).steps(with_tests=tests)
        except (RuntimeError, subprocess.CalledProcessError) as err:
            yield Done("set up", time.monotonic() - started, str(err))
        finally:
            trees.remove(root.parent)

    def _binds(self, row: Row) -> dict[Path, tuple[str, str]]:
        """Return what the machine sees of this one: {path here: (path there, mode)}.

        Downloads are shared, results never.
        """
        binds = {path: (str(path), "ro") for path in self.inherited.binds}
        home = f"/home/{machine.USER}" if row.has_sudo_user else "/root"
        downloads, wheels = (
            self.base / "cache" / f"deb-{row.suite}",
            self.base / "cache" / f"pip-{home[1:].replace('/', '-')}",
        )
        for path in (downloads, wheels):
            path.mkdir(exist_ok=True)
        if row.has_sudo_user:
            os.chown(wheels, machine.USER_ID, machine.USER_ID)
        return binds | {downloads: ("/var/cache/apt/archives", "rw"), wheels: (f"{home}/.cache/pip", "rw")}


def _print_cells(steps: Iterator[Done]) -> Iterator[Done]:
    """Print each step's time below its column, as it ends."""
    column = 0
    for step in steps:
        place = COLUMNS.index(step.step)
        print(f"{'-':>11}" * (place - column), end="")
        print(f"{_clock(step.seconds):>11}", end="", flush=True)
        column = place + 1
        yield step
    print(f"{'-':>11}" * (len(COLUMNS) - column), end="")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _chosen(names: list[str]) -> list[Row]:
    known = {row.name: row for row in ROWS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"fresh: no row {unknown[0]}; the rows are: {' '.join(known)}")
    return [known[name] for name in names] or list(ROWS)


def _locked() -> int:
    """Keep other runs off this machine for as long as this one lives: each would sweep away the other's
    network.
    """
    file = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("fresh: another `make fresh` is running on this machine")
    return file


def main() -> int:
    rows = _chosen(os.environ.get("ROW", "").split())
    base = Path(os.environ.get("FRESH_DIR") or "/var/tmp/botfleet-fresh").resolve()
    _lock = _locked()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("\nfresh: ended by a signal"))
    fresh = Fresh(base, with_tests=os.environ.get("ONLY") != "up", force=os.environ.get("FORCE") == "1")
    fresh.sweep()
    if results.has_changes(CHECKOUT):
        print("the checkout has changes that are not committed: rows clone the last commit, without them")
    fresh.prepare(rows)
    print(f"rows share the .deb files and wheels they download ({base}/cache), and nothing else\n")
    for row in rows:
        print(f"{row.name:{NAME_WIDTH}}  {RELEASES[row.suite]}, {row.about}")
    print(
        f"\n{'ROW':{NAME_WIDTH}}" + "".join(f"{column.upper():>11}" for column in COLUMNS) + "  RESULT",
        flush=True,
    )
    failed = [row for row in rows if not fresh.row(row)]
    print(f"\n{len(rows) - len(failed)} of {len(rows)} rows passed")
    for row in failed:
        print(f"failed: {row.name}, see {fresh.log(row)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
