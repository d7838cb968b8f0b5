"""Programs that need no Python of their own to start: forks of one process that has loaded what they import.

Starting Python and loading modules is four fifths of what most of them cost, and a test run starts some
thousand. A fork is a process of its own, with its own start, environment, folder and output, and is killed
as one; `python` gives it a Python whose managers are such forks, too. Whatever is about the start itself, or
changes what Python reads while it starts, takes a real one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_")
"""Beginnings of variables that matter before the first line of ours runs."""
MANAGER, BOT, SENDER = "manager", "bot", "sender"
"""The kinds of programs; each has a process that is forked."""
SERVER = "from tests import forks; forks.serve()"
PYTHON = "BOTFLEET_TEST_PYTHON"
"""The Python that a forked manager starts its own managers with; it is its sys.executable."""
ROOT = Path(__file__).resolve().parents[1]
BOT_FOLDER = ROOT / "docker" / "bot"
AT_FIRST = dict(os.environ)
"""Before any test has changed it."""


def of_the_start(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a fork cannot have for itself."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(OF_THE_START) and name != "PYTHONDONTWRITEBYTECODE"
    }


class Fork:
    """A program that runs, as subprocess.Popen has it."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._received = line, b""
        # Of two threads that ask at once, as a tap that kills and the test itself, one reads.
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = self._next_answer(None)

    def poll(self) -> int | None:
        """Return the exit code, below 0 for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.001)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if not self._lock.acquire(timeout=-1 if timeout is None else timeout):
            raise subprocess.TimeoutExpired(["fork"], timeout or 0)
        try:
            if self.returncode is None:
                self.returncode = self._next_answer(timeout)
                self._line.close()
            return self.returncode
        except TimeoutError:
            raise subprocess.TimeoutExpired(["fork"], timeout or 0) from None
        finally:
            self._lock.release()

    def _next_answer(self, timeout: float | None) -> int:
        """Return the next line's number. Raises TimeoutError."""
        self._line.settimeout(timeout)
        while b"\n" not in self._received:
            piece = self._line.recv(64)
            assert piece, "the process that is forked has ended"
            self._received += piece
        answer, _newline, self._received = self._received.partition(b"\n")
        return int(answer)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(kind: str, argv: Sequence[str], cwd: Path, environ: Mapping[str, str], out: int, err: int) -> Fork:
    """Start a program whose output goes to these two open files."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(_server(os.getpid(), kind))
    request = json.dumps([list(argv), str(cwd), dict(environ)]).encode()
    socket.send_fds(line, [len(request).to_bytes(4, "big")], [out, err])
    line.sendall(request)
    return Fork(line)


def run(
    kind: str, argv: Sequence[str], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run it as subprocess.run would. Raises subprocess.TimeoutExpired, and kills it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        fork = start(kind, argv, cwd, environ, out.fileno(), err.fileno())
        try:
            code = fork.wait(timeout)
        except subprocess.TimeoutExpired:
            fork.kill()
            raise subprocess.TimeoutExpired(list(argv), timeout) from None
        outputs = []
        for stream in (out, err):
            stream.seek(0)
            outputs.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(list(argv), code, *outputs)


def python(folder: Path, *, sends: bool = False) -> str:
    """Write a Python into the folder that runs managers as forks, with its own input and output.

    It is for whoever starts managers as the product does, by sys.executable or over ssh. `sends`: it sends
    alerts by forks, too; each loads some 130 modules of apprise otherwise.
    """
    script = folder / "python"
    words = f"{sys.executable} -I -S {Path(__file__).with_name('fork_client.py')}"
    forks = {'"-m manager "*|"-c "*': f'exec {words} {_server(os.getpid(), MANAGER)} "$@"'}
    if sends:
        forks['"-P -m manager.monitor.watch.send"'] = f"exec {words} {_server(os.getpid(), SENDER)}"
    cases = "".join(f"{case}) {fork};; " for case, fork in forks.items())
    script.write_text(f'#!/bin/sh\ncase "$1 $2 $3" in {cases}esac\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


@functools.cache
def _server(_pid: int, kind: str) -> str:
    """Start the process that is forked, once in each process that asks; return its socket."""
    folder = tempfile.mkdtemp(prefix=f"bft-{kind}-")
    name = f"{folder}/socket"
    # its last word is what tells a manager in a process list
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, name, kind],
        cwd=ROOT,
        env={**AT_FIRST, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
    )
    atexit.register(_end, process, folder)
    deadline = time.monotonic() + 60
    while not os.path.exists(name):  # noqa: PTH110
        assert process.poll() is None, "the process that is forked does not start"
        assert time.monotonic() < deadline, "the process that is forked is not ready"
        time.sleep(0.02)
    return name


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    process.kill()
    process.wait()
    for path in Path(folder).iterdir():
        path.unlink()
    Path(folder).rmdir()


def serve() -> None:
    """Load the programs' modules, and fork for each connection, until the tests' process has ended."""
    import gc
    import select

    name, kind = sys.argv[1:]
    {MANAGER: _load_manager, BOT: _load_bot, SENDER: _load_sender}[kind]()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{name}.new")
    listening.listen(64)
    os.rename(f"{name}.new", name)  # noqa: PTH104
    while True:
        ready = select.select([listening, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        line, _address = listening.accept()
        if os.fork() == 0:
            listening.close()
            _serve_one(line, kind)
        line.close()


def _load_manager() -> None:
    """Import what commands import. Nothing of it reads the environment."""
    import manager
    from manager.cli.command_table import COMMANDS  # noqa: F401

    for room in ("util", "config", "engine", "fleet", "ops", "cli"):
        _load_all_below(f"manager.{room}", Path(manager.__path__[0], room), "docker_sdk")


def _load_bot() -> None:
    """Import what the bundled bot's programs import, and the exchange of the tests."""
    sys.path.insert(0, str(BOT_FOLDER))
    from gridbot.exchanges import ccxt_client

    ccxt_client.load("backpack")
    _load_all_below("gridbot", BOT_FOLDER / "gridbot", "backtest_picture")


def _load_sender() -> None:
    """Import apprise with all its kinds of addresses, which are loaded with the first one."""
    import apprise

    import manager.monitor.watch.send

    assert manager.monitor.watch.send
    apprise.Apprise().add("json://127.0.0.1")


def _load_all_below(package: str, folder: Path, left_out: str) -> None:
    import importlib
    import pkgutil

    for module in pkgutil.walk_packages([str(folder)], f"{package}."):
        if not module.name.endswith("__main__") and left_out not in module.name:
            importlib.import_module(module.name)


def _serve_one(line: socket.socket, kind: str) -> None:
    """Start a program, tell its pid, wait for it, tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _flags, _address = socket.recv_fds(line, 4, 3)
    left, request = int.from_bytes(head, "big"), b""
    while len(request) < left:
        request += line.recv(left - len(request))
    argv, cwd, environ = json.loads(request)
    pid = os.fork()
    if pid == 0:
        _become(line, files, kind, argv, cwd, environ)
    for file in files:
        os.close(file)
    line.sendall(f"{pid}\n".encode())
    status = os.waitpid(pid, 0)[1]
    with contextlib.suppress(OSError):
        line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(
    line: socket.socket, files: list[int], kind: str, argv: list[str], cwd: str, environ: dict[str, str]
) -> None:
    """Be the program."""
    code = 1
    try:
        line.close()
        out, err, *given = files
        os.dup2(given[0] if given else os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 64)
        if given:
            _open_streams()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = list(argv)
        sys.executable = environ.get(PYTHON, sys.executable)
        sys.path[:] = [path for path in sys.path if path]
        if kind == SENDER:
            from manager.monitor.watch import send

            sys.exit(send.main())
        _be_manager() if kind == MANAGER else _be_bot(argv[0])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as Python itself would
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _open_streams() -> None:
    """Have streams of its own: those of the process that was forked know whether its files can be sought."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _be_manager() -> None:
    from manager.cli.main import entry_point

    if sys.argv[1:2] == ["-c"]:
        _manager, _option, code, *words = sys.argv
        sys.argv = ["-c", *words]
        exec(code, {"__name__": "__main__"})
        return
    entry_point()


def _be_bot(program: str) -> None:
    """Unbuffered, as its supervisor starts it."""
    import io
    import runpy

    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(write_through=True)
    runpy.run_path(program, run_name="__main__")
