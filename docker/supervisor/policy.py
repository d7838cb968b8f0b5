"""The restart rules: what follows from the end of a bot. Pure."""

from supervisor.settings import Settings

RESTART, FAILED, COMPLETED = "restart", "failed", "completed"


class Ending:
    """How one run of the bot ended. `ran_s` in seconds, by a clock that never steps."""

    def __init__(
        self,
        code: int | None,
        signal: str | None,
        *,
        oom: bool = False,
        killed: bool = False,
        ran_s: float = 0.0,
        cause: str | None = None,
    ) -> None:
        self.code = code
        self.signal = signal
        self.oom = oom
        self.killed = killed  # by us, after the stop timeout
        self.ran_s = ran_s
        self.cause = cause  # set when we ended it (unhealthy) or it never began; always a crash


def describe(ending: Ending) -> str:
    """The end itself, without a judgement."""
    if ending.cause:
        return ending.cause
    if ending.signal:
        return f"{ending.signal} (out of memory)" if ending.oom else ending.signal
    return f"exit code {ending.code}"


def decide(settings: Settings, ending: Ending, in_a_row: int) -> tuple[str, str]:
    """What follows from `ending`, after `in_a_row` restarts without a healthy spell between them.

    RESTART, or the terminal state that the bot has reached; and why, in a person's words.
    """
    crash = crash_cause(settings, ending)
    if crash is None:
        return COMPLETED, describe(ending)
    if not settings.auto_restart:
        return FAILED, f"{crash} (auto_restart is off)"
    if in_a_row >= settings.max_restarts:
        times = "1 restart" if in_a_row == 1 else f"{in_a_row} restarts"
        return FAILED, f"{crash} (given up after {times} in a row)"
    return RESTART, crash


def crash_cause(settings: Settings, ending: Ending) -> str | None:
    """Why `ending` is a crash; None when it is the completion of the run."""
    text = describe(ending)
    if ending.cause or ending.signal:
        return text
    codes = settings.crash_exit_codes
    if ending.code in codes if codes is not None else ending.code != 0:
        return text
    if settings.completion == "never":
        return f"{text}, but this bot is meant never to end"
    if settings.completion == "duration":
        if settings.duration is None:
            return f"{text}, but this bot has no duration after which it may end"
        if ending.ran_s < settings.duration:
            return f"{text} after {ending.ran_s:.0f} s, before its duration of {settings.duration:.0f} s"
    return None


def healthy_spell(restart_delay: float, minimum: float) -> float:
    """Seconds of unbroken health after which the restart budget is given back."""
    return max(minimum, 5 * restart_delay)
