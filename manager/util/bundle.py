"""Finds the files that the manager brings along beside its modules: a checkout's own, or those that travel in the wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = PACKAGE / "_bundle"
"""Made by setup.py when a wheel is built; a checkout has none."""


def folder() -> Path:
    """Return the folder that holds Dockerfile, docker/, scripts/ and config/ as the manager ships them."""
    return INSTALLED if INSTALLED.is_dir() else PACKAGE.parent


def build_folder(project_dir: Path) -> Path:
    """Return where the image's files come from: a checkout builds from its own, whichever manager works on it."""
    is_checkout = (project_dir / "Dockerfile").is_file() and (project_dir / "docker" / "supervisor").is_dir()
    return project_dir if is_checkout else folder()


def engine_command() -> str:
    """Return the command that installs and starts a Docker Engine, as it can be typed in the present folder."""
    try:
        if Path.cwd() == folder() and (folder() / "Makefile").is_file():
            return "make engine"
    except OSError:  # the folder is gone
        pass
    import shlex  # only for an error

    return f"bash {shlex.quote(str(folder() / 'scripts' / 'engine.sh'))}"
