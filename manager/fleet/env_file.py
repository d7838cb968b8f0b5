"""Locate an instance's env file, and check whether a start would change it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.util import atomic_file, strict_json
from manager.util.kept_content import KeptContent

ENV_FILE = "env.json"
STAGED_FILE = ".env.next.json"
MAX_BYTES = 1 << 20


def env_differs(spec: InstanceSpec, fleet: Fleet, values: Mapping[str, str]) -> bool:
    """Return whether the env file differs from these values.

    A missing one does, an unreadable one does not.
    """
    try:
        given = _given.of(_path(spec.id, fleet))
        return given is None or list(given.items()) != list(values.items())
    except PermissionError:
        return False
    except OSError:
        return True


def read_ahead(instance: str, fleet: Fleet) -> None:
    """Have the file read already when `env_differs` is called, unless it changes until then."""
    with suppress(OSError):
        _given.of(_path(instance, fleet))


def _path(instance: str, fleet: Fleet) -> str:
    return f"{fleet.secrets_path(instance)}/{ENV_FILE}"


def _read(path: str) -> dict[str, object] | None:
    """Return the file's variables; None for any other bytes than we would write of them. Raises OSError."""
    raw = strict_json.read_bytes(path, MAX_BYTES)
    try:
        content = strict_json.parse_bytes(raw)
    except strict_json.JsonFault:
        return None
    is_ours = isinstance(content, dict) and atomic_file.encode_json(content) == raw
    return content if is_ours and isinstance(content, dict) else None


_given = KeptContent(_read)


def read(path: Path) -> dict[str, str] | None:
    """Return the variables in an env file; None if it cannot be read."""
    try:
        content = strict_json.read(path)
    except strict_json.JsonFault:
        return None
    return {name: str(value) for name, value in content.items()} if isinstance(content, dict) else None
