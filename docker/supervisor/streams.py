"""Copy the bot's output from its pipe to the container's output and to the dated file."""

import os
from _collections_abc import Callable, Sequence

from supervisor.dated import DatedFile
from supervisor.loop import READ, Loop
from supervisor.output import Output

CHUNK = 65536  # bytes; a pipe's capacity
MAX_FINAL_BYTES = (
    1 << 20
)  # bytes read at most after the bot's end, from a pipe that another process still fills
TAIL_LINES = 20
TAIL_LINE_CHARACTERS = 500
TAIL_BYTES = 32768  # kept for the tail: 20 lines of 500 characters, most of them ASCII


class Tail:
    """Keep the last lines of a stream. Lines are only split when they are asked for.

    They go into the state, and from there to `ps`, alerts and backups: without these `secrets`.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets = secrets
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Add a chunk of the stream."""
        self._chunks.append(data[-TAIL_BYTES:])
        self._size += len(self._chunks[-1])
        if self._size > 2 * TAIL_BYTES or len(self._chunks) > 1000:
            self._chunks = [b"".join(self._chunks)[-TAIL_BYTES:]]
            self._size = len(self._chunks[0])

    def lines(self) -> list[str]:
        """Return the last lines, each cut at the limit."""
        text = b"".join(self._chunks).decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "…")
        lines = [line.rstrip("\r") for line in text.split("\n")]
        if lines[-1] == "":
            lines.pop()
        return [line[:TAIL_LINE_CHARACTERS] for line in lines[-TAIL_LINES:]]


class Stream:
    """Copy one of the bot's two outputs, for one run of the bot."""

    def __init__(
        self,
        loop: Loop,
        source: int,
        output: Output,
        file: DatedFile,
        tail: Tail | None,
        on_end: Callable[[], None],
    ) -> None:
        os.set_blocking(source, False)
        self._loop = loop
        self._source = source
        self._output = output
        self._file = file
        self._tail = tail
        self._on_end = on_end
        self.open = True
        self._resume()

    def finish(self) -> None:
        """Copy what is in the pipe now, even if the container's output is blocked, and close it."""
        taken = 0
        while self.open and taken < MAX_FINAL_BYTES:
            try:
                data = os.read(self._source, CHUNK)
            except BlockingIOError:
                break
            if not data:
                break
            taken += len(data)
            self._pass(data)
        self._close()

    def _resume(self) -> None:
        self._loop.watch(self._source, READ, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._close()
            self._on_end()
        elif not self._pass(data):
            # only the bot waits, as it would if it wrote there itself
            self._loop.unwatch(self._source)
            self._output.when_empty(self._resume)

    def _pass(self, data: bytes) -> bool:
        self._file.write(data)
        if self._tail is not None:
            self._tail.add(data)
        return self._output.write(data)

    def _close(self) -> None:
        if self.open:
            self.open = False
            self._output.when_empty(None)
            self._loop.unwatch(self._source)
            os.close(self._source)
