"""Read the supervisor's settings from its environment variables."""

from _collections_abc import Mapping

from supervisor.reasons import ReasonError

PREFIX = "BOTFLEET_"
ONCE = PREFIX + "ONCE"  # seconds: a program that answers a question is run, and no bot
DEFAULT_COMMAND = "/opt/venv/bin/python -u /app/run.py"
COMPLETIONS = ("exit", "duration", "never")
DAY_S = 86400


class SettingsError(ReasonError):
    """Signal a variable that is missing or wrong. The reason names it and its range."""


class Settings:
    """Hold the settings of the container's definition. Durations are in seconds."""

    instance = ""
    command: tuple[str, ...] = ()
    cancel_command: tuple[str, ...] = ()  # empty: the image has no cancel program
    auto_restart = True
    max_restarts = 3
    restart_delay = 60.0
    health_interval = 30.0
    health_path = "/health"
    unhealthy_probes = 5  # 0: never restart a bot because of its probes
    stop_timeout = 45.0
    log_cleanup_interval = 86400.0
    log_retention_days = 2
    log_day_limit = 256  # MB; 0: none
    crash_exit_codes: frozenset[int] | None = None  # None: all but 0
    completion = "exit"
    duration: float | None = None


def parse(environ: Mapping[str, str], arguments: list[str]) -> Settings:
    """Return the settings of the container's environment and command.

    Raises SettingsError for the first wrong one.
    """
    settings, read = Settings(), _Reader(environ)
    settings.instance = read.text("INSTANCE", "")
    if not settings.instance:
        raise SettingsError("instance_missing")
    settings.command = (*read.text("BOT_COMMAND", DEFAULT_COMMAND).split(), *arguments)
    cancel = read.text("CANCEL_COMMAND", "").split()
    settings.cancel_command = (*cancel, *arguments) if cancel else ()
    settings.auto_restart = read.choice("AUTO_RESTART", ("1", "0")) == "1"
    settings.max_restarts = read.integer("MAX_RESTARTS", settings.max_restarts, 0, 1000)
    settings.restart_delay = read.number("RESTART_DELAY", settings.restart_delay, 0, DAY_S)
    settings.health_interval = read.number("HEALTH_INTERVAL", settings.health_interval, 0.1, 3600)
    settings.health_path = read.path("HEALTH_PATH", settings.health_path)
    settings.unhealthy_probes = read.integer("UNHEALTHY_PROBES", settings.unhealthy_probes, 0, 100000)
    settings.stop_timeout = read.number("STOP_TIMEOUT", settings.stop_timeout, 0, DAY_S)
    settings.log_cleanup_interval = read.number(
        "LOG_CLEANUP_INTERVAL", settings.log_cleanup_interval, 1, 366 * DAY_S
    )
    settings.log_retention_days = read.integer("LOG_RETENTION_DAYS", settings.log_retention_days, 0, 36500)
    settings.log_day_limit = read.integer("LOG_DAY_LIMIT", settings.log_day_limit, 0, 1_000_000)
    settings.crash_exit_codes = read.exit_codes("CRASH_EXIT_CODES")
    settings.completion = read.choice("COMPLETION", COMPLETIONS)
    settings.duration = read.number("DURATION", 0, 0, 1e10) if read.text("DURATION", "") else None
    return settings


class _Reader:
    """Read variables by type.

    An empty one counts as unset, since Compose passes `NAME=` for an unset one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(PREFIX + name, "").strip() or default

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """Return one of `words`; the first is the default."""
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
        if not low <= value <= high:  # false for NaN too
            raise SettingsError("setting_not_number", name=PREFIX + name, low=low, high=high, value=text[:40])
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if not (_is_whole(text) and low <= int(text) <= high):
            raise SettingsError("setting_not_whole", name=PREFIX + name, low=low, high=high, value=text[:40])
        return int(text)

    def path(self, name: str, default: str) -> str:
        text = self.text(name, default)
        if not (text.startswith("/") and text.isascii() and text.isprintable() and " " not in text):
            raise SettingsError("setting_not_path", name=PREFIX + name, value=text[:40])
        return text

    def exit_codes(self, name: str) -> frozenset[int] | None:
        text = self.text(name, "")
        codes = [part.strip() for part in text.split(",")] if text else []
        if not all(_is_whole(code) and int(code) <= 255 for code in codes):
            raise SettingsError("setting_not_exit_codes", name=PREFIX + name, value=text[:40])
        return frozenset(map(int, codes)) or None


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
