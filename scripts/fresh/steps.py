"""Do on a fresh machine what a newcomer does, step by step."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from scripts.fresh.machine import USER, Machine
from scripts.fresh.rows import Row

SHIPPED_BOTS = 3
SECONDS = {"make up": 1800, "make test": 5400}
OTHER_SECONDS = 300


@dataclass(frozen=True)
class Done:
    """Hold a step: its time, and what is wrong, if anything."""

    step: str
    seconds: float
    problem: str


class Failed(Exception):
    """Signal that a step did not do what it should."""


class Newcomer:
    """Type commands in the project's folder on a machine; all they print goes to the log."""

    def __init__(self, row: Row, machine: Machine, log: BinaryIO) -> None:
        self._row, self._machine, self._log = row, machine, log
        self._folder = row.link or row.folder

    def steps(self, *, with_tests: bool) -> Iterator[Done]:
        """Do the row's steps until one fails."""
        steps: dict[str, Callable[[], None]] = {
            "make up": self.make_up,
            "ps": self.sees_all_running,
            "again": self.make_up_again,
            **({"make test": self.make_test} if with_tests else {}),
            "down": self.make_down,
        }
        for step, do in steps.items():
            started = time.monotonic()
            problem = ""
            try:
                do()
            except Failed as failure:
                problem = str(failure)
            except subprocess.TimeoutExpired as err:
                problem = f"took longer than {err.timeout:.0f} s"
            self._note(f"== {step}: {problem or 'ok'}")
            yield Done(step, time.monotonic() - started, problem)
            if problem:
                return

    def make_up(self) -> None:
        self._make("up")

    def sees_all_running(self) -> None:
        self._type(".venv/bin/manager", "ps", login=True)
        states = [(bot["id"], bot["state"]) for bot in self._fleet()]
        if [state for _id, state in states] != ["running"] * SHIPPED_BOTS:
            raise Failed(f"not {SHIPPED_BOTS} running bots: {states}")

    def make_up_again(self) -> None:
        before = [bot["container_id"] for bot in self._fleet()]
        output = self._make("up")
        if before != [bot["container_id"] for bot in self._fleet()]:
            raise Failed("the second `make up` made new containers")
        if "nothing to do" not in output:
            raise Failed("the second `make up` does not say that there is nothing to do")

    def make_test(self) -> None:
        self._make("test")

    def make_down(self) -> None:
        self._make("down")
        left = self._machine.run("docker", "ps", "--all", "--quiet").stdout.split()
        if left:
            raise Failed(f"{len(left)} containers are left")
        if self._row.has_sudo_user:
            self._owns_everything()

    def _owns_everything(self) -> None:
        """Check that a checkout of a sudo user has no file of root's."""
        completed = self._machine.run("find", self._row.folder, "!", "-user", USER, "-printf", "%u %p\\n")
        if foreign := completed.stdout.decode(errors="replace").splitlines():
            self._note("\n".join(foreign))
            raise Failed(f"{len(foreign)} files are not {USER}'s: {foreign[0]}")

    def _fleet(self) -> list[dict[str, str]]:
        completed = self._machine.run(
            ".venv/bin/manager", "ps", "--json", folder=self._folder, user=self._row.has_sudo_user
        )
        if completed.returncode:
            raise Failed(f"`manager ps --json` ends with exit code {completed.returncode}")
        fleet: list[dict[str, str]] = json.loads(completed.stdout)
        return fleet

    def _make(self, target: str) -> str:
        return self._type("make", target, login=False)

    def _type(self, *command: str, login: bool) -> str:
        words = " ".join(command)
        self._note(f"$ {words}")
        start = self._log.tell()
        completed = self._machine.run(
            *command,
            folder=self._folder,
            user=self._row.has_sudo_user,
            login=login,
            output=self._log,
            timeout=SECONDS.get(words, OTHER_SECONDS),
        )
        self._log.seek(start)
        output = self._log.read().decode(errors="replace")
        if completed.returncode:
            raise Failed(f"`{words}` ends with exit code {completed.returncode}")
        return output

    def _note(self, text: str) -> None:
        self._log.write(f"{text}\n".encode())
        self._log.flush()
