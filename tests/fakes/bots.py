"""What the containers of a fake fleet run: a supervisor each, as far as the manager can tell.

It holds the instance's lock, and writes the state file by the real supervisor's own code.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manager.config.container_paths import STATE_AT
from manager.fleet.supervisor_state import LOCK_FILE, REPORT_FILE, STATE_FILE
from supervisor.state import Record, load_terminal
from tests.fakes.clock import Clock
from tests.fakes.containers import KILLED, FakeContainer, Idle, Program

BOT_PID = 8


@dataclass
class Behaviour:
    """How an instance's bots behave. Their next start looks at it.

    `state`: what it comes to, `healthy_after` seconds; `stops_in`: seconds from SIGTERM to its end;
    `open_orders_left`: what it reports then, with `position`, which its exchange has named. `away_for`:
    seconds in which its exchange is away. `is_oom_in_stop`: the kernel kills it then, for its memory.
    """

    state: str = "running"
    healthy_after: float = 0.0
    stops_in: float = 0.0
    open_orders_left: int | None = None
    position: str | None = None
    away_for: float = 0.0
    is_oom_in_stop: bool = False


class Bots:
    """The supervisors of a fleet. To be given to the engine as its `programs`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.behaviours: dict[str, Behaviour] = {}
        self.living: dict[str, Supervisor] = {}
        """Container's name → its supervisor, of those that run."""
        self.shell = (0, "")
        """Exit code and standard error of each script that is run in a container."""
        self.answers: dict[str, str] = {}
        """Instance → what its exchange answers to a one-off; without one it is away."""
        clock.listeners.append(self._beat)

    def set_behaviour(self, instance: str, **changes: Any) -> None:
        """Say how an instance's bots behave from their next start on."""
        self.behaviours[instance] = Behaviour(**changes)

    def __call__(self, body: Mapping[str, Any]) -> Program:
        mounts = (body.get("HostConfig") or {}).get("Mounts") or ()
        if str((body.get("Entrypoint") or [""])[0]) == "sh":
            return Shell(*self.shell)
        instance = str(body.get("Hostname", ""))
        if any(entry.startswith("BOTFLEET_ONCE=") for entry in body.get("Env") or ()):
            return OneOff(self.answers.get(instance))
        if str(body.get("User")) == "0:0":
            return Idle()  # root without its rights: it writes to no folder of the bots'
        if all(mount["Target"] != STATE_AT for mount in mounts):
            return Idle()  # a stranger
        return Supervisor(self, self._clock, instance)

    def _beat(self) -> None:
        for supervisor in list(self.living.values()):
            supervisor.write()

    def close(self) -> None:
        """Let go of every lock."""
        for supervisor in list(self.living.values()):
            supervisor.release()


class Shell(Idle):
    """Runs a script to its end."""

    def __init__(self, code: int, err: str) -> None:
        self._code, self._err = code, err

    def start(self, container: FakeContainer) -> None:
        """End at once."""
        container.print("stderr", self._err, 0.0)
        container.end(self._code)


class OneOff(Idle):
    """Asks the exchange, and ends."""

    def __init__(self, answer: str | None) -> None:
        self._answer = answer

    def start(self, container: FakeContainer) -> None:
        """End at once."""
        if self._answer is None:
            container.print("stderr", "the exchange is away\n", 0.0)
            container.end(1)
        else:
            container.print("stdout", f"{self._answer}\n", 0.0)
            container.end(0)


@dataclass
class Supervisor:
    """One container's."""

    bots: Bots
    clock: Clock
    instance: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    record: Record | None = None
    _folder: Path | None = None
    _lock: int | None = None
    _started_at: float = 0.0
    _uid: int = 0

    def start(self, container: FakeContainer) -> None:
        """Take the lock, start the bot, and say so."""
        self.behaviour = self.bots.behaviours.get(self.instance, Behaviour())
        self._folder = Path(
            next(mount["Source"] for mount in container.mounts if mount["Destination"] == STATE_AT)
        )
        self._lock = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.bots.living[container.name] = self
        self._uid = int(str(container.body.get("User") or "0").partition(":")[0])
        self._started_at = self.clock.time()
        self.record = Record(self.instance, container.id)
        self.record.supervisor_started_at = self._started_at
        self.record.bot_pid, self.record.bot_started_at = BOT_PID, self._started_at
        self.record.max = 3
        if ended := load_terminal(str(self._folder / STATE_FILE), container.id):
            self.record.resume(ended)
            self.record.bot_pid = None
        self.write()

    def write(self) -> None:
        """Write the state file as it is to be at this moment."""
        if self.record is None or self._folder is None:
            return
        record, is_time = self.record, self.clock.time() >= self._started_at + self.behaviour.healthy_after
        if record.state == "starting" and is_time:
            record.state = self.behaviour.state
            if record.state in {"failed", "completed"}:
                code = 0 if record.state == "completed" else 1
                record.why, record.bot_pid = f"exit code {code}", None
                record.last_exit = self._exit(code, killed=False)
        is_away = self.clock.time() < self._started_at + self.behaviour.away_for
        params: dict[str, object] = {"cause": "maintenance"}
        record.condition = {"code": "exchange_away", "params": params} if is_away else None
        self._save()

    def stop(self, container: FakeContainer, timeout: int) -> int:
        """End the bot, report, and end; or be killed with it."""
        is_late = self.behaviour.stops_in > timeout
        self.clock.sleep(min(self.behaviour.stops_in, timeout))
        if not is_late and self.record is not None and self._folder is not None:
            if self.behaviour.open_orders_left is not None:
                report: dict[str, Any] = {"open_orders_left": self.behaviour.open_orders_left}
                if self.behaviour.position is not None:
                    report |= {"position_at_exchange": self.behaviour.position, "at": self.clock.time()}
                (self._folder / REPORT_FILE).write_text(json.dumps(report))
            if self.record.state not in {"failed", "completed"}:
                self.record.state, self.record.why = "stopped", None
                self.record.last_exit = self._exit(0, killed=False)
                if self.behaviour.is_oom_in_stop:
                    self.record.last_exit |= {"code": None, "signal": "SIGKILL", "oom": True}
            self.record.bot_pid = self.record.bot_started_at = None
            self._save()
        self.release()
        self.bots.living.pop(container.name, None)
        return KILLED if is_late else 0

    def kill(self, container: FakeContainer) -> None:
        """Be gone without a word."""
        self.release()
        self.bots.living.pop(container.name, None)

    def release(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _exit(self, code: int, *, killed: bool) -> dict[str, object]:
        return {
            "code": code,
            "signal": None,
            "oom": False,
            "killed": killed,
            "at": self.clock.time(),
            "ran_s": self.clock.time() - self._started_at,
            "why": f"exit code {code}",
            "stderr_tail": [],
        }

    def _save(self) -> None:
        assert self.record is not None
        assert self._folder is not None
        content = self.record.as_json(self.clock.time(), self.clock.uptime())
        # At once, as the real one does: another thread may remove what it has read.
        new = self._folder / f"{STATE_FILE}.{threading.get_ident()}"
        new.write_text(json.dumps(content))
        if os.geteuid() == 0:
            os.chown(new, self._uid, -1)
        new.replace(self._folder / STATE_FILE)
