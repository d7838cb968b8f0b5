"""The supervisor's own environment variables: parsed, checked, defaulted."""

from collections.abc import Mapping

from supervisor.reasons import ReasonError

PREFIX = "BOTFLEET_"
ONCE = PREFIX + "ONCE"  # seconds: a program that answers a question is run, and no bot
DEFAULT_COMMAND = "/opt/venv/bin/python -u /app/run.py"
COMPLETIONS = ("exit", "duration", "never")
DAY_S = 86400


class SettingsError(ReasonError):
    """A variable that is missing or wrong; the text names it and its range."""


class Settings:
    """What the container's definition asks for. Durations in seconds."""

    instance = ""
    command: tuple[str, ...] = ()
    auto_restart = True
    max_restarts = 3
    restart_delay = 60.0
    health_interval = 30.0
    unhealthy_probes = 5  # 0: never restart a bot because of its probes
    stop_timeout = 45.0
    log_cleanup_interval = 86400.0
    log_retention_days = 2
    crash_exit_codes: frozenset[int] | None = None  # None: all but 0
    completion = "exit"
    duration: float | None = None


def parse(environ: Mapping[str, str], arguments: list[str]) -> Settings:
    """Settings from the container's environment and command; SettingsError for the first wrong one."""
    its, read = Settings(), _Reader(environ)
    its.instance = read.text("INSTANCE", "")
    if not its.instance:
        raise SettingsError("instance_missing")
    its.command = (*read.text("BOT_COMMAND", DEFAULT_COMMAND).split(), *arguments)
    its.auto_restart = read.choice("AUTO_RESTART", ("1", "0")) == "1"
    its.max_restarts = read.whole("MAX_RESTARTS", its.max_restarts, 0, 1000)
    its.restart_delay = read.number("RESTART_DELAY", its.restart_delay, 0, DAY_S)
    its.health_interval = read.number("HEALTH_INTERVAL", its.health_interval, 0.1, 3600)
    its.unhealthy_probes = read.whole("UNHEALTHY_PROBES", its.unhealthy_probes, 0, 100000)
    its.stop_timeout = read.number("STOP_TIMEOUT", its.stop_timeout, 0, DAY_S)
    its.log_cleanup_interval = read.number("LOG_CLEANUP_INTERVAL", its.log_cleanup_interval, 1, 366 * DAY_S)
    its.log_retention_days = read.whole("LOG_RETENTION_DAYS", its.log_retention_days, 0, 36500)
    its.crash_exit_codes = read.exit_codes("CRASH_EXIT_CODES")
    its.completion = read.choice("COMPLETION", COMPLETIONS)
    its.duration = read.number("DURATION", 0, 0, 1e10) if read.text("DURATION", "") else None
    return its


class _Reader:
    """Reads one variable; one that is empty counts as unset, as Compose passes `NAME=` for an unset one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(PREFIX + name, "").strip() or default

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of `words`; the first is the default."""
        text = self.text(name, words[0])
        if text not in words:
            raise SettingsError(
                "setting_not_choice", name=PREFIX + name, choices=", ".join(words), value=text[:40]
            )
        return text

    def number(self, name: str, default: float, low: float, high: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:  # so is what is no number
            raise SettingsError("setting_not_number", name=PREFIX + name, low=low, high=high, value=text[:40])
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if not (_is_whole(text) and low <= int(text) <= high):
            raise SettingsError("setting_not_whole", name=PREFIX + name, low=low, high=high, value=text[:40])
        return int(text)

    def exit_codes(self, name: str) -> frozenset[int] | None:
        text = self.text(name, "")
        codes = [part.strip() for part in text.split(",")] if text else []
        if not all(_is_whole(code) and int(code) <= 255 for code in codes):
            raise SettingsError("setting_not_exit_codes", name=PREFIX + name, value=text[:40])
        return frozenset(map(int, codes)) or None


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
