"""Compute Compose's own hash of each service with the installed Compose, and cache it.

With the right hash in a container's label, `docker compose up -d` keeps it; with a wrong one it recreates a
live bot. What was rendered for Compose is remembered with it: whether the present compose.yaml is that text
is then known without YAML.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from manager import __version__
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.errors import ManagerError
from manager.i18n import Text
from manager.typed import Any
from manager.util import atomic_file, ownership, source_stamp
from manager.util.real_path import real_path

PLUGIN_DIRS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
TIMEOUT_S = 60
CACHE_FILE = "compose-hashes.json"


def service_hashes(
    specs: Collection[InstanceSpec],
    fleet: Fleet,
    variables: Mapping[str, str],
    warn: Callable[[object], object],
) -> dict[str, str]:
    """Return service → its hash by `docker compose config --hash`; empty without Compose v2.

    `variables`: those that the file interpolates (BOTFLEET_UID, BOTFLEET_GID), as Compose will find them.
    Also empty if Compose fails, which `warn` is told: it is optional, and no bot must wait for it.
    """
    plugin = _plugin()
    if plugin is None:
        return {}
    used = {name: variables[name] for name in ("BOTFLEET_UID", "BOTFLEET_GID") if variables.get(name)}
    key = _key(specs, used, plugin, fleet)
    cache = fleet.state_dir / CACHE_FILE
    known = _remembered(cache, key)
    if known is not None:
        return known
    from manager.engine import compose_file  # YAML, and 3 ms a service: only for what has changed

    text = compose_file.render(specs, fleet)
    try:
        hashes = _asked(text, fleet, used)
    except ManagerError as error:
        warn(Text("{why}; a later `docker compose up` will recreate the containers", why=error))
        return {}
    _remember(cache, {"key": key, "hashes": hashes, "file": _digest(text, specs, fleet)})
    return hashes


def is_rendered_from(text: str, specs: Collection[InstanceSpec], fleet: Fleet) -> bool:
    """Return whether compose.yaml with this text is certainly what these specs are rendered as.

    Rendering takes 2 ms an instance, after 20 ms for YAML, while the bots that were just started need the
    machine. False where it is not known.
    """
    remembered = _read(fleet.state_dir / CACHE_FILE).get("file")
    return remembered is not None and remembered == _digest(text, specs, fleet)


def _plugin() -> Path | None:
    """Return the Compose that `docker compose` runs: the user's own, else the system's."""
    folders = [Path(folder) for folder in PLUGIN_DIRS]
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        folders.insert(0, Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins")
    for folder in folders:
        path = folder / "docker-compose"
        if path.is_file() and os.access(path, os.X_OK):
            return real_path(path)
    return None


def _key(specs: Collection[InstanceSpec], used: Mapping[str, str], plugin: Path, fleet: Fleet) -> str:
    """Return the cache key: everything that determines the file, its variables, its path, and the plugin."""
    status = plugin.stat()
    facts = [
        *_facts(specs, fleet),
        sorted(used.items()),
        str(plugin),
        status.st_size,
        status.st_mtime_ns,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _facts(specs: Collection[InstanceSpec], fleet: Fleet) -> list[Any]:
    """Return everything that determines the file."""
    return [
        __version__,
        source_stamp.of_loaded("config", "engine"),
        [spec._replace(literals=dict(spec.literals)) for spec in specs],
        [str(value) for value in fleet],
    ]


def _digest(text: str, specs: Collection[InstanceSpec], fleet: Fleet) -> str:
    """Return what changes with the file's text and with what determines it."""
    return hashlib.sha256(json.dumps([text, *_facts(specs, fleet)]).encode()).hexdigest()


def _asked(text: str, fleet: Fleet, used: Mapping[str, str]) -> dict[str, str]:
    command = [
        "docker",
        "compose",
        "--project-directory",
        str(fleet.project_dir),
        "-f",
        "-",
        "config",
        "--hash",
        "*",
    ]
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "BOTFLEET_"))
    }
    try:
        completed = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env={**environ, **used},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerError("cannot get hashes from `docker compose`: {why}", why=error) from error
    if completed.returncode:
        raise ManagerError("`docker compose` rejects the rendered file: {why}", why=completed.stderr.strip())
    return dict(line.split(maxsplit=1) for line in completed.stdout.splitlines() if " " in line)


def _remembered(cache: Path, key: str) -> dict[str, str] | None:
    """Return the cached hashes, if nothing has changed since."""
    content = _read(cache)
    try:
        return dict(content["hashes"]) if content["key"] == key else None
    except (ValueError, KeyError, TypeError):
        return None


def _read(cache: Path) -> dict[str, Any]:
    """Return the cache's content; empty without one, and for a damaged one."""
    try:
        content = json.loads(cache.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(cache: Path, content: Mapping[str, Any]) -> None:
    try:
        ownership.make_folder(cache.parent)
        atomic_file.write_atomically(cache, dict(content), durable=False)
    except OSError:
        return  # only a cache: it is asked again next time
