"""Read what the engine keeps of a container on this machine's disk, where this user may: it costs no call.

The list of containers has neither limits nor restart policy, and an inspect is a call for each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from manager.util import kernel_file

SETTINGS = "/etc/docker/daemon.json"
ROOTS = (
    "/var/lib/docker",
    "~/.local/share/docker",
    "/var/snap/docker/common/var-lib-docker",
)
"""Where engines keep their data: root's own, a rootless one, Ubuntu's snap."""
MAX_BYTES = 1 << 18


def host_config(container_id: str) -> dict[str, Any] | None:
    """Return a container's HostConfig, as an inspect does; None where it cannot be read."""
    for folder in _folders():
        if text := kernel_file.read(f"{folder}/{container_id}/hostconfig.json", MAX_BYTES):
            try:
                content = json.loads(text)
            except ValueError:
                return None
            return content if isinstance(content, dict) else None
    return None


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
