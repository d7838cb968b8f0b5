"""Have the fleet's network, and one only: find it, create it, remove it.

An engine before version 25 that is asked twice at once creates two of one name. From then on it refuses the
name, and with it every start, until one of the two is gone.
"""

from __future__ import annotations

import time
from contextlib import suppress

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.engine.container_config import NETWORK_OPTIONS
from manager.engine.labels import of_network
from manager.errors import EngineError

RETRIES_S = (0.5, 1.0)
"""Before a network that the engine keeps without a reason is left to it."""


def find(engine: Engine, fleet: Fleet) -> str:
    """Return its id; empty if it is missing. Raises EngineError."""
    try:
        return engine.network_id(fleet.network)
    except EngineError as error:
        if not remove_doubles(engine, fleet, error):
            raise
        return engine.network_id(fleet.network)


def ensure(engine: Engine, fleet: Fleet) -> None:
    """Create it if it is missing. Raises EngineError."""
    if find(engine, fleet):
        return
    try:
        engine.create_network(fleet.network, of_network(fleet.name), NETWORK_OPTIONS)
    except EngineError as error:
        if find(engine, fleet):
            return
        if "address pool" in str(error):
            raise EngineError(
                "the engine has no addresses left for the network {network}; `docker network prune` removes"
                " unused networks",
                network=fleet.network,
            ) from error
        raise


def remove_doubles(engine: Engine, fleet: Fleet, refusal: EngineError) -> bool:
    """Remove all networks of the name but one, if that is why the engine refused. Return whether one is left.

    Of those that no container runs in, the oldest stays: containers that are down know it by its id.
    """
    if "ambiguous" not in str(refusal):
        return False
    doubles = sorted(engine.networks(fleet.network), key=lambda row: str(row.get("Created")), reverse=True)
    for double in doubles:
        if len(engine.networks(fleet.network)) > 1 and _is_of(double.get("Labels") or {}, fleet):
            engine.remove_network_if_empty(str(double["Id"]))
    return len(engine.networks(fleet.network)) == 1


def remove_if_empty(engine: Engine, fleet: Fleet) -> bool:
    """Remove it, as Compose does, and its doubles. A missing one, or one in use, is no error.

    Return whether the engine keeps one in which no container is: version 20.10 does so sometimes after many
    removals at once, and lets it go after a while.
    """
    with suppress(EngineError):
        for again_after_s in (*RETRIES_S, None):
            rows = engine.networks(fleet.network)
            for row in rows:
                engine.remove_network_if_empty(str(row["Id"]))
            left = engine.network(fleet.network) if rows else {}
            if not left or left.get("Containers"):
                return False
            if again_after_s is not None:
                time.sleep(again_after_s)
        return True
    return False


def _is_of(network_labels: dict[str, str], fleet: Fleet) -> bool:
    return of_network(fleet.name).items() <= network_labels.items()
