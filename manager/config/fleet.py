"""Hold the fleet's settings, and the path of each of its files on the host. Plain data, no effects."""

import os
from functools import lru_cache
from pathlib import Path

from manager.config.variables import references
from manager.typed import TYPE_CHECKING, Literal, NamedTuple
from manager.util import formatting, wildcard
from manager.util.late_pattern import late_pattern

if TYPE_CHECKING:
    from decimal import Decimal  # 2 ms, and few fleets have amounts in their settings

NAME_PATTERN = late_pattern(r"[a-z0-9][a-z0-9_-]*")
HOST_PATTERN = late_pattern(r"[a-z0-9][a-z0-9_-]{0,31}")
"""The names of machines: in config/hosts.toml, and in a config's `host`."""

MAX_SETTINGS_BYTES = 1_000_000
"""Of config/fleet.toml."""
DEFAULT_PARALLELISM = 64
"""Concurrent engine calls of a changing command. The engine queues them well: `up` of 40 takes 6.9 s with 8
at once and 5.8 s with 64, and with 64 the last call still ends long before its timeout."""
DEFAULT_LOG_DAY_MB = 256
"""The supervisor's own default, of which containers are told nothing."""
DEFAULT_STOP_TIMEOUT_S = 45
"""bot_stop_timeout, also of the supervisor."""
STOP_GRACE_S = 5
"""Added to the bot's stop timeout, so that the supervisor can kill, record and report before it is killed."""

DEFAULT_PASSED_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "*_API_URL",
    "BOT_WEB_TOKEN",
    "BOT_WEB_HOSTS",
    "GRIDBOT_*",
)
"""Passed to every bot if set. The last three are the bundled bot's: its page's token and names, and its
market settings."""


class Alerts(NamedTuple):
    """Hold `[alerts]` of config/fleet.toml: when `manager watch` sends alerts, and where.

    Times in seconds; 0 disables a rule.
    """

    urls: tuple[str, ...] = ()
    """Each a `${NAME}`: the addresses are secrets, so they are in .env."""
    down_after: int = 15
    unhealthy_after: int = 120
    crash_loop_restarts: int = 2
    crash_loop_window: int = 900
    exchange_away_after: int = 300
    out_of_range_after: int = 1800
    """Of live bots: the price has left their range, so that nothing can fill."""
    endless_restarts: int = 5
    """Restarts since a bot was last healthy, those that spend no budget included."""
    engine_away_after: int = 60
    disk_free_mb: int = 2048
    inodes_free_percent: int = 5
    no_tick_after: int = 300
    no_trade_after: int = 0
    no_log_after: int = 0
    recovered_after: int = 60
    remind_after: int = 21600
    message_interval: int = 30
    digest_at: str = "08:00"
    heartbeat: str = ""
    """An address, or `${NAME}`, that is asked for every minute: who listens there notices that this
    stopped.
    """


class Sums(NamedTuple):
    """Hold `[sums]` of config/fleet.toml: how amounts of several currencies are added up; without it they are
    not.

    `rates`: (currency, how much of `currency` one of it is).
    """

    currency: str = ""
    rates: "tuple[tuple[str, Decimal], ...]" = ()


class Limits(NamedTuple):
    """Hold `[limits]` of config/fleet.toml: what may be lost on one day, in the currency of `Sums`; 0 is no
    limit.
    """

    fleet_daily_loss: "Decimal | int" = 0
    account_daily_loss: "Decimal | int" = 0
    on_loss: Literal["alert", "halt"] = "alert"


class HistoryRules(NamedTuple):
    """Hold `[history]` of config/fleet.toml: how much of it `manager watch` keeps."""

    keep_days: int = 730
    max_mb: int = 256


class DiskRules(NamedTuple):
    """Hold `[disk]` of config/fleet.toml: when `manager watch` tells of growing folders, and when it stops a
    bot.

    0 is no limit.
    """

    growth_mb: int = 1024
    growth_files: int = 20_000
    instance_mb: int = 0
    instance_files: int = 0
    keep_free_mb: int = 1024
    keep_free_inodes_percent: int = 2


class Fleet(NamedTuple):
    """Hold the resolved settings of config/fleet.toml.

    Paths are absolute; sizes in MiB, intervals in seconds.
    """

    name: str
    project_dir: Path
    data_dir: Path
    mode: str = "paper"
    image: str = ""
    bot_dir: str = ""
    bind_address: str = "127.0.0.1"
    variables: tuple[str, ...] = DEFAULT_PASSED_VARIABLES
    config_variables: tuple[str, ...] = ()
    """What configs may reference besides `variables` and their exchange's own; names or patterns."""
    image_variables: tuple[str, ...] = ()
    """What the image of the user's own bot allows configs to reference; from the image, not fleet.toml."""
    secret_variables: tuple[str, ...] = ()
    """What is a secret although its name does not tell; names or patterns."""
    parallelism: int = DEFAULT_PARALLELISM
    allow_shared_credentials: bool = False
    strict_configs: bool = False
    accept_unverified: bool | tuple[str, ...] = False
    """What is unverified of exchanges that live bots trade on: of all of them, or of these."""
    pids_limit: int = 256
    tmp_size_mb: int = 64
    log_max_size_mb: int = 10
    log_max_files: int = 3
    log_day_mb: int = DEFAULT_LOG_DAY_MB
    engine_health_interval: int = 60
    egress: bool | tuple[str, ...] = False
    """True: neither this machine's services nor its provider's metadata are reached. A list: only these."""
    backup_keep: int = 0
    backup_keep_days: int = 0
    alerts: Alerts = Alerts()
    sums: Sums = Sums()
    limits: Limits = Limits()
    history: HistoryRules = HistoryRules()
    disk: DiskRules = DiskRules()
    requests: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    """`[requests.EXCHANGE]`: exchange, and what it changes in the table of request limits."""
    host: str = ""
    """This machine's name in the `host` of configs; empty for the one that its system has."""

    @property
    def host_name(self) -> str:
        """Return this machine's name in the `host` of configs."""
        return self.host or os.uname().nodename.partition(".")[0].lower()

    @property
    def image_name(self) -> str:
        """Return the image of every container of the fleet. It is local and never pulled."""
        return self.image or f"{self.name}-bot:local"

    @property
    def alert_variables(self) -> frozenset[str]:
        """Return the variables of `[alerts]`, which no bot receives."""
        texts = (*self.alerts.urls, self.alerts.heartbeat)
        return frozenset(name for text in texts for name, _default in references(text))

    def is_declared_secret(self, name: str) -> bool:
        """Return whether config/fleet.toml says that this variable is a secret."""
        return name in self.alert_variables or any(
            wildcard.matches(name, pattern) for pattern in self.secret_variables
        )

    @property
    def accepted_exchanges(self) -> tuple[str, ...]:
        """Return the exchanges that `accept_unverified` names."""
        return () if isinstance(self.accept_unverified, bool) else self.accept_unverified

    def accepts_unverified(self, exchange: str) -> bool:
        """Return whether live bots may trade on this exchange although not all is verified."""
        return self.accept_unverified is True or exchange in self.accepted_exchanges

    @property
    def is_bundled_bot(self) -> bool:
        """Return whether the fleet runs the bot that ships with the project."""
        return not self.image and not self.bot_dir

    @property
    def network(self) -> str:
        """Return the name of the fleet's network, the one that Compose would give it."""
        return f"{self.name}_default"

    @property
    def config_dir(self) -> Path:
        """Return the folder of the instance configs."""
        return self.project_dir / "config" / "active"

    @property
    def hosts_file(self) -> Path:
        """Return the file that names the trader's other machines."""
        return self.project_dir / "config" / "hosts.toml"

    @property
    def dotenv_file(self) -> Path:
        """Return the file of credentials and other variables, beside compose.yaml as Compose expects it."""
        return self.project_dir / ".env"

    @property
    def compose_file(self) -> Path:
        """Return the file that `manager compose` writes."""
        return self.project_dir / "compose.yaml"

    @property
    def state_dir(self) -> Path:
        """Return the folder of the manager's own files and of each supervisor's state."""
        return _below(self.data_dir, "state")

    @property
    def moves_dir(self) -> Path:
        """Return the folder of the journals of moves between machines; it is there once one was begun."""
        return self.state_dir / "moves"

    @property
    def state_file(self) -> Path:
        """Return the file of what labels cannot hold: desired states, assigned ports, first registration."""
        return self.state_dir / "fleet.json"

    @property
    def upgrade_records_file(self) -> Path:
        """Return the file that records each instance's revision before its last upgrade."""
        return self.state_dir / "history.json"

    @property
    def rollback_env_dir(self) -> Path:
        """Return the folder of the env files of earlier revisions.

        It is private and mounted into no container.
        """
        return self.all_secrets_dir / ".rollback"

    @property
    def preflight_dir(self) -> Path:
        """Return the folder of the env files of one-offs that check a run before its first order."""
        return self.all_secrets_dir / ".preflight"

    @property
    def lock_file(self) -> Path:
        """Return the lock held by the one manager that changes the fleet."""
        return self.state_dir / "fleet.lock"

    @property
    def watch_lock_file(self) -> Path:
        """Return the lock held by the fleet's one `manager watch`."""
        return self.state_dir / "watch.lock"

    @property
    def alert_state_file(self) -> Path:
        """Return the file in which `manager watch` records its open alerts and last observations."""
        return self.state_dir / "watch.json"

    @property
    def snooze_file(self) -> Path:
        """Return the file of what a person has snoozed until a time, by `manager alert snooze`."""
        return self.state_dir / "snoozed.json"

    @property
    def history_file(self) -> Path:
        """Return the SQLite file of the fleet's history, which `manager watch` writes."""
        return self.state_dir / "history.db"

    @property
    def bot_options_file(self) -> Path:
        """Return the file in which `manager build` keeps which options a bot of the user's own has."""
        return self.state_dir / "bot_options.json"

    @property
    def probed_file(self) -> Path:
        """Return the file that names the engines whose containers were seen to write to the folders."""
        return self.state_dir / "probed.json"

    @property
    def image_variables_file(self) -> Path:
        """Return the file that remembers which variables the image of the user's own bot names."""
        return self.state_dir / "image_variables.json"

    @property
    def egress_file(self) -> Path:
        """Return the file that notes the firewall rules this fleet has, with its proxies' addresses."""
        return self.state_dir / "egress.json"

    @property
    def disk_file(self) -> Path:
        """Return the file in which `manager watch` keeps the sizes of the instances' folders."""
        return self.state_dir / "disk.json"

    @property
    def event_spool_file(self) -> Path:
        """Return the file to which commands append what they did, for the history."""
        return self.state_dir / "events.jsonl"

    @property
    def export_file(self) -> Path:
        """Return the path of `instances.json`, written for readers of the old system."""
        return self.data_dir / "logs" / "instances.json"

    @property
    def targets_file(self) -> Path:
        """Return the file in which Prometheus finds the bots' own metrics."""
        return self.state_dir / "targets.json"

    @property
    def web_host(self) -> str:
        """Return the address at which this machine reaches the instances' published ports."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind_address, self.bind_address).strip("[]")

    @property
    def backup_dir(self) -> Path:
        """Return where backups are written unless `--to` is given."""
        return self.data_dir / "backups"

    def web_address(self, port: int) -> str:
        """Return the URL of an instance's web page on this machine."""
        return f"http://{formatting.host_port(self.web_host, port)}"

    def container_name(self, instance: str) -> str:
        """Return `{fleet}-{instance}`."""
        return f"{self.name}-{instance}"

    def instance_state_dir(self, instance: str) -> Path:
        """Return the folder mounted at /botfleet/state."""
        return _below(self.data_dir, "state", instance)

    @property
    def all_secrets_dir(self) -> Path:
        """Return the folder of all instances' env files and halt marks, 0700."""
        return self.data_dir / "secrets"

    def secrets_dir(self, instance: str) -> Path:
        """Return the folder mounted at /botfleet/secrets, read-only in the container and 0700 on the host."""
        return _below(self.data_dir, "secrets", instance)

    def secrets_path(self, instance: str) -> str:
        """Return the same as text: a path object takes longer than looking whether there is a file."""
        return f"{self.data_dir}/secrets/{instance}"

    def database_dir(self, instance: str) -> Path:
        """Return the folder mounted at /data: this instance's database with its -wal and -shm."""
        return _below(self.data_dir, "database", instance)

    def log_dir(self, name: str) -> Path:
        """Return a folder of logs, whose name is below the data folder."""
        return _below(self.data_dir, name)

    def restoring_dir(self, instance: str) -> Path:
        """Return where a database is restored before it is moved into place.

        An existing one is an interrupted restore's.
        """
        return self.data_dir / "database" / f".restoring-{instance}"

    def relative(self, path: Path) -> str:
        """Return the path as users and old readers write it: relative to the project if it is inside it."""
        return _relative(path, self.project_dir)


@lru_cache(maxsize=8192)
def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


@lru_cache(maxsize=8192)
def _below(folder: Path, *names: str) -> Path:
    """Return a path below the folder, the same object each time: a look at hundreds joins thousands."""
    return folder.joinpath(*names)
