"""Locate the data files shipped with the package: those of the checkout, or those in the wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = PACKAGE / "_bundle"
"""Created by setup.py when a wheel is built; a checkout has none."""
LIBRARY = Path("web", "page", "lib")


def folder() -> Path:
    """Return the folder with Dockerfile, docker/, scripts/ and config/ as shipped with the manager."""
    return INSTALLED if INSTALLED.is_dir() else PACKAGE.parent


def build_folder(project_dir: Path) -> Path:
    """Return the folder to build the image from. A checkout always uses its own files."""
    is_checkout = (project_dir / "Dockerfile").is_file() and (project_dir / "docker" / "supervisor").is_dir()
    return project_dir if is_checkout else folder()


def chart_library(build_folder: Path) -> Path:
    """Return the folder of what draws the charts of both pages; without `make page` there is none."""
    own = build_folder / "manager"
    return (own if own.is_dir() else PACKAGE) / LIBRARY


def engine_command() -> str:
    """Return the command that installs and starts a Docker Engine, relative to the current folder."""
    try:
        if Path.cwd() == folder() and (folder() / "Makefile").is_file():
            return "make engine"
    except OSError:  # the folder is gone
        pass
    return engine_script()


def engine_script() -> str:
    """Return the command that runs scripts/engine.sh, from any folder."""
    import shlex  # only for an error

    return f"bash {shlex.quote(str(folder() / 'scripts' / 'engine.sh'))}"
