"""Everything that can go wrong for a reason of the user's world, each kind with its exit code.

An error's text is a template and its parameters, so that it can be translated where it is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from manager.i18n import Text

OK = 0
FAILED = 1
USAGE = 2
BUG = 3
BAD_CONFIG = 4
NO_ENGINE = 5
TIMED_OUT = 6
LOCKED = 7


class ManagerError(Exception):
    """What happened, to what, and what to do next. `exit_code` is what the command ends with."""

    exit_code = FAILED

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message)
        self.text = Text(message, **params)

    def __str__(self) -> str:
        return str(self.text)


class UsageError(ManagerError):
    """The command line asks for something that is not there."""

    exit_code = USAGE


class EngineError(ManagerError):
    """The Docker Engine refused a call."""


class EngineUnreachable(EngineError):
    """No Docker Engine answers, or it stopped answering."""

    exit_code = NO_ENGINE


class EngineSlow(EngineUnreachable):
    """The Docker Engine is there, and has not answered in time. It may still do what it was asked."""


class NotFound(EngineError):
    """The engine has no such container, image or network."""


class ImageMissing(ManagerError):
    """There is no image of the fleet at all, and nothing has been started yet."""


class NameTaken(EngineError):
    """The engine already has a container of that name."""


def refusal(status: int, why: str) -> EngineError:
    """The engine's answer to a call that it refuses, by its HTTP status and in its words."""
    if status == 404:
        return NotFound("{why}", why=why)
    if status == 409 and "is already in use by container" in why:
        return NameTaken("{why}", why=why)
    return EngineError("the engine says: {why}", why=why)


class TimedOut(ManagerError):
    """Something took longer than it was given, or had to be killed."""

    exit_code = TIMED_OUT


class Locked(ManagerError):
    """Another manager changes this fleet."""

    exit_code = LOCKED


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """What keeps a file from being written, as an error that names it. Raises ManagerError."""
    try:
        yield
    except OSError as error:
        raise ManagerError("cannot write {path}: {why}", path=path, why=error.strerror or error) from error


class Problem(NamedTuple):
    """One fault in one file. `path` is the key's, dotted; empty when the whole file is meant."""

    file: str
    path: str
    text: Text

    @classmethod
    def at(cls, file: str, path: str, message: str, /, **params: object) -> Problem:
        """Return a problem with a translatable message: the template, and what goes into it."""
        return cls(file, path, Text(message, **params))

    @property
    def also(self) -> str:
        """The second file of a fault that lies between two, which its text names as `other`; empty for a fault of one."""
        return str(self.text.params.get("other", ""))

    def concerns(self, files: Collection[str]) -> bool:
        """Whether it is a fault of one of these files, whichever of the two it is reported at."""
        return self.file in files or self.also in files

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.path, str(self.text)) if part)


class ConfigError(ManagerError):
    """Configs or settings that cannot be used: every problem, not just the first."""

    exit_code = BAD_CONFIG

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("{problems}")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def worst_exit_code(codes: Sequence[int]) -> int:
    """One exit code for many outcomes: an unreachable engine explains the rest, a kill outranks a failure."""
    for code in (BUG, NO_ENGINE, BAD_CONFIG, TIMED_OUT, LOCKED, USAGE, FAILED):
        if code in codes:
            return code
    return OK
