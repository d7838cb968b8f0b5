"""Remember which rows passed, for which tree of files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from scripts.fresh.steps import Done


def tree_of(checkout: Path) -> str:
    """Return the name of the last commit's tree: two commits of the same files share it."""
    completed = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD^{tree}"], capture_output=True, text=True, check=True
    )
    return completed.stdout.strip()


def has_changes(checkout: Path) -> bool:
    """Return whether the checkout has files that no commit has as they are."""
    completed = subprocess.run(
        ["git", "-C", str(checkout), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    return bool(completed.stdout)


def passed(file: Path, tree: str, steps: set[str]) -> list[Done]:
    """Return the steps of a run in which the row passed with these files; none where it did not, or did
    less.
    """
    try:
        record = json.loads(file.read_text())
        if record["tree"] == tree and steps <= record["steps"].keys():
            return [Done(step, seconds, "") for step, seconds in record["steps"].items()]
    except (OSError, ValueError, KeyError):
        pass
    return []


def write(file: Path, tree: str, steps: list[Done]) -> None:
    """Keep that a row passed."""
    file.write_text(json.dumps({"tree": tree, "steps": {step.step: step.seconds for step in steps}}))
