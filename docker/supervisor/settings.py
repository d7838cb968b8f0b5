"""The supervisor's own environment variables: parsed, checked, defaulted."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

PREFIX = "BOTFLEET_"
DEFAULT_COMMAND = "/opt/venv/bin/python -u /app/run.py"
COMPLETIONS = ("exit", "duration", "never")

T = TypeVar("T")


class SettingsError(ValueError):
    """A variable that is missing or wrong; the text names it and its range."""


class Settings(NamedTuple):
    """What the container's definition asks for. Durations in seconds."""

    instance: str
    command: tuple[str, ...]
    auto_restart: bool = True
    max_restarts: int = 3
    restart_delay: float = 60.0
    health_interval: float = 30.0
    unhealthy_probes: int = 5  # 0: never restart a bot because of its probes
    stop_timeout: float = 45.0
    log_cleanup_interval: float = 86400.0
    log_retention_days: int = 2
    crash_exit_codes: frozenset[int] | None = None  # None: all but 0
    completion: str = "exit"
    duration: float | None = None


def parse(environ: Mapping[str, str], arguments: list[str]) -> Settings:
    """Settings from the container's environment and command; SettingsError for the first wrong one."""

    def get(name: str, default: T, convert: Callable[[str, str], T]) -> T:
        text = environ.get(PREFIX + name, "").strip()  # empty counts as unset: Compose passes `NAME=`
        return convert(PREFIX + name, text) if text else default

    instance = environ.get(PREFIX + "INSTANCE", "").strip()
    if not instance:
        raise SettingsError(
            "BOTFLEET_INSTANCE is not set: this image is started by the manager or its compose.yaml"
        )
    command = get("BOT_COMMAND", DEFAULT_COMMAND, lambda _, text: text).split()
    return Settings(
        instance=instance,
        command=(*command, *arguments),
        auto_restart=get("AUTO_RESTART", True, _flag),
        max_restarts=get("MAX_RESTARTS", 3, _whole(0, 1000)),
        restart_delay=get("RESTART_DELAY", 60.0, _number(0, 86400)),
        health_interval=get("HEALTH_INTERVAL", 30.0, _number(0.1, 3600)),
        unhealthy_probes=get("UNHEALTHY_PROBES", 5, _whole(0, 100000)),
        stop_timeout=get("STOP_TIMEOUT", 45.0, _number(0, 86400)),
        log_cleanup_interval=get("LOG_CLEANUP_INTERVAL", 86400.0, _number(1, 366 * 86400)),
        log_retention_days=get("LOG_RETENTION_DAYS", 2, _whole(0, 36500)),
        crash_exit_codes=get("CRASH_EXIT_CODES", None, _codes),
        completion=get("COMPLETION", "exit", _completion),
        duration=get("DURATION", None, _number(0, 1e10)),
    )


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise SettingsError(f"{name}: must be 0 or 1, not {text!r}")
    return text == "1"


def _number(low: float, high: float) -> Callable[[str, str], float]:
    def convert(name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise SettingsError(f"{name}: must be a number from {low:g} to {high:g}, not {text!r}") from None
        if not low <= value <= high:  # NaN compares false, so it is refused here too
            raise SettingsError(f"{name}: must be {low:g}-{high:g}, not {text}")
        return value

    return convert


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def convert(name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise SettingsError(f"{name}: must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return convert


def _codes(name: str, text: str) -> frozenset[int] | None:
    code = _whole(0, 255)
    return frozenset(code(name, part.strip()) for part in text.split(","))


def _completion(name: str, text: str) -> str:
    if text not in COMPLETIONS:
        raise SettingsError(f"{name}: must be one of {', '.join(COMPLETIONS)}, not {text!r}")
    return text
