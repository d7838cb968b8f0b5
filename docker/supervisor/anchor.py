"""Run the anchor: a tiny process whose pid stays the same through restarts of the bot.

Programs that read `instances.json` ask the kernel whether its pid lives. The bot's own pid changes with each
restart, at which no manager command runs.
"""

import os
import time
from _collections_abc import Sequence

from supervisor import signals
from supervisor.journal import Journal
from supervisor.suppress import suppress

PROGRAM = "/bin/cat"
"""Blocks on a pipe until its writer, this supervisor, is gone.

0.3 MB or less; a fork of this process would be several.
"""
MIN_LIFE_S = 5.0
MAX_QUICK_DEATHS = 3
"""After so many deaths within that time from the start there is no anchor, for example because there is no
such program.
"""


class Anchor:
    """Run the process from the first start of the bot until the instance is given up or stopped."""

    def __init__(self, journal: Journal, program: str = PROGRAM) -> None:
        self._journal = journal
        self._program = program
        self._pipe = -1  # its writing end
        self._started = 0.0  # monotonic seconds
        self._quick_deaths = 0
        self.pid: int | None = None

    def start(self, foreign_fds: Sequence[int]) -> None:
        """Start the process, unless it runs.

        It does not inherit `foreign_fds`: it must not hold the instance's lock.
        """
        if self.pid is not None or self._quick_deaths >= MAX_QUICK_DEATHS:
            return
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        self._started = time.monotonic()
        try:
            self.pid = os.posix_spawn(
                self._program,
                ("cat",),
                {},
                file_actions=(
                    *((os.POSIX_SPAWN_CLOSE, fd) for fd in foreign_fds),
                    (os.POSIX_SPAWN_DUP2, read_end, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ),
                setsid=True,  # a bot that signals its process group does not reach it
                setsigmask=(),
            )
        except OSError as err:
            self._close_pipe()
            self._quick_deaths = MAX_QUICK_DEATHS
            self._journal.log(f"no anchor process: cannot start {self._program}: {err.strerror}")
        finally:
            os.close(read_end)

    def stop(self) -> None:
        """End the process."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signals.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self._forget()

    def has_died(self) -> bool:
        """Handle SIGCHLD: return whether the process has died by itself, as when a bot kills whatever it
        can.
        """
        if self.pid is None or os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self._forget()
        if time.monotonic() - self._started < MIN_LIFE_S:
            self._quick_deaths += 1
            if self._quick_deaths == MAX_QUICK_DEATHS:
                self._journal.log("no anchor process: it was killed again and again")
        else:
            self._quick_deaths = 0
        return True

    def _forget(self) -> None:
        self.pid = None
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
