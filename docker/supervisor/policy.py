"""Apply the restart rules: what follows from the end of a run, and when. Pure."""

from supervisor.reasons import Reason
from supervisor.settings import Settings

RESTART, FAILED, COMPLETED = "restart", "failed", "completed"


class Ending:
    """Describe how one run of the bot ended. `ran_s` is in monotonic seconds."""

    def __init__(
        self,
        code: int | None,
        signal: str | None,
        *,
        oom: bool = False,
        killed: bool = False,
        ran_s: float = 0.0,
        cause: Reason | None = None,
    ) -> None:
        self.code = code
        self.signal = signal
        self.oom = oom
        self.killed = killed  # by us, after the stop timeout
        self.ran_s = ran_s
        self.cause = cause  # set when we ended it (unhealthy) or it never began; always a crash


def ending_reason(ending: Ending) -> Reason:
    """Return the end itself as a reason, without a judgement."""
    if ending.cause is not None:
        return ending.cause
    if ending.signal is not None:
        return Reason("out_of_memory" if ending.oom else "signal", signal=ending.signal)
    return Reason("exit_code", code=ending.code or 0)


def describe(ending: Ending) -> str:
    """Return the end itself as a sentence."""
    return str(ending_reason(ending))


def decide(
    settings: Settings, ending: Ending, in_a_row: int, *, spends_budget: bool = True
) -> tuple[str, Reason]:
    """Return what follows from `ending`, after `in_a_row` restarts without a healthy spell between them.

    That is RESTART, or the terminal state that the bot has reached; and the reason. `spends_budget` is False
    for a bot that was able to run and said that it cannot work, as during an outage of its exchange
    (`is_free`).
    """
    crash = crash_reason(settings, ending)
    if crash is None:
        return COMPLETED, ending_reason(ending)
    if not settings.auto_restart:
        return FAILED, Reason("auto_restart_off", cause=crash)
    if spends_budget and in_a_row >= settings.max_restarts:
        return FAILED, Reason("restarts_exhausted", cause=crash, count=in_a_row)
    return RESTART, crash


def is_free(ending: Ending, unanswered: int, most: int) -> bool:
    """Return whether an outage may have caused `ending`, so that the restart after it is free.

    `unanswered`: free restarts since the bot's last answer. A bot that needs its exchange to start ends with
    an exit code, or does not answer, until that is back. No outage kills a bot, exceeds its memory or removes
    its program; and none lasts for ever: what does not answer any more after `most` restarts cannot run.
    """
    could_not_begin = ending.cause is not None and ending.cause.code != "unhealthy"
    return not could_not_begin and (ending.signal is None or ending.cause is not None) and unanswered < most


def crash_reason(settings: Settings, ending: Ending) -> Reason | None:
    """Return why `ending` is a crash; None when it is the completion of the run."""
    reason = ending_reason(ending)
    if ending.cause is not None or ending.signal is not None:
        return reason
    codes = settings.crash_exit_codes
    if ending.code in codes if codes is not None else ending.code != 0:
        return reason
    if settings.completion == "never":
        return Reason("never_completes", cause=reason)
    if settings.completion == "duration":
        if settings.duration is None:
            return Reason("no_duration", cause=reason)
        if ending.ran_s < settings.duration:
            return Reason(
                "before_duration",
                cause=reason,
                seconds=round(ending.ran_s),
                duration=round(settings.duration),
            )
    return None


def healthy_spell(restart_delay: float, minimum: float) -> float:
    """Return the seconds of unbroken health after which the restart budget is given back."""
    return max(minimum, 5 * restart_delay)


def restart_delay(first: float, count: int, longest: float, seed: str, least: float = 0.0) -> float:
    """Return the seconds before the restart that is number `count` (from 1) without a healthy spell.

    The delay doubles from `first`, or from `least` where that is longer, up to `longest` or to where it
    begins, whichever is larger. Up to half of it, or 5 s, is added by `seed`, so that bots that ended
    together do not come back together. `least` is for free restarts: a pause of 0 never
    grows, and they would all have passed within minutes of an outage.
    """
    first = max(first, least)
    delay = min(first * 2.0 ** min(count - 1, 30), max(first, longest))
    return delay + max(delay / 2, min(delay, 5.0)) * _fraction(f"{seed}:{count}")


def _fraction(text: str) -> float:
    """Return a number from 0 to 1 that depends on `text` only (FNV-1a; `random` and `hashlib` are a MB of
    memory).
    """
    value = 0x811C9DC5
    for byte in text.encode("utf-8", "replace"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF  # texts that differ in one character are far apart
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return (value ^ value >> 16) / 0x100000000
