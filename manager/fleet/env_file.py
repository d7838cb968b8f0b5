"""Locate an instance's env file, and check whether a start would change it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.util import atomic_file, strict_json

ENV_FILE = "env.json"
STAGED_FILE = ".env.next.json"


def env_differs(spec: InstanceSpec, fleet: Fleet, values: Mapping[str, str]) -> bool:
    """Return whether the env file differs from these values.

    A missing one does, an unreadable one does not.
    """
    wanted = atomic_file.encode_json(dict(values))
    try:
        return strict_json.read_bytes(f"{fleet.secrets_path(spec.id)}/{ENV_FILE}", len(wanted)) != wanted
    except PermissionError:
        return False
    except OSError:
        return True
