"""What can go wrong, and the exit code each kind ends the bot with."""

from __future__ import annotations

EXIT_COMPLETED = 0
EXIT_CRASH = 1


class BotError(Exception):
    """Ends the bot with `exit_code` and its text as the one line to read."""

    exit_code = EXIT_CRASH


class ConfigError(BotError):
    """The arguments, the environment or the market's rules don't allow this run."""

    exit_code = 2


class KeysError(BotError):
    """Credentials are missing, or the exchange doesn't accept them."""

    exit_code = 3


class RefusedError(BotError):
    """The exchange answers, and says no to something the run can't do without."""

    exit_code = 4


class DatabaseError(BotError):
    """The SQLite file can't be used: broken, not writable, or in use by another bot."""

    exit_code = 5


class PortError(BotError):
    """The web port can't be listened on."""

    exit_code = 6


class ExchangeError(Exception):
    """One call to the exchange failed. Not a `BotError`: the loop decides what it means."""


class UnreachableError(ExchangeError):
    """No answer, or none that says what happened. After `place` the order may exist."""


class RejectedError(ExchangeError):
    """A definite no to this one call. After `place` the order does not exist."""


class UnauthorizedError(RejectedError):
    """The keys were not accepted for this call."""


class NotFoundError(RejectedError):
    """The exchange doesn't know the order."""
