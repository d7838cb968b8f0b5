"""Find the project folder that a command is given in or for."""

from pathlib import Path

from manager.errors import ConfigError, Problem


def chosen(folder: Path | None) -> Path:
    """Return this folder; where none was chosen, the nearest one from the current folder upwards.

    Raises ConfigError if it is no project's.
    """
    return find(Path.cwd()) if folder is None else at(folder)


def find(start: Path) -> Path:
    """Return the nearest folder upwards that has a config/ folder. Raises ConfigError."""
    for folder in (start, *start.parents):
        if _is_project(folder):
            return folder
    raise ConfigError(
        [
            Problem.at(
                str(start),
                "",
                "there is no config/active here or above: create a fleet folder with `manager init`, or"
                " specify one with --project-dir DIR",
            )
        ]
    )


def at(folder: Path) -> Path:
    """Return this folder if it is a project's, so that a mistyped name creates none. Raises ConfigError."""
    if not _is_project(folder):
        raise ConfigError([Problem.at(str(folder), "", "it contains no config/active")])
    return folder


def _is_project(folder: Path) -> bool:
    return (folder / "config" / "active").is_dir() or (folder / "config" / "fleet.toml").is_file()
