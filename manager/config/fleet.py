"""The fleet: its settings, and where everything of it lies on the host. Plain data, no effects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]*")

DEFAULT_PARALLELISM = 64
"""Calls that cost the engine work. It queues them better than we do (`up` of 40: 6.9 s with 8 at once, 5.8 s with 64), and with 64
the last of them still ends long before its time is out."""

DEFAULT_PASSED_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "*_API_URL",
    "BOT_WEB_TOKEN",
    "GRIDBOT_*",
)
"""What every bot is given if it is set. The last two are the bundled bot's: its page's token, its market settings."""


class Alerts(NamedTuple):
    """`[alerts]` of config/fleet.toml: when `manager watch` speaks, and to whom. Times in seconds, 0 switches a rule off."""

    urls: tuple[str, ...] = ()
    """`${NAME}` each: the addresses are secrets, and stand in .env."""
    down_after: int = 15
    unhealthy_after: int = 120
    crash_loop_restarts: int = 2
    crash_loop_window: int = 900
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


class Fleet(NamedTuple):
    """Everything config/fleet.toml can say, resolved. Paths are absolute; sizes in MiB, intervals in seconds."""

    name: str
    project_dir: Path
    data_dir: Path
    mode: str = "paper"
    image: str = ""
    bot_dir: str = ""
    bind_address: str = "127.0.0.1"
    variables: tuple[str, ...] = DEFAULT_PASSED_VARIABLES
    parallelism: int = DEFAULT_PARALLELISM
    allow_shared_credentials: bool = False
    pids_limit: int = 256
    tmp_size_mb: int = 64
    log_max_size_mb: int = 10
    log_max_files: int = 3
    engine_health_interval: int = 60
    backup_keep: int = 0
    backup_keep_days: int = 0
    alerts: Alerts = Alerts()

    @property
    def image_name(self) -> str:
        """The image every container of the fleet is made from; local, never pulled."""
        return self.image or f"{self.name}-bot:local"

    @property
    def is_bundled_bot(self) -> bool:
        """Whether exchange and strategy names are those of the bot that ships with the project."""
        return not self.image and not self.bot_dir

    @property
    def network(self) -> str:
        """The fleet's one network; Compose gives it the same name."""
        return f"{self.name}_default"

    @property
    def config_dir(self) -> Path:
        """Where the instance configs are."""
        return self.project_dir / "config" / "active"

    @property
    def dotenv_file(self) -> Path:
        """Credentials and other variables, beside compose.yaml as Compose wants it."""
        return self.project_dir / ".env"

    @property
    def compose_file(self) -> Path:
        """What `manager compose` renders."""
        return self.project_dir / "compose.yaml"

    @property
    def state_dir(self) -> Path:
        """The manager's own files, and a folder for each supervisor."""
        return self.data_dir / "state"

    @property
    def memory_file(self) -> Path:
        """What labels cannot keep: wishes, assigned ports, first registration."""
        return self.state_dir / "fleet.json"

    @property
    def history_file(self) -> Path:
        """What each instance was before its last upgrade."""
        return self.state_dir / "history.json"

    @property
    def kept_env_dir(self) -> Path:
        """The env files that belong to the history: private, and mounted into no container."""
        return self.data_dir / "secrets" / ".rollback"

    @property
    def lock_file(self) -> Path:
        """Held by the one manager that changes the fleet."""
        return self.state_dir / "fleet.lock"

    @property
    def watch_lock_file(self) -> Path:
        """Held by the one `manager watch` of the fleet."""
        return self.state_dir / "watch.lock"

    @property
    def watch_file(self) -> Path:
        """What `manager watch` has said already, and what it saw last."""
        return self.state_dir / "watch.json"

    @property
    def export_file(self) -> Path:
        """`instances.json`, for the readers of the old system."""
        return self.data_dir / "logs" / "instances.json"

    @property
    def web_host(self) -> str:
        """The address under which this machine reaches what its instances publish."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind_address, self.bind_address).strip("[]")

    @property
    def backup_dir(self) -> Path:
        """Where backups go unless `--to` says otherwise."""
        return self.data_dir / "backups"

    def web_address(self, port: int) -> str:
        """Where a browser on this machine finds an instance's page."""
        host = self.web_host
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def container_name(self, instance: str) -> str:
        """`{fleet}-{instance}`."""
        return f"{self.name}-{instance}"

    def instance_state_dir(self, instance: str) -> Path:
        """Mounted at /botfleet/state."""
        return self.state_dir / instance

    def secrets_dir(self, instance: str) -> Path:
        """Mounted at /botfleet/secrets, read-only in the container, 0700 on the host."""
        return self.data_dir / "secrets" / instance

    def database_dir(self, instance: str) -> Path:
        """Mounted at /data: the database with its -wal and -shm, and no other instance's."""
        return self.data_dir / "database" / instance

    def restoring_dir(self, instance: str) -> Path:
        """Where a restored database lies until it is whole; one that is there belongs to a restore that was killed."""
        return self.data_dir / "database" / f".restoring-{instance}"

    def relative(self, path: Path) -> str:
        """The path as people and old readers write it: relative to the project where it lies in it."""
        return str(path.relative_to(self.project_dir)) if path.is_relative_to(self.project_dir) else str(path)
