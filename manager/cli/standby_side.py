"""Be the standby of `manager serve`: load the short commands, and fork for each that is asked for.

`python -m manager.cli.standby_side manager PROJECT …`: the word `manager` is what tells a manager among the
processes that hold a fleet's lock. It does nothing else, so that a fork is what a process of its own would
be after its imports: no command has run in it, and its language, environment and streams are the asker's.
"""

from __future__ import annotations

import encodings.utf_8_sig  # with which .env is read  # noqa: F401
import gc
import importlib
import marshal
import math
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import manager
from manager.cli import standby
from manager.engine import client
from manager.typed import NamedTuple
from manager.util import late_pattern, moment, source_stamp
from manager.util.folder_watch import FolderWatch
from manager.util.moment import Moment

LOADED = (
    *("cli.main", "cli.parsers", "engine.client", "engine.http_logs"),
    *("engine.bot_variables", "engine.compose_hash", "fleet.event_spool", "fleet.import_records"),
    *("fleet.old_daemon_guard", "ops.checks.old_daemon_check", "cli.ending", "cli.left_behind"),
    *(f"ops.execution.{name}" for name in ("prepare", "execute", "wait", "outcome_notes")),
    *("util.kept_text", "engine.engine_process"),  # the latter is asked when an engine is slow
    *("cli.multiplexed_logs", "fleet.observe", "monitor.logs.join"),
    *(f"cli.commands.{name}" for name in standby.OPTIONS_OF),
)
OF_PYTHON = ("tomllib",)
"""What a process of its own seldom needs, so that it is imported when it is: for a table that has changed."""
STAMPED = (("config",), ("config", "engine"))
"""Rooms of which a command takes the stamp: `Code` sees that it is still theirs."""
MOST_BYTES = 8 << 20
"""Of a request. The kernel allows arguments and environment of 6 MB."""
ASKS_WITHIN_S = 5.0
MOST = 64
"""Askers at once; a further one runs its command itself."""
LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 - as it stands in sys.path
LIMITS = {
    number: resource.getrlimit(number)
    for name, number in vars(resource).items()
    if name.startswith("RLIMIT_")
}
"""This process's own, `ulimit`."""
KILLED = 128
"""Added to a signal's number: the exit code of what it has killed, as shells report it."""


class Request(NamedTuple):
    """Hold what a process of its own would have been started with."""

    argv: list[str]
    environ: dict[bytes, bytes]
    umask: int
    path: list[str]
    is_without_site: int
    streams: Sequence[tuple[str, str, bool, bool]]
    """Encoding, errors, and whether it is flushed at each line, and at each write."""


class Code:
    """Tell whether the manager's files are still those that were loaded."""

    def __init__(self) -> None:
        rooms = {str(file.parent) for file in Path(manager.__file__).parent.rglob("*.py")}
        self._watch, self._folders = FolderWatch(sees_times=True), {room: room for room in rooms}
        self._touched = {*self._watch.due(self._folders)}  # from now on; what is loaded is read later
        self._loaded = {room: _files(room) for room in rooms}

    def is_present(self) -> bool:
        """Return whether they are: each command waits for this. Looked at are the folders in which the kernel
        has seen a change; all of them take 1.5 to 3 ms.
        """
        self._touched |= {*self._watch.due(self._folders)}
        self._touched = {room for room in self._touched if _files(room) != self._loaded[room]}
        return not self._touched


class Asker:
    """Hold the connection of one who asks, and the process of its command once there is one."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.since = time.monotonic()
        self.pid = 0
        self.files: list[int] = []
        self.request: Request | None = None
        self.is_agreed = False
        self._received = b""

    def hear(self, code: Code) -> bool:
        """Take what has arrived. Returns False where nothing more comes of it. Raises OSError, ValueError."""
        if self.request is not None:
            signal_byte = self.line.recv(1)
            self.is_agreed = self.is_agreed or signal_byte == standby.GO
            return bool(signal_byte)
        piece, files, _flags, _address = socket.recv_fds(self.line, 1 << 16, 8)
        self.files += files
        self._received += piece
        size = int.from_bytes(self._received[: standby.HEAD], "big")
        if not piece or size > MOST_BYTES:
            return False
        if len(self._received) < standby.HEAD + size:
            return True
        surroundings, *rest = marshal.loads(self._received[standby.HEAD :])  # from a process of the same user
        self.request = Request(*rest)
        if surroundings != standby.surroundings() or len(self.files) != 4 or not code.is_present():
            return False
        self.line.sendall(standby.READY)
        return True

    def start(self, others: Sequence[int]) -> None:
        """Fork for its command; `others`: the descriptors that are not its own."""
        assert self.request is not None
        asker = standby.peer(self.line)[0]
        given_at = moment.of_process(asker)
        self.pid = os.fork()
        if self.pid == 0:
            _become(self.request, asker, given_at, self.line, self.files, others)
        self.close_files()

    def end(self) -> None:
        """Forget it. Its command is killed, as it would have been with its process."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.close_files()
        self.line.close()

    def close_files(self) -> None:
        while self.files:
            os.close(self.files.pop())


def main(words: list[str]) -> None:
    """Run until the keeper has ended."""
    project_dir, keeper, ready = words[1], int(words[2]), int(words[3])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a fork gets it when it has become the command
    code = Code()
    for name in (*(f"manager.{name}" for name in LOADED), *OF_PYTHON):
        importlib.import_module(name)
    if os.environ.get(client.CLIENT_VARIABLE) == "sdk":  # its commands' as well, unless they say otherwise
        for name in importlib.import_module("manager.engine.docker_sdk").LOADED:
            importlib.import_module(name)
    late_pattern.compile_all()
    for rooms in STAMPED:
        source_stamp.of_loaded(*rooms)
    gc.collect()
    gc.freeze()
    listener = None
    with suppress(OSError):  # no folder of the user's own, or a long path: commands run by themselves
        listener = Listener(Path(standby.socket_path(project_dir)))
    server = Server(listener, keeper, code)
    os.write(ready, b"s")
    os.close(ready)
    server.run()


class Listener:
    """Hold the socket at a path, in place of one that an earlier standby has left. Raises OSError."""

    def __init__(self, path: Path) -> None:
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)  # no home folder is made
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.socket, self._path = socket.socket(socket.AF_UNIX), path
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        self.socket.bind(str(new))
        new.chmod(0o600)
        self.socket.listen(MOST)
        self._inode = new.stat().st_ino
        new.replace(path)

    def close(self) -> None:
        """Close it, and remove it unless it is another one's by now."""
        self.socket.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class Server:
    """Answer those who ask, one command each, until told to end or the keeper has ended."""

    def __init__(self, listener: Listener | None, keeper: int, code: Code) -> None:
        self._listener, self._keeper, self._code = listener, keeper, code
        self._askers: dict[int, Asker] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._note_end)
        self._is_ending = False

    def run(self) -> None:
        """Run until then; commands that run come to their end first."""
        while not self._is_ending or any(asker.pid for asker in self._askers.values()):
            readable = select.select([*self._own(), *self._askers], [], [], ASKS_WITHIN_S)[0]
            if self._keeper in readable:
                self._keeper = -1
                self._note_end()
            if self._woken in readable:
                os.read(self._woken, 512)
                self._tell_ended()
            for number in [number for number in readable if number in self._askers]:
                self._hear(number)
            for number in [number for number, asker in self._askers.items() if _is_late(asker)]:
                self._askers.pop(number).end()
            if self._listener is not None and self._is_ending:
                self._listener.close()
                self._listener = None
            elif self._listener is not None and self._listener.socket.fileno() in readable:
                self._accept(self._listener.socket)

    def _note_end(self, *_: object) -> None:
        self._is_ending = True

    def _own(self) -> list[int]:
        """Return the descriptors that are waited for, besides those of askers."""
        listening = [] if self._listener is None else [self._listener.socket.fileno()]
        return [*listening, self._woken, *([] if self._keeper < 0 else [self._keeper])]

    def _accept(self, listening: socket.socket) -> None:
        line = listening.accept()[0]
        line.settimeout(standby.ANSWERS_WITHIN_S)
        asker = Asker(line)
        with suppress(OSError):
            if standby.peer(line)[1] == os.geteuid() and len(self._askers) < MOST:
                line.sendall(standby.HELLO)
                self._askers[line.fileno()] = asker
                return
        asker.end()

    def _hear(self, number: int) -> None:
        asker = self._askers[number]
        try:
            goes_on = asker.hear(self._code)
            if goes_on and asker.is_agreed and not asker.pid:
                asker.start([*self._own(), self._wake, *(other for other in self._askers if other != number)])
        except (OSError, ValueError, EOFError, TypeError):
            goes_on = False
        if not goes_on:
            self._askers.pop(number).end()

    def _tell_ended(self) -> None:
        """Forget those whose commands have ended; tell of one that was killed, and could not do it itself."""
        by_pid = {asker.pid: number for number, asker in self._askers.items() if asker.pid}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in by_pid:
                asker = self._askers.pop(by_pid[pid])
                asker.pid = 0
                if os.WIFSIGNALED(status):
                    with suppress(OSError):
                        asker.line.sendall(bytes([KILLED + os.WTERMSIG(status)]))
                asker.end()


def _files(room: str) -> dict[str, tuple[int, int, int]]:
    """Return the files of a folder, each with what changes with its content, as in `code_bundle`."""
    try:
        with os.scandir(room) as entries:
            states = {entry.name: entry.stat() for entry in entries if entry.name.endswith(".py")}
    except OSError:  # it is gone, or one of them just now
        return {}
    return {name: (state.st_mtime_ns, state.st_size, state.st_ctime_ns) for name, state in states.items()}


def _is_late(asker: Asker) -> bool:
    return not asker.pid and time.monotonic() - asker.since > ASKS_WITHIN_S


def _become(
    request: Request,
    asker: int,
    given_at: Moment,
    line: socket.socket,
    files: Sequence[int],
    others: Sequence[int],
) -> None:
    """Be the command's process, and tell its exit code, also when the standby is gone. Does not return.

    `asker`: the process that waits for it. `given_at`: when its program was started.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for awaited in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(awaited, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setpgid(0, 0)
        line.settimeout(None)
        line.sendall(os.getpid().to_bytes(standby.PID_BYTES, sys.byteorder))
        os.fchdir(files[3])
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
        for file in (*files, *others):
            os.close(file)
        os.umask(request.umask)
        _take_limits(asker)
        os.environb.clear()
        os.environb.update(request.environ)
        time.tzset()
        sys.argv, sys.path[:] = ["manager", *request.argv], _search_path(request)
        _open_streams(request.streams)
        from manager.cli.main import run

        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        code = run(request.argv, given_at)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as Python itself would
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        with suppress(OSError):
            line.sendall(bytes([code & 0xFF]))
        os._exit(code)


def _search_path(request: Request) -> list[str]:
    """Return where its modules are searched for: if its program runs without `site`, with what that adds."""
    if not request.is_without_site:
        return request.path
    added = sys.path[sys.path.index(LIBRARY) :]  # what PYTHONPATH names here stands before it
    return [*request.path, *(folder for folder in added if folder not in request.path)]


def _take_limits(process: int) -> None:
    """Have the limits of that process, `ulimit`, as far as this one may have them."""
    with suppress(OSError):  # it has ended
        for limit, own in LIMITS.items():
            wanted = resource.prlimit(process, limit)
            if wanted == own:
                continue
            try:
                resource.setrlimit(limit, wanted)
            except ValueError:  # the hard one is above this one's, which only root may raise
                resource.setrlimit(limit, (min(wanted[0], own[1], key=_amount), own[1]))


def _amount(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _open_streams(kinds: Sequence[tuple[str, str, bool, bool]]) -> None:
    """Open the three streams as the asker's interpreter has opened them."""
    for number, (name, kind) in enumerate(zip(("stdin", "stdout", "stderr"), kinds, strict=True)):
        encoding, errors, by_line, by_write = kind
        stream = open(number, "w" if number else "r", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        if number:
            stream.reconfigure(line_buffering=by_line, write_through=by_write)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main(sys.argv[1:])
