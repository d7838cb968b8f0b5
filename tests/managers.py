"""Managers that need no Python of their own to start: forks of one process that has loaded the command line.

Starting Python and loading 150 modules is four fifths of what most commands cost, and a test run gives some
thousand commands. A fork is a process of its own, with its own start, environment, folder and output, and
is killed as one. Whatever is about the start itself, or changes what Python reads while it starts, takes a
real one.
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
import time
from collections.abc import Mapping
from pathlib import Path

OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_")
"""Beginnings of variables that matter before the first line of ours runs."""
SERVER = "from tests import managers; managers.serve()"
ROOT = Path(__file__).resolve().parents[1]


def _of_the_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(OF_THE_START) and name != "PYTHONDONTWRITEBYTECODE"
    }


AT_FIRST = dict(os.environ)
"""Before any test has changed it."""


def can_run(environ: Mapping[str, str]) -> bool:
    """Return whether a fork would be as a new process: such variables are as when the tests began."""
    return _of_the_start(environ) == _of_the_start(AT_FIRST)


def run(
    args: tuple[str, ...], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `manager ARGS` as subprocess.run would. Raises subprocess.TimeoutExpired, and kills it."""
    with (
        socket.socket(socket.AF_UNIX) as line,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        line.connect(_server(os.getpid()))
        request = json.dumps([args, str(cwd), dict(environ)]).encode()
        socket.send_fds(line, [len(request).to_bytes(4, "big")], [out.fileno(), err.fileno()])
        line.sendall(request)
        answers = line.makefile("r")
        pid = int(answers.readline())
        line.settimeout(timeout)
        try:
            code = int(answers.readline())
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["manager", *args], timeout) from None
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(["manager", *args], code, *said)


@functools.cache
def _server(_pid: int) -> str:
    """Start the process that is forked, once in each process that asks; return its socket."""
    folder = tempfile.mkdtemp(prefix="bft-managers-")
    name = f"{folder}/socket"
    # its last word is what tells a manager in a process list
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, name, "manager"],
        cwd=ROOT,
        env={**AT_FIRST, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
    )
    atexit.register(_end, process, folder)
    deadline = time.monotonic() + 60
    while not os.path.exists(name):  # noqa: PTH110
        assert process.poll() is None, "the process of the managers does not start"
        assert time.monotonic() < deadline, "the process of the managers is not ready"
        time.sleep(0.02)
    return name


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    process.kill()
    process.wait()
    for path in Path(folder).iterdir():
        path.unlink()
    Path(folder).rmdir()


def serve() -> None:
    """Load the command line, and fork for each connection, until the tests' process has ended."""
    import gc
    import select

    _load()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    name = sys.argv[1]
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
            _serve_one(line)
        line.close()


def _load() -> None:
    """Import what commands import. Nothing of it reads the environment."""
    import importlib
    import pkgutil

    import manager
    from manager.cli.command_table import COMMANDS  # noqa: F401

    for room in ("util", "config", "engine", "fleet", "ops", "cli"):
        folder = [str(Path(manager.__path__[0], room))]
        for found in pkgutil.walk_packages(folder, f"manager.{room}."):
            if not found.name.endswith("__main__") and "docker_sdk" not in found.name:
                importlib.import_module(found.name)


def _serve_one(line: socket.socket) -> None:
    """Start a manager, tell its pid, wait for it, tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _flags, _address = socket.recv_fds(line, 4, 2)
    left, request = int.from_bytes(head, "big"), b""
    while len(request) < left:
        request += line.recv(left - len(request))
    args, cwd, environ = json.loads(request)
    pid = os.fork()
    if pid == 0:
        _become(line, files, args, cwd, environ)
    line.sendall(f"{pid}\n".encode())
    status = os.waitpid(pid, 0)[1]
    with contextlib.suppress(OSError):
        line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(
    line: socket.socket, files: list[int], args: list[str], cwd: str, environ: dict[str, str]
) -> None:
    """Be the manager."""
    code = 1
    try:
        line.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        os.closerange(3, 64)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = ["manager", *args]
        sys.path[:] = [path for path in sys.path if path]
        from manager.cli.main import entry_point

        entry_point()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as Python itself would
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
