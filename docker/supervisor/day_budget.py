"""Limit what the log files of one day take, and compress those that are full."""

# (pathlib is 0.8 MB of resident memory)

import os
from _collections_abc import Callable, Sequence

from supervisor.suppress import suppress

MB = 1_000_000
SEGMENTS = 4  # a full file is a quarter of the limit: while one is compressed, the next one is written
MAX_SEGMENT = 128 * MB  # what a reader has to expand to find a time in it: some tenths of a second
RESERVE = 8  # an eighth is kept for a stream that has written little: a traceback beside a flood
PROGRAM = ("/usr/bin/nice", "-n", "19", "gzip", "-1", "-f", "--")
_FILES = ("bot_stdout.log", "bot_stderr.log")


class DayBudget:
    """Count what the bot's log files of one day take on disk, and have the full ones compressed.

    A full file `NAME` becomes the segment `NAME.1`, `NAME.2` …, and then `NAME.1.gz`, by another program:
    neither the bot nor its probes wait for it.
    """

    def __init__(
        self,
        limit_mb: int,
        log: Callable[[str], None],
        foreign_fds: Callable[[], Sequence[int]],
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        self.limit_mb = limit_mb
        self._limit = limit_mb * MB
        self.segment = min(self._limit // SEGMENTS, MAX_SEGMENT)
        self._log = log
        self._foreign_fds = foreign_fds  # the lock's, which no other program may hold
        self._program = program
        self._folder = ""
        self._sizes: dict[str, int] = {}  # stream's file → all of its bytes
        self._pid: int | None = None
        self._compressing = ""

    def use(self, folder: str) -> None:
        """Count what is in the folder of a day."""
        if folder != self._folder:
            self._folder = folder
            self._count()
            self.tidy()

    def add(self, name: str, count: int) -> None:
        """Note that bytes were written to a file."""
        self._sizes[name] = self._sizes.get(name, 0) + count

    def has_room(self, name: str, count: int) -> bool:
        """Return whether so many bytes may be written to a file."""
        if self._is_within(name, count):
            return True
        self._count()  # something may have been compressed, or removed by a person
        return self._is_within(name, count)

    def segment_name(self, name: str) -> str:
        """Return a free name for the next segment of a file."""
        numbers = [int(number or 0) for file, number, _entry in self._entries() if file == name]
        return f"{name}.{max(numbers, default=0) + 1}"

    def on_limit(self, name: str) -> None:
        """Say that a file has ended for this day."""
        self._log(
            f"{name} has reached the limit of {self.limit_mb} MB a day: its lines are dropped until midnight"
        )

    def tidy(self) -> None:
        """Compress the oldest segment, unless one is being compressed. Called at SIGCHLD too."""
        if self._pid is not None:
            with suppress(ChildProcessError):
                if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                    return
            self._pid = None
            self._count()
            if os.path.lexists(self._compressing):
                self._give_up(f"cannot compress {self._compressing}")
        if self._program and self._folder and (path := self._oldest()) is not None:
            self._compress(path)

    def _is_within(self, name: str, count: int) -> bool:
        used = sum(self._sizes.values()) + count
        own = self._sizes.get(name, 0) + count
        return used <= self._limit - self._limit // RESERVE or (
            own <= self._limit // RESERVE and used <= self._limit
        )

    def _count(self) -> None:
        sizes: dict[str, int] = {}
        for name, _number, entry in self._entries():
            with suppress(OSError):
                sizes[name] = sizes.get(name, 0) + entry.stat(follow_symlinks=False).st_size
        self._sizes = sizes

    def _entries(self) -> "list[tuple[str, str | None, os.DirEntry[str]]]":
        try:
            with os.scandir(self._folder) as entries:
                return [(*named, entry) for entry in entries if (named := _stream_and_number(entry.name))]
        except OSError:
            return []

    def _oldest(self) -> str | None:
        plain = [
            (int(number), entry.path)
            for _name, number, entry in self._entries()
            if number is not None and not entry.name.endswith(".gz") and entry.is_file(follow_symlinks=False)
        ]
        return min(plain)[1] if plain else None

    def _compress(self, path: str) -> None:
        try:
            self._pid = os.posix_spawn(
                self._program[0],
                (*self._program, path),
                {"PATH": "/usr/bin:/bin"},
                file_actions=(
                    *((os.POSIX_SPAWN_CLOSE, fd) for fd in self._foreign_fds()),
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ),
                setsid=True,
                setsigmask=(),
            )
        except OSError as err:
            self._give_up(f"cannot start {self._program[0]}: {err.strerror}")
        else:
            self._compressing = path

    def _give_up(self, why: str) -> None:
        self._program = ()
        self._log(f"full log files are not compressed: {why}")


def _stream_and_number(name: str) -> tuple[str, str | None] | None:
    """Return a stream's file and the number of its segment, if it is one; `re` is 0.5 MB of memory."""
    for file in _FILES:
        if name == file:
            return file, None
        number = name.removeprefix(f"{file}.").removesuffix(".gz")
        if name.startswith(f"{file}.") and number.isascii() and number.isdigit() and len(number) < 7:
            return file, number
    return None
