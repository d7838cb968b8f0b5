"""Start and end the processes of the bot and of its cancel program."""

import os
import time

from supervisor import signals
from supervisor.environment import secret_values
from supervisor.suppress import suppress

_IGNORED_BY_PYTHON = (signals.SIGPIPE, signals.SIGXFSZ)  # a bot of any language expects them as they are


class Bot:
    """Run the bot once, in a session of its own.

    Signals are sent only until it is reaped, because its pid may belong to another process afterwards.
    """

    def __init__(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        try:
            # posix_spawn: no copy of our memory, and a program that cannot be started is an error here
            self.pid = os.posix_spawnp(
                command[0],
                command,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, out_write, 1),
                    (os.POSIX_SPAWN_DUP2, err_write, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
        self.stdout, self.stderr = out_read, err_read
        self.secrets = secret_values(environment)
        self.started = time.monotonic()
        self.started_wall = time.time()
        self.told_to_stop = False
        self.killed = False
        self._alive = True

    def terminate(self) -> None:
        """Send SIGTERM to the bot, once.

        A second one may interrupt its clean-up; its children are its own concern.
        """
        if self._alive and not self.told_to_stop:
            self.told_to_stop = True
            os.kill(self.pid, signals.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to its process group."""
        if self._alive:
            self.killed = True
            self._kill_group()

    def reap(self) -> int | None:
        """Return its exit code, negative for a signal; None while it lives.

        Kills what is left of its group.
        """
        if not self._alive or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self._kill_group()  # before it is reaped, since the group's number can be reused afterwards
        self._alive = False
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signals.SIGKILL)


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9, and `SIG34` for a number without a name."""
    import signal  # 0.8 MB that only a bot that was killed needs

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
