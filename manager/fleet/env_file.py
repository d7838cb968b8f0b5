"""An instance's env file: where it is, and whether a start would change it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.util import atomic_file, strict_json

ENV_FILE = "env.json"
STAGED_FILE = ".env.next.json"


def env_differs(spec: InstanceSpec, fleet: Fleet, values: Mapping[str, str]) -> bool:
    """Whether the env file holds something else than these values; a missing one does, one out of our sight may not."""
    wanted = atomic_file.encode_json(dict(values))
    try:
        return strict_json.read_bytes(fleet.secrets_dir(spec.id) / ENV_FILE, len(wanted)) != wanted
    except PermissionError:
        return False
    except OSError:
        return True
