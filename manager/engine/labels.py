"""Define the label schema: the registry of the fleet is stored on its containers.

`botfleet.*` is ours and contains what `ps` shows; `com.docker.compose.*` makes `docker compose` see the same
containers.
"""

from __future__ import annotations

SCHEMA = "1"

INSTANCE = "botfleet.instance"
SCHEMA_VERSION = "botfleet.schema"
CONFIG_FILE = "botfleet.config-file"
CONFIG_HASH = "botfleet.config-hash"
WEB_PORT = "botfleet.web-port"
LOG_DIR = "botfleet.log-dir"
DB_PATH = "botfleet.db-path"
EXCHANGE = "botfleet.exchange"
SYMBOL = "botfleet.symbol"
STRATEGY = "botfleet.strategy"
MARKET_TYPE = "botfleet.market-type"
MODE = "botfleet.mode"
STOP_TIMEOUT = "botfleet.stop-timeout"

SUPERVISOR = "botfleet.supervisor"
"""On an image: the version of its supervisor's contract (docker/README.md)."""
OLDEST_CONTRACT, NEWEST_CONTRACT = 1, 1
"""The versions that this manager works with.

Only the newest is ever raised: a fleet may be older than the manager.
"""
OPEN_ORDERS = "botfleet.open-orders"
"""On an image and its containers: the program that asks the exchange for open orders.

Empty or missing: none.
"""
CLOSE_POSITION = "botfleet.close-position"
"""On an image and its containers: the program that closes the position of a bot that is down.

Empty or missing: none.
"""

PREFLIGHT = "botfleet.preflight"
"""On an image: the program that checks a live run before its first order. Empty or missing: none."""

VARIABLES = "botfleet.variables"
"""On an image: the variables that its bot reads, comma-separated. Configs may reference them."""

ASKED_FOR = "botfleet.asked-for"
"""On a one-off container: the instance it works for.

It has no INSTANCE label, so that it is not taken for one.
"""

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_ONEOFF = "com.docker.compose.oneoff"
COMPOSE_NUMBER = "com.docker.compose.container-number"
COMPOSE_WORKING_DIR = "com.docker.compose.project.working_dir"
COMPOSE_CONFIG_FILES = "com.docker.compose.project.config_files"
COMPOSE_CONFIG_HASH = "com.docker.compose.config-hash"
COMPOSE_IMAGE = "com.docker.compose.image"
COMPOSE_DEPENDS_ON = "com.docker.compose.depends_on"
COMPOSE_NETWORK = "com.docker.compose.network"


def of_compose(
    *, fleet: str, instance: str, project_dir: str, compose_file: str, config_hash: str, image_id: str
) -> dict[str, str]:
    """Return the labels that Compose itself would set on the container of service `instance`; paths are
    absolute.
    """
    return {
        COMPOSE_PROJECT: fleet,
        COMPOSE_SERVICE: instance,
        COMPOSE_ONEOFF: "False",
        COMPOSE_NUMBER: "1",
        COMPOSE_WORKING_DIR: project_dir,
        COMPOSE_CONFIG_FILES: compose_file,
        COMPOSE_CONFIG_HASH: config_hash,
        COMPOSE_IMAGE: image_id,
        COMPOSE_DEPENDS_ON: "",
    }


def of_network(fleet: str) -> dict[str, str]:
    """Return the labels without which `docker compose up` rejects a network that it did not create."""
    return {COMPOSE_PROJECT: fleet, COMPOSE_NETWORK: "default"}


def is_known_contract(version: str, newest: int = NEWEST_CONTRACT) -> bool:
    """Return whether this manager supports an image whose label SUPERVISOR is `version`."""
    return is_contract(version) and OLDEST_CONTRACT <= int(version) <= newest


def is_contract(version: str) -> bool:
    """Return whether it is a contract version; an image without our supervisor has none."""
    return version.isascii() and version.isdigit()


def fleet_filter(fleet: str) -> list[str]:
    """Return label filters for the engine's list call that select every container of the fleet."""
    return [f"{COMPOSE_PROJECT}={fleet}", INSTANCE]


def folder_filter(project_dir: str) -> list[str]:
    """Return label filters that select the containers of a project folder, whatever its fleet's name."""
    return [f"{COMPOSE_WORKING_DIR}={project_dir}", INSTANCE]


def of_oneoff(fleet: str, instance: str) -> dict[str, str]:
    """Return the labels of a one-off container, which is not an instance for us or for Compose."""
    return {ASKED_FOR: instance, COMPOSE_PROJECT: fleet, COMPOSE_SERVICE: instance, COMPOSE_ONEOFF: "True"}


def oneoff_filter(fleet: str) -> list[str]:
    """Return label filters that select one-offs left behind by a killed manager."""
    return [f"{COMPOSE_PROJECT}={fleet}", ASKED_FOR]
