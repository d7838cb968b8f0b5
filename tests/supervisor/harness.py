"""A supervisor on folders of its own, with a real bot: what a container would be, without an engine."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from tests import ports

DOCKER = Path(__file__).parents[2] / "docker"
PATIENCE_S = 60.0  # for a condition, on a busy machine; nothing waits as long when all is well
TIMINGS = {
    "start_phase": 30.0,
    "first_answer": 20.0,  # on a busy machine a bot may take seconds until it listens
    "quick_probe": 0.05,
    "probe_timeout": 2.0,
    "drain": 1.0,
    "final_flush": 0.5,
    "lock_grace": 0.3,
    "lock_retry": 0.2,
    "outage_delay_min": 0.05,
    "restart_delay_max": 900.0,
    "healthy_spell_min": 60.0,
    "cancel_timeout": 20.0,
    "cancel_retry": 0.05,
    "cancel_retry_max": 0.2,
    "verdict_margin": 5.0,
}
# what a test's bot can use: `serve()` answers /health as `reply()` says, until SIGTERM's handler exits
PRELUDE = """
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).parent
GOOD = b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
def answer(status, body):
    body = body.encode()
    return f"HTTP/1.0 {status}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n".encode() + body

BAD = b"HTTP/1.0 503 Service Unavailable\\r\\nContent-Length: 2\\r\\n\\r\\n{}"

def on_term(action):
    signal.signal(signal.SIGTERM, lambda *_: action())

def report(**keys):
    path = Path(os.environ["BOTFLEET_REPORT"])
    path.with_suffix(".new").write_text(json.dumps(keys))
    path.with_suffix(".new").rename(path)

def say(text, to=sys.stdout):
    to.write(text + "\\n")
    to.flush()

def serve(reply=lambda: GOOD):
    with socket.create_server(("127.0.0.1", int(os.environ["WEB_PORT"]))) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply())

on_term(lambda: sys.exit(0))
"""
T = TypeVar("T")


def eventually(what: Callable[[], T | None], timeout: float = PATIENCE_S) -> T:
    """The first true value of `what()`; a failed assertion when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"did not happen within {timeout} s"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Life:
    """One run of the supervisor."""

    def __init__(self, process: "subprocess.Popen[bytes]", stdout: Path, stderr: Path) -> None:
        self.process = process
        self._stdout, self._stderr = stdout, stderr

    @property
    def stdout(self) -> bytes:
        return self._stdout.read_bytes()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)


class Box:
    """An instance's folders, its bot, and the supervisors that were started on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = ports.reserve()
        for name in ("logs", "state", "secrets", "run", "cgroup"):
            (root / name).mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "WEB_PORT": str(self.port),
            "BOTFLEET_INSTANCE": "bp_sol_01",
            "BOTFLEET_BOT_COMMAND": f"{sys.executable} -S -u {root}/bot.py",
            "BOTFLEET_RESTART_DELAY": "0.2",
            "BOTFLEET_HEALTH_INTERVAL": "0.1",
            "BOTFLEET_UNHEALTHY_PROBES": "0",
        }
        self.timings = dict(TIMINGS)
        self.lives: list[Life] = []
        self.bot("serve()")

    def bot(self, code: str) -> None:
        """The program that the next start of the bot runs."""
        (self.root / "bot.py").write_text(PRELUDE + code + "\n")

    def set(self, **settings: object) -> None:
        """BOTFLEET_ variables, by the rest of their names in small letters."""
        self.environ.update({f"BOTFLEET_{name.upper()}": str(value) for name, value in settings.items()})

    def start(
        self,
        *arguments: str,
        broken: bool = False,
        late_mark: bool = False,
        stdout: int | IO[bytes] | None = None,
        file_limit: int | None = None,
        run: str = "run",
    ) -> Life:
        options = self.root / f"options{len(self.lives)}.json"
        folders = {name: str(self.root / name) for name in ("logs", "state", "secrets", "cgroup")}
        paths = {**folders, "run": str(self.root / run)}
        options.write_text(
            json.dumps(
                {
                    "broken": broken,
                    "late_mark": late_mark and str(self.root / "secrets/halted"),
                    "paths": paths,
                    "timings": self.timings,
                }
            )
        )
        out, err = self.root / f"out{len(self.lives)}", self.root / f"err{len(self.lives)}"

        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(__file__).with_name("launch.py")),
                    str(options),
                    *arguments,
                ],
                env=self.environ,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=stdout or out_file,
                stderr=err_file,
                preexec_fn=limit,
            )
        life = Life(process, out, err)
        self.lives.append(life)
        return life

    @property
    def state(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.root / "state/supervisor.json").read_text())
        except FileNotFoundError:
            return {"state": None}
        return content

    @property
    def verdict(self) -> str:
        path = self.root / "run/verdict"
        return path.read_text() if path.exists() else ""

    def until(self, state: str, **restarts: int) -> dict[str, Any]:
        """Wait for a state, and for counts in its `restarts`."""

        def there() -> dict[str, Any] | None:
            now = self.state
            fits = now["state"] == state and all(
                now["restarts"][key] == value for key, value in restarts.items()
            )
            return now if fits else None

        try:
            return eventually(there)
        except AssertionError:
            raise AssertionError(f"not {state} {restarts}: {self.state}\n{self.daemon_log}") from None

    def of_a_bot_that_runs(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state that fits, and return it: one reading, and none before the bot has a process."""

        def there() -> dict[str, Any] | None:
            now = self.state
            return now if now.get("bot_pid") is not None and fits(now) else None

        return eventually(there)

    @property
    def report(self) -> dict[str, Any]:
        """The supervisor's copy of the bot's report; empty when there is none."""
        path = self.root / "state/report.json"
        content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return content

    def kill(self, pid: int) -> None:
        """Kill a process that this box has started."""
        os.kill(pid, signal.SIGKILL)

    def log(self, name: str) -> bytes:
        """The dated files of a name, joined."""
        return b"".join(path.read_bytes() for path in sorted((self.root / "logs").glob(f"????-??-??/{name}")))

    @property
    def daemon_log(self) -> str:
        return self.log("daemon.log").decode()

    def clean_up(self) -> None:
        """End what this box has started, and nothing else."""
        for life in self.lives:
            if life.process.poll() is None:
                life.process.kill()
                life.process.wait()
        output = "".join(life.stderr for life in self.lives)
        for pid in map(int, re.findall(r"started the bot, pid ([0-9]+)", output)):
            if alive(pid) and str(self.root) in Path(f"/proc/{pid}/cmdline").read_text():
                os.killpg(pid, signal.SIGKILL)


def inheritable() -> set[int]:
    """Return the descriptors that a child of this process would have."""
    descriptors = set()
    for path in [*Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):  # the one of the listing itself is closed again
            if os.get_inheritable(int(path.name)):
                descriptors.add(int(path.name))
    return descriptors
