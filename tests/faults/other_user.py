"""Run a command as a user who has no rights of root, wherever checkout, Python and test folders lie.

Each of them may be below a folder that is closed to others, such as a home of mode 0700. The command
then gets a view of its own, in which that folder is open and contains only what the command needs.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.fleet import ROOT

OPEN = 0o001


def run(
    uid: int,
    groups: Sequence[int],
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` as `uid`."""
    needed = [folder, ROOT, *map(Path, (sys.prefix, sys.base_prefix))]
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={','.join(map(str, groups))}"]
    with tempfile.TemporaryDirectory(dir="/tmp") as stage:
        lines = [
            "set -e",
            *opening(needed, stage),
            f"cd {shlex.quote(str(folder))}",
            f"exec {shlex.join([*user, *command])}",
        ]
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def opening(needed: Iterable[Path], stage: str) -> list[str]:
    """Return the shell commands that open every closed folder above the needed ones."""
    closed: dict[Path, set[Path]] = {}
    for path in {path.resolve() for path in needed}:
        if above := topmost_closed(path):
            closed.setdefault(above, set()).add(path)
    lines = []
    for above, paths in closed.items():
        lines.append(f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(stage)}")
        for path in sorted(paths):  # a folder before those in it
            if any(other in path.parents for other in paths):
                continue
            inside = shlex.quote(str(Path(stage, path.relative_to(above))))
            lines += [f"mkdir -p {inside}", f"mount --bind {shlex.quote(str(path))} {inside}"]
        lines.append(f"mount --move {shlex.quote(stage)} {shlex.quote(str(above))}")
    return lines


def topmost_closed(path: Path) -> Path | None:
    """Return the first folder from the root on that others may not enter; None if there is none above it."""
    above = [*reversed(path.parents)]
    return next((folder for folder in above if not folder.stat().st_mode & OPEN), None)
