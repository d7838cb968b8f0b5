"""Two machines on one: a second project folder with a manager in it, reached by a real OpenSSH server."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tests import forks
from tests.fleet import ROOT, Project, a_project


@contextmanager
def another(
    folder: Path, image: str, environ: Mapping[str, str] | None = None, *, python: str = ""
) -> Iterator[Project]:
    """The other machine's project: another folder and another fleet, with a manager in it.

    `python`: that of `forks.python`, where it is of no matter how its manager starts.
    """
    with a_project(folder, image, environ=environ) as made:
        bin_folder = made.folder / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        variable = f'{forks.PYTHON}="{python}"' if python else f'PYTHONPATH="{ROOT}"'
        script = f'#!/bin/sh\n{variable} exec "{python or sys.executable}" -m manager "$@"\n'
        (bin_folder / "manager").write_text(script)
        (bin_folder / "manager").chmod(0o755)
        yield made


def database(project: Project, instance: str) -> Path:
    """The instance's database."""
    return project.folder / "volumes" / "database" / instance / f"{instance}.db"


def rows(project: Project, instance: str) -> int:
    """How many rows its tables have, all together."""
    with closing(sqlite3.connect(f"file:{database(project, instance)}?mode=ro", uri=True, timeout=30)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names)


def runs(project: Project) -> bool:
    """Whether a bot of the fleet runs; a supervisor that is idle counts as stopped."""
    return any(state not in {"stopped", "missing"} for state in project.states().values())
