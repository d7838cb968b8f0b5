"""Read what the engine keeps of a container on this machine's disk, where this user may: it costs no call.

The list of containers has neither limits, restart policy nor variables, and an inspect is a call for each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from manager.typed import Any
from manager.util import kernel_file
from manager.util.kept_content import KeptContent

SETTINGS = "/etc/docker/daemon.json"
ROOTS = (
    "/var/lib/docker",
    "~/.local/share/docker",
    "/var/snap/docker/common/var-lib-docker",
)
"""Where engines keep their data: root's own, a rootless one, Ubuntu's snap."""
MAX_BYTES = 1 << 18
MOST_KEPT = 1000
"""Containers whose Config is kept; a fleet has fewer."""
DECODER = json.JSONDecoder()

_configs: dict[str, dict[str, Any]] = {}


def host_config(container_id: str) -> dict[str, Any] | None:
    """Return a container's HostConfig, as an inspect does; None where it cannot be read."""
    for folder in _folders():
        try:
            content = _host_configs.of(f"{folder}/{container_id}/hostconfig.json")
        except OSError:
            continue
        if content is not None:
            return content
    return None


def _host_config(path: str) -> dict[str, Any] | None:
    try:
        content = json.loads(kernel_file.read(path, MAX_BYTES))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


_host_configs = KeptContent(_host_config)


def config(container_id: str) -> Mapping[str, Any] | None:
    """Return a container's Config, as an inspect does; None where it cannot be read.

    It is read once: nothing changes it as long as the container lives.
    """
    if container_id not in _configs and (present := _config(_text(container_id, "config.v2.json"))):
        while len(_configs) >= MOST_KEPT:
            del _configs[next(iter(_configs))]
        _configs[container_id] = present
    return _configs.get(container_id)


def _config(text: str) -> dict[str, Any] | None:
    """Return the part of the file that is wanted, in a third of the time; its key stands in no string, whose
    quotes have backslashes.
    """
    _before, key, rest = text.partition('"Config":')
    try:
        content, _end = DECODER.raw_decode(rest) if key else (None, 0)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _text(container_id: str, name: str) -> str:
    paths = (f"{folder}/{container_id}/{name}" for folder in _folders())
    return next((text for path in paths if (text := kernel_file.read(path, MAX_BYTES))), "")


@cache
def _folders() -> tuple[str, ...]:
    """Return the folders of containers that this user can look into."""
    roots = dict.fromkeys((*_configured(), *(str(Path(root).expanduser()) for root in ROOTS)))
    return tuple(folder for root in roots if os.access(folder := f"{root}/containers", os.X_OK))


def _configured() -> tuple[str, ...]:
    try:
        settings = json.loads(kernel_file.read(SETTINGS, MAX_BYTES) or "{}")
    except ValueError:
        return ()
    root = settings.get("data-root") if isinstance(settings, Mapping) else None
    return (root,) if isinstance(root, str) else ()
