"""Have a short command run by the standby of `manager serve`, which has its modules loaded.

Most of what `ps` takes is the start of its program. The standby forks, and the fork gets what a process of
its own would have: arguments, environment, folder, umask, limits, signals, and the streams themselves. Where
anything else differs, or no standby answers at once, the command runs here. What ends trading (`stop`,
`down`, `halt`) always does: it depends on nobody.

It is loaded before anything else, so it needs only what is part of every interpreter, and sockets: `os`
alone takes as long to load as the standby to answer, where `site` has not loaded it (without_site.py).
"""

import _socket  # without the layer above, which takes longer to load than the standby takes to answer
import marshal
import posix
import sys
from _stat import S_ISDIR, S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import Any
else:
    import _signal as signal  # in the same way

CHANGE_OPTIONS = ("--json", "--lock-wait", "--dry-run", "--wait", "--wait-timeout")
OPTIONS_OF = {
    "ps": ("--json", "--state", "--mode", "--exchange", "--symbol", "--tag", "--group", "--sort", "--format"),
    "list": ("--json", "--format"),
    "status": ("--json",),
    "logs": ("--json", "--tail", "-n", "--since", "--until", "--grep", "--errors", "-t", "--timestamps"),
    "up": (*CHANGE_OPTIONS, "--recreate", "--remove-orphans"),
    "start": (*CHANGE_OPTIONS, "-d", "--daemon"),
    "restart": (*CHANGE_OPTIONS, "--yes"),
}
"""The commands, each with its options after which it still ends by itself."""
OPTIONS = ("-c", "--config", "--instance-id", "--lang")

ANSWERS_WITHIN_S = 0.25
"""A standby that hangs, or is too busy, delays a command by no more than this."""
HELLO, READY, GO = b"?", b"+", b"!"
HEAD = 8
"""Bytes in which a request's size is told."""
PID_BYTES = 4
"""In which the process of a command is told, when it has begun. At its end comes its exit code, in one."""
NAMESPACES = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup")
CREDENTIALS = 12
"""Bytes of three numbers: process, user, group."""
CACHE, HOME = b"XDG_CACHE_HOME", b"HOME"


def run(argv: "Sequence[str]") -> int | None:
    """Return the exit code of a command that the standby has run; None for one that has to run here."""
    streams = [sys.stdin, sys.stdout, sys.stderr]
    if not is_known(argv) or None in streams:
        return None
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        return _exit_code(line) if _is_agreed(line, list(argv), streams) else None
    except (OSError, ValueError):
        return None
    finally:
        line.close()


def is_known(argv: "Sequence[str]") -> bool:
    """Return whether the standby runs such a command line."""
    known = OPTIONS_OF.get(argv[0]) if argv else None
    return known is not None and all(
        not word.startswith("-") or word.partition("=")[0] in (*known, *OPTIONS) for word in argv[1:]
    )


def socket_path(project_dir: str, environ: "Mapping[bytes, bytes]" = posix.environ) -> str:
    """Return where the standby of this project's server listens: in a folder that is this user's alone."""
    folder = posix.stat(project_dir)
    cache = environ.get(CACHE) or (environ[HOME].rstrip(b"/") + b"/.cache" if HOME in environ else None)
    if cache is None:
        from os.path import expanduser

        cache = expanduser(b"~/.cache")  # noqa: PTH111 - pathlib is not loaded
    place = cache.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    return f"{place}/botfleet/{folder.st_dev:x}-{folder.st_ino:x}.standby"


def surroundings() -> "tuple[Any, ...]":
    """Return what must be the same in both processes, as a fork cannot have another one."""
    flags = sys.flags
    return (
        *(sys.version, sys.executable.rpartition("/")[0], __file__, sys.getfilesystemencoding()),
        *(flags.optimize, flags.utf8_mode, flags.dev_mode, list(sys.warnoptions)),
        *(posix.getuid(), posix.geteuid(), posix.getgid(), posix.getegid(), sorted(posix.getgroups())),
        *(posix.getpriority(posix.PRIO_PROCESS, 0), _capabilities()),
        *(_identity(path) for path in ("/", *(f"/proc/self/ns/{name}" for name in NAMESPACES))),
    )


def peer(line: _socket.socket) -> tuple[int, int]:
    """Return the process at the other end, and its user."""
    credentials = line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, CREDENTIALS)
    return int.from_bytes(credentials[:4], sys.byteorder), int.from_bytes(credentials[4:8], sys.byteorder)


def _is_agreed(line: _socket.socket, argv: list[str], streams: "list[Any]") -> bool:
    """Return whether a standby waits for the word to run it. Raises OSError, ValueError."""
    umask = posix.umask(0o077)
    posix.umask(umask)
    here = posix.open(".", posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        line.settimeout(ANSWERS_WITHIN_S)
        line.connect(socket_path(_project_above(posix.getcwd())))
        # A standby that hangs says no hello: the streams are not sent where they would stay open.
        if peer(line)[1] != posix.geteuid() or line.recv(1) != HELLO:
            return False
        kinds = [
            (stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
            for stream in streams
        ]
        request = marshal.dumps(
            (surroundings(), argv, {**posix.environ}, umask, sys.path, sys.flags.no_site, kinds)
        )
        descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, here))
        line.sendmsg(
            [len(request).to_bytes(HEAD, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)]
        )
        line.sendall(request)
        return line.recv(1) == READY
    finally:
        posix.close(here)


def _exit_code(line: _socket.socket) -> int | None:
    """Have it run, and wait for its end. None if it was not begun: the standby ended just before.

    Ctrl-C, SIGTERM and a terminal's end are passed on: a change takes them its own way. Any other end of this
    process ends the command.
    """
    line.settimeout(None)
    pid = 0
    came: list[int] = []

    def pass_on(number: int, _frame: "FrameType | None" = None) -> None:
        came.append(number)
        if pid:
            _kill(pid, number)

    replaced = {}
    for passed in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        handler = signal.getsignal(passed)
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            replaced[passed] = handler
            signal.signal(passed, pass_on)
    told = b""
    try:  # noqa: SIM105 - contextlib is not loaded
        line.sendall(GO)
    except OSError:
        pass  # nothing comes then
    while True:
        try:
            piece = line.recv(PID_BYTES + 1)
        except OSError:
            piece = b""
        if not piece and told:
            return _lost()
        if not piece:  # a command tells its pid before anything else, and keeps the connection open
            for passed, handler in replaced.items():
                signal.signal(passed, handler)
            for number in came:
                signal.raise_signal(number)
            return None
        told += piece
        if len(told) > PID_BYTES:
            return told[PID_BYTES]
        if len(told) == PID_BYTES:
            pid = int.from_bytes(told, sys.byteorder)
            for number in came:
                _kill(pid, number)


def _kill(pid: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib is not loaded
        posix.kill(pid, number)
    except OSError:
        pass  # its exit code is under way


def _lost() -> int:
    """Say that the command has not come to its end. Returns the exit code."""
    from manager.errors import TIMED_OUT
    from manager.i18n import _, labelled, use_environment

    use_environment()
    print(labelled(_("error"), _("the command was killed in the middle")), file=sys.stderr)
    return TIMED_OUT


def _project_above(folder: str) -> str:
    """Return the nearest folder upwards that is a project's, as project_folder.py does. Raises ValueError."""
    while True:
        config = f"{folder}/config"
        if S_ISDIR(_mode(f"{config}/active")) or S_ISREG(_mode(f"{config}/fleet.toml")):
            return folder
        if folder in ("", "/"):
            raise ValueError(folder)
        folder = folder.rpartition("/")[0]


def _mode(path: str) -> int:
    """Return what kind of file it is; 0 for none."""
    try:
        return posix.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _capabilities() -> bytes:
    """Return what this process may do beyond its user's rights, as the kernel writes it."""
    try:
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123
            return next((line for line in status if line.startswith(b"CapEff:")), b"")
    except OSError:
        return b""


def _identity(path: str) -> tuple[int, int]:
    """Return what tells one file from another; zeros for none."""
    try:
        status = posix.stat(path)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
