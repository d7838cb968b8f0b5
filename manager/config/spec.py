"""Build the `InstanceSpec` of a config: everything that determines an instance's container. Pure.

A spec depends on neither the machine nor the moment: no absolute path, no uid, no value of a variable.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from manager.config.account_names import read_as
from manager.config.bot_argv import bot_argv, number_text
from manager.config.container_paths import DATA_AT
from manager.config.fleet import DEFAULT_LOG_DAY_MB, STOP_GRACE_S, Fleet
from manager.config.variables import is_secret, references, scalar_values
from manager.typed import TYPE_CHECKING, NamedTuple
from manager.util.formatting import MIB

if TYPE_CHECKING:
    from manager.config.models import InstanceConfig

SPEC_VERSION = 1
"""Part of the hash: raise it when a change of the container's definition requires new containers."""

SHARED_LOG_DIR = "logs"
"""The log folder in configs of the old system, in which all instances shared one folder."""

BOT_ID = 10001
"""The bots' uid and gid where root owns the data folder: a bot never runs as root."""


class Variable(NamedTuple):
    """Hold a variable that the bot receives. `default` is the one in the config, or None.

    `read_as`: the name under which the bot reads its value, if that is another one: a second account's.
    """

    name: str
    default: str | None
    secret: bool
    read_as: str | None = None


class InstanceSpec(NamedTuple):
    """Describe one instance's container. Sizes in bytes, CPU in billionths of a core, times in seconds."""

    id: str
    config_file: str
    exchange: str
    symbol: str
    strategy: str
    market_type: str
    mode: str
    web_port: int | None
    log_dir: str
    db_path: str
    command: tuple[str, ...]
    settings: dict[str, str]
    stop_timeout: int
    memory: int
    nano_cpus: int
    variables: tuple[Variable, ...] = ()
    literals: Mapping[str, str] = MappingProxyType({})
    """A legacy file's `environment`: name → text, which may contain `${…}`."""
    tags: tuple[str, ...] = ()

    @property
    def db_name(self) -> str:
        return self.db_path.rpartition("/")[2]

    @property
    def market(self) -> tuple[str, str]:
        """Return (exchange, symbol)."""
        return self.exchange, self.symbol

    @property
    def container_stop_timeout(self) -> int:
        """Return the seconds that the engine waits before it kills the container."""
        return self.stop_timeout + STOP_GRACE_S

    def environment(self) -> dict[str, str]:
        """Return the container's own environment, visible to everyone who can inspect the container."""
        return {
            "WEB_PORT": str(self.web_port),
            "WEB_HOST": "0.0.0.0",
            "DB_PATH": f"{DATA_AT}/{self.db_name}",
            "ENABLE_DATABASE": "1",
            "TRADING_MODE": self.mode,
            "BOTFLEET_INSTANCE": self.id,
            **self.settings,
        }

    def with_port(self, port: int) -> "InstanceSpec":
        """Return the same spec with the port assigned to it."""
        return self._replace(web_port=port)


def build(config: "InstanceConfig", instance_id: str, config_file: str, fleet: Fleet) -> InstanceSpec:
    """Return the spec of a valid config. `web_port` is None where the config names none."""
    daemon, metadata = config.daemon_config, config.metadata
    return InstanceSpec(
        id=instance_id,
        config_file=config_file,
        exchange=metadata.exchange,
        symbol=metadata.symbol,
        strategy=metadata.strategy,
        market_type=metadata.market_type or _market_type(metadata.symbol),
        mode=config.mode or fleet.mode,
        web_port=daemon.web_port,
        log_dir=log_dir(config, instance_id),
        db_path=daemon.db_path or f"database/{instance_id}.db",
        command=bot_argv(config),
        settings=_supervisor_settings(config, fleet),
        stop_timeout=daemon.bot_stop_timeout,
        memory=daemon.memory_limit_mb * MIB,
        nano_cpus=round(daemon.cpu_limit_percent * 10_000_000),
        variables=_variables(config, fleet),
        literals=dict(config.environment),
        tags=metadata.tags,
    )


def log_dir(config: "InstanceConfig", instance_id: str) -> str:
    """Return the instance's log folder below the data folder; the old shared `logs` becomes `logs/ID`."""
    configured = config.daemon_config.log_dir or SHARED_LOG_DIR
    return f"logs/{instance_id}" if configured == SHARED_LOG_DIR else configured


def config_hash(spec: InstanceSpec, fleet: Fleet) -> str:
    """Return the SHA-256, 64 hex digits, of everything that requires a new container when it changes.

    Excluded: uid, time zone, absolute paths, values of variables, description, tags.
    """
    import hashlib  # loads OpenSSL, 3 ms: read-only commands mostly have the hash from the cache

    relevant = {
        "version": SPEC_VERSION,
        "image": fleet.image_name,
        "command": spec.command,
        "environment": spec.environment(),
        "port": [fleet.bind_address, spec.web_port],
        "folders": [spec.log_dir, spec.db_path],
        "variables": sorted({variable.name for variable in spec.variables} | set(spec.literals)),
        "limits": [spec.memory, spec.nano_cpus, fleet.pids_limit, fleet.tmp_size_mb],
        "engine_logs": [fleet.log_max_size_mb, fleet.log_max_files],
        "health": fleet.engine_health_interval,
        "stop_timeout": spec.container_stop_timeout,
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _market_type(symbol: str) -> str:
    return "perp" if symbol.upper().endswith("PERP") else "spot"


def _supervisor_settings(config: "InstanceConfig", fleet: Fleet) -> dict[str, str]:
    daemon = config.daemon_config
    settings = {
        "BOTFLEET_AUTO_RESTART": "1" if daemon.auto_restart else "0",
        "BOTFLEET_MAX_RESTARTS": str(daemon.max_restart_attempts),
        "BOTFLEET_RESTART_DELAY": number_text(daemon.restart_delay),
        "BOTFLEET_HEALTH_INTERVAL": number_text(daemon.health_check_interval),
        "BOTFLEET_UNHEALTHY_PROBES": str(daemon.unhealthy_probes),
        "BOTFLEET_STOP_TIMEOUT": str(daemon.bot_stop_timeout),
        "BOTFLEET_LOG_CLEANUP_INTERVAL": number_text(daemon.log_cleanup_interval),
        "BOTFLEET_LOG_RETENTION_DAYS": str(daemon.log_retention_days),
    }
    if (
        fleet.log_day_mb != DEFAULT_LOG_DAY_MB
    ):  # the default is in no container: it would recreate all of them
        settings["BOTFLEET_LOG_DAY_LIMIT"] = str(fleet.log_day_mb)
    if daemon.health_path != "/health":
        settings["BOTFLEET_HEALTH_PATH"] = daemon.health_path
    if daemon.crash_exit_codes is not None:
        settings["BOTFLEET_CRASH_EXIT_CODES"] = ",".join(map(str, daemon.crash_exit_codes))
    if daemon.completion != "exit":
        settings["BOTFLEET_COMPLETION"] = daemon.completion
        if config.strategy_config.duration is not None:
            settings["BOTFLEET_DURATION"] = number_text(config.strategy_config.duration)
    return settings


def _variables(config: "InstanceConfig", fleet: Fleet) -> tuple[Variable, ...]:
    """Return the variables that exchange_config references, in order of first mention."""
    variables: dict[str, Variable] = {}
    for scalar in scalar_values(config.exchange_config):
        for name, default in references(scalar.text):
            is_known = is_secret(name) or fleet.is_declared_secret(name)
            first = variables.setdefault(name, Variable(name, default, is_known))
            if scalar.is_secret:
                variables[name] = first._replace(secret=True)
    if fleet.is_bundled_bot:
        for key, value in config.exchange_config.items():
            if isinstance(value, str) and (given := read_as(config.metadata.exchange, key, value)):
                name = next(references(value))[0]
                variables[name] = variables[name]._replace(read_as=given)
    return tuple(variables.values())
