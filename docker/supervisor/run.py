"""Run a program once: its process, and its output until the last byte is read."""

import time

from supervisor.bot import Bot
from supervisor.dated import DatedFile
from supervisor.loop import Action, Loop
from supervisor.output import Output
from supervisor.streams import Stream, Tail


class Run:
    """Follow a process from its start until it has ended and its output is read; then calls `on_end`."""

    def __init__(
        self,
        loop: Loop,
        drain: float,
        process: Bot,
        outputs: dict[str, Output],
        dated_files: dict[str, DatedFile],
        on_end: Action,
        *,
        keeps_stdout: bool = False,
    ) -> None:
        self._loop = loop
        self._drain = drain
        self._on_end: Action | None = on_end
        self.process = process
        self.exit_code: int | None = None  # negative for a signal
        self.ran_s = 0.0
        self.stdout_tail = Tail()  # empty unless `keeps_stdout`: the bot's is not asked for
        self.stderr_tail = Tail(process.secrets)
        self._streams = [
            Stream(loop, source, outputs[name], dated_files[name], tail, self._on_stream_end)
            for name, source, tail in (
                ("stdout", process.stdout, self.stdout_tail if keeps_stdout else None),
                ("stderr", process.stderr, self.stderr_tail),
            )
        ]

    @property
    def has_exited(self) -> bool:
        """Return whether the process has ended; its output may still be read."""
        return self.exit_code is not None

    def has_just_exited(self) -> bool:
        """Handle SIGCHLD: return whether the process has ended since the last call."""
        if self.has_exited:
            return False
        self.exit_code = self.process.reap()
        if self.exit_code is None:
            return False
        self.ran_s = time.monotonic() - self.process.started
        # not at once, even when the output is read already: the caller has something to do first
        is_read = not any(stream.open for stream in self._streams)
        self._loop.after("drain", 0.0 if is_read else self._drain, self._finish)
        return True

    def _on_stream_end(self) -> None:
        if self.has_exited and not any(stream.open for stream in self._streams):
            self._finish()

    def _finish(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        self._loop.cancel("drain")
        for stream in self._streams:
            stream.finish()
        on_end()
