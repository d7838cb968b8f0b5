"""Define the exceptions, and the exit code each kind ends the bot with."""

from __future__ import annotations

EXIT_COMPLETED = 0
EXIT_CRASH = 1

# Causes of an `ExchangeError` with which the exchange asks to be called less, or not at all for a while.
THROTTLED = ("rate_limited", "banned")


class BotError(Exception):
    """End the bot with `exit_code`. The text is the one line that the user reads.

    `code` and `params` say the same to a program that translates it; no code where none does.
    """

    exit_code = EXIT_CRASH

    def __init__(self, text: str = "", code: str = "", **params: str) -> None:
        super().__init__(text)
        self.code, self.params = code, params

    def as_code(self) -> dict[str, object]:
        """Return code and parameters for a program's answer; nothing without a code."""
        return {"code": self.code, "params": self.params} if self.code else {}


class ConfigError(BotError):
    """Report that the arguments, the environment or the market's rules don't allow this run."""

    exit_code = 2


class KeysError(BotError):
    """Report credentials that are missing, or that the exchange doesn't accept."""

    exit_code = 3


class RefusedError(BotError):
    """Report that the exchange refused something the run can't do without."""

    exit_code = 4


class DatabaseError(BotError):
    """Report a SQLite file that is broken, not writable, or in use by another bot."""

    exit_code = 5


class PortError(BotError):
    """Report that the web port can't be listened on."""

    exit_code = 6


class ExchangeError(Exception):
    """Report that one call to the exchange failed. No `BotError`, because the loop decides what follows.

    `cause` is a word of the contract, `code` the exchange's own where it says one, `retry_after` the pause in
    seconds that it asked for.
    """

    def __init__(
        self,
        text: str = "",
        *,
        cause: str = "other",
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.cause, self.code, self.retry_after = cause, code, retry_after


class UnreachableError(ExchangeError):
    """Report a call without a clear answer. After `place` the order may exist."""


class UnclearError(UnreachableError):
    """Report an answer that lacks what was asked for: a list that is none, a position without its size.

    It says nothing, and least of all that there is nothing.
    """


class RejectedError(ExchangeError):
    """Report that the exchange refused this one call. After `place` the order does not exist."""


class UnauthorizedError(RejectedError):
    """Report that the keys were not accepted for this call."""


class NotFoundError(RejectedError):
    """Report an order that the exchange doesn't know."""
