"""A stand-in for the old system: a folder with configs, databases and logs, and a daemon and bots that really
run.

The daemon does what the old one was seen to do: it restarts a bot that is stopped alone, and is stopped by
SIGTERM.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from tests.fleet import eventually

DAEMON = """
import json, os, signal, subprocess, sys, time
config = sys.argv[sys.argv.index("--config") + 1]
loaded = json.load(open(config))
instance = loaded.get("metadata", loaded)["instance_id"]
folder = os.path.join("logs", instance)
os.makedirs(folder, exist_ok=True)
open(os.path.join(folder, "daemon.pid"), "w").write(str(os.getpid()))
stopping = False
def stop(*_):
    global stopping
    stopping = True
    bot.terminate()
signal.signal(signal.SIGTERM, stop)
while not stopping:
    database = os.path.join("database", instance + ".db")
    bot = subprocess.Popen([sys.executable, "run.py", database, *sys.argv[4:]])
    open(os.path.join(folder, "bot.pid"), "w").write(str(bot.pid))
    bot.wait()
bot.wait()
"""

BOT = """
import signal, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE IF NOT EXISTS old_trades (id INTEGER PRIMARY KEY)")
def stop(*_):
    if "deaf" not in sys.argv:
        time.sleep(0.3)  # cancelling its orders
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while True:
    with database:
        database.execute("INSERT INTO old_trades DEFAULT VALUES")
    time.sleep(0.02)
"""


class OldFolder:
    """One folder of the old system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("config/active", "database", "logs", "core"):
            (folder / name).mkdir(parents=True)
        (folder / "core" / "daemon_manager.py").write_text(DAEMON)
        (folder / "run.py").write_text(BOT)
        self.records: dict[str, Any] = {}

    def add(self, instance: str, config: dict[str, Any], *, stem: str | None = None) -> Path:
        """A config with a database whose last rows are in its -wal only, two days of logs and a record of
        a dead daemon.
        """
        path = self.folder / "config" / "active" / f"{stem or instance}.json"
        path.write_text(json.dumps(config, indent=2))
        self.database(instance)
        for day in ("2025-11-30", date.today().isoformat()):
            logs = self.folder / "logs" / instance / day
            logs.mkdir(parents=True)
            (logs / "bot_stdout.log").write_text(f"{instance} on {day}\n")
        self.register(instance, path, config.get("daemon_config", {}).get("web_port"))
        return path

    def register(self, instance: str, path: Path, port: int | None, **keys: Any) -> None:
        self.records[instance] = {
            "config_file": str(path.relative_to(self.folder)),
            "pid": 999_999_999,
            "log_dir": f"logs/{instance}",
            "web_port": port,
            "started_at": "2025-11-30T19:00:00",
            "status": "running",
            "registered_at": "2025-11-30T18:00:00",
            "last_updated": "2025-11-30T19:30:00",
            **keys,
        }
        (self.folder / "logs" / "instances.json").write_text(json.dumps(self.records))

    def database(self, instance: str, rows: int = 100) -> Path:
        """As a killed bot leaves it: the last rows are in the -wal, and nobody has it open."""
        path = self.folder / "database" / f"{instance}.db"
        script = (
            "import os, sqlite3, sys\n"
            "d = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "d.execute('PRAGMA journal_mode=WAL')\n"
            "d.execute('PRAGMA synchronous=OFF')\n"
            "d.execute('CREATE TABLE old_trades (id INTEGER PRIMARY KEY)')\n"
            "d.execute('PRAGMA wal_checkpoint(TRUNCATE)')\n"
            "for _ in range(int(sys.argv[2])): d.execute('INSERT INTO old_trades DEFAULT VALUES')\n"
            "os._exit(0)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(path), str(rows)], check=True)
        assert path.with_name(path.name + "-wal").stat().st_size > 0
        return path

    def content(self) -> dict[str, bytes]:
        """Every file with its bytes: what must be the same afterwards."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    @contextlib.contextmanager
    def running(self, instance: str, *words: str) -> Iterator[psutil.Process]:
        """The instance's daemon, with its bot writing."""
        command = [
            sys.executable,
            "core/daemon_manager.py",
            "start",
            "--config",
            f"config/active/{instance}.json",
            *words,
        ]
        with subprocess.Popen(command, cwd=self.folder, start_new_session=True) as process:
            daemon = psutil.Process(process.pid)
            try:
                before = rows_of(self.folder / "database" / f"{instance}.db")
                eventually(lambda: rows_of(self.folder / "database" / f"{instance}.db") > before)
                yield daemon
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def rows_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute("select count(*) from old_trades").fetchone()[0])
