"""The bot as a process of its own: a fork where its start is not the question, else the way the supervisor
runs it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests import forks, ports

RUN = Path(__file__).parents[2] / "docker" / "bot" / "run.py"
PROGRAM_S = 120
GRID = (
    "--exchange",
    "backpack",
    "--symbol",
    "SOL_USDC_PERP",
    "--strategy",
    "perp_grid",
    "--grid-upper",
    "160",
    "--grid-lower",
    "140",
    "--grid-num",
    "21",
    "--quantity",
    "0.1",
)


def run_program(
    name: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that lies beside run.py, to its end."""
    return forks.run(forks.BOT, [str(RUN.with_name(name)), *argv], cwd or Path.cwd(), env, PROGRAM_S)


class BotFactory(Protocol):
    def __call__(self, *argv: str, **env: str) -> Bot: ...


class Bot:
    """A running bot. Its output goes to `out`, a file in `folder`; its database is `folder`/bot.db."""

    def __init__(
        self,
        folder: Path,
        argv: tuple[str, ...],
        env: dict[str, str],
        *,
        is_forked: bool = True,
        run: Path = RUN,
    ) -> None:
        self.folder, self.port = folder, ports.reserve()
        self.db, self.report, self.out = folder / "bot.db", folder / "report.json", folder / "bot.log"
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DB_PATH": str(self.db),
            "WEB_PORT": str(self.port),
            "BOTFLEET_REPORT": str(self.report),
            "BOTFLEET_INSTANCE": "test_01",
            "GRIDBOT_MARKET": "synthetic",
        }
        self.process: subprocess.Popen[bytes] | forks.Fork
        with self.out.open("ab") as out:
            if is_forked:
                words = [str(RUN), *argv]
                self.process = forks.start(forks.BOT, words, folder, own | env, out.fileno(), out.fileno())
            else:
                self.process = subprocess.Popen(
                    [sys.executable, "-u", str(run), *argv], env=own | env, cwd=folder, stdout=out, stderr=out
                )

    def get(self, path: str) -> tuple[int, Any]:
        """Status and body (parsed where it is JSON); status 0 when nothing answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            return answer.status, json.loads(body) if is_json else body
        except OSError:
            return 0, None
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        code, body = self.get("/api/status")
        return body if code == 200 else {}

    def wait_for(self, what: Callable[[], object], within: float = 20.0) -> None:
        """Wait until `what` is true; fails, with the bot's output, when it takes too long or the bot ends."""
        deadline = time.monotonic() + within
        while not what():
            if self.process.poll() is not None:
                raise AssertionError(f"the bot ended with {self.process.returncode}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within} s:\n{self.output()}")
            time.sleep(0.05)

    def wait_healthy(self, within: float = 20.0) -> None:
        self.wait_for(lambda: self.get("/health")[0] == 200, within)

    def wait_end(self, within: float = 30.0) -> int:
        return self.process.wait(within)

    def term(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self, within: float = 45.0) -> int:
        self.term()
        return self.wait_end(within)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self.out.read_text(errors="replace")

    def last_words(self) -> dict[str, Any]:
        words: dict[str, Any] = json.loads(self.report.read_text())
        return words

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()
