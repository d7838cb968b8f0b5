"""Define the errors that users can cause or meet, each kind with its exit code.

An error's text is a template and its parameters, so that it can be translated where it is shown.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from manager.i18n import Text, labelled
from manager.typed import NamedTuple

OK = 0
FAILED = 1
USAGE = 2
BUG = 3
BAD_CONFIG = 4
NO_ENGINE = 5
TIMED_OUT = 6
LOCKED = 7


class ManagerError(Exception):
    """Signal what happened, to what, and what to do next. `exit_code` is the command's."""

    exit_code = FAILED

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message)
        self.text = Text(message, **params)

    def __str__(self) -> str:
        return str(self.text)


class UsageError(ManagerError):
    """Signal that the command line asks for something that does not exist."""

    exit_code = USAGE


class UnknownInstance(UsageError):
    """Signal an id that nothing here has. It may be a mistyped second word of a command."""

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message, **params)
        self.instance = str(params["id"])


class EngineError(ManagerError):
    """Signal that the Docker Engine rejected a call."""


class EngineUnreachable(EngineError):
    """Signal that no Docker Engine answers, or that it stopped answering."""

    exit_code = NO_ENGINE


class EngineSlow(EngineUnreachable):
    """Signal that the Docker Engine did not answer in time. It may still carry out the call."""


class NotFound(EngineError):
    """Signal that the engine has no such container, image or network."""


class ImageMissing(ManagerError):
    """Signal that the fleet has no image at all, and nothing has been started yet."""


class NameTaken(EngineError):
    """Signal that the engine already has a container of that name."""


class PortInUse(EngineError):
    """Signal that another program has the port which a container publishes."""


def refusal(status: int, why: str) -> EngineError:
    """Return the error for a call that the engine rejected, by its HTTP status and message."""
    if status == 404:
        return NotFound("{why}", why=why)
    if status == 409 and "is already in use by container" in why:
        return NameTaken("{why}", why=why)
    return EngineError("the engine says: {why}", why=why)


class TimedOut(ManagerError):
    """Signal that something took longer than its limit, or had to be killed."""

    exit_code = TIMED_OUT


class CalledOff(ManagerError):
    """Signal that something is not done, because the command was interrupted or told to do nothing more."""


class Locked(ManagerError):
    """Signal that another manager is changing this fleet."""

    exit_code = LOCKED


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Convert a failed write into an error that names the file. Raises ManagerError."""
    try:
        yield
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=path, why=error.strerror or error) from error


class Problem(NamedTuple):
    """Hold one fault of one file. `path`: the key's path, dotted; empty for the whole file."""

    file: str
    path: str
    text: Text

    @classmethod
    def at(cls, file: str, path: str, message: str, /, **params: object) -> "Problem":
        """Return a problem with a translatable message: the template and its parameters."""
        return cls(file, path, Text(message, **params))

    @property
    def also(self) -> str:
        """Return the other file of a conflict, which the text names as `other`; empty if there is none."""
        return str(self.text.params.get("other", ""))

    def concerns(self, files: Collection[str]) -> bool:
        """Return whether it is a fault of one of these files; a conflict is one of both of its files."""
        return self.file in files or self.also in files

    def __str__(self) -> str:
        line = labelled(*(part for part in (self.file, self.path, self.text) if part))
        return " ".join(line.splitlines())  # names and values of any characters forge no line of ours


class ConfigError(ManagerError):
    """Hold every problem of invalid configs or settings, not just the first."""

    exit_code = BAD_CONFIG

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("{problems}")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def worst_exit_code(codes: Sequence[int]) -> int:
    """Return one exit code for many outcomes: an unreachable engine takes precedence, then a kill, then a
    failure. A code that is none of ours is a failure: of a shell without a manager, of a process that was
    killed.
    """
    for code in (BUG, NO_ENGINE, BAD_CONFIG, TIMED_OUT, LOCKED, USAGE, FAILED):
        if code in codes:
            return code
    return FAILED if any(codes) else OK
