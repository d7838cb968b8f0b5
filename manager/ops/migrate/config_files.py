"""Find the configs of an old folder: those in config/active, the flat ones, and what its registry names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager.config.loaded import is_config, resembles_config
from manager.util.real_path import real_path

ACTIVE = Path("config", "active")
FLAT_FILES = ("config/daemon_config.json", "daemon_config.json")


def find(folder: Path, records: Mapping[str, Any] | None) -> list[Path]:
    """Return the files. The old system ran a config from wherever `--config` named it."""
    active = sorted(path for path in (folder / ACTIVE).glob("*.json") if is_config(path.name))
    flat = [folder / name for name in FLAT_FILES if (folder / name).is_file()]
    known = {real_path(path) for path in (*active, *flat)}
    return [*active, *flat, *(path for path in _registered(folder, records) if real_path(path) not in known)]


def ignored(folder: Path, sources: list[Path]) -> tuple[str, ...]:
    """Return the files in config/active that are no configs by their names, but look like some."""
    with suppress(OSError):
        names = sorted(path.name for path in (folder / ACTIVE).iterdir() if path not in sources)
        return tuple(name for name in names if resembles_config(name) and not name.startswith("."))
    return ()


def _registered(folder: Path, records: Mapping[str, Any] | None) -> Iterator[Path]:
    """Yield the files within the folder that records name."""
    written = {
        name
        for record in (records or {}).values()
        if isinstance(record, dict)
        and isinstance(name := record.get("config_file"), str)
        and "\0" not in name
    }
    paths = {real_path(folder / name) for name in written}
    yield from sorted(
        path for path in paths if path.is_relative_to(folder) and is_config(path.name) and path.is_file()
    )
