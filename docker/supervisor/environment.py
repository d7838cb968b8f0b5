"""The bot's environment, put together anew before each start."""

import contextlib
import json
import os
import time
from collections.abc import Mapping

from supervisor import files
from supervisor.paths import Paths
from supervisor.settings import PREFIX


class BadEnvironmentError(ValueError):
    """env.json or what it yields is unusable; the text names the fault and never a value."""


def load(path: str) -> dict[str, str]:
    """The variables of env.json; none when there is no such file."""
    try:
        raw = json.loads(files.read_small(path))
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise BadEnvironmentError(f"cannot read {path}: {err.strerror}") from err
    except (ValueError, RecursionError) as err:
        where = f" at line {err.lineno}" if isinstance(err, json.JSONDecodeError) else ""
        raise BadEnvironmentError(f"cannot read {path}: it is not JSON{where}") from None
    if not isinstance(raw, dict):
        raise BadEnvironmentError(f"cannot read {path}: it is not a JSON object")
    for name, value in raw.items():
        if not name or "=" in name or "\0" in name:
            raise BadEnvironmentError(f"cannot use {path}: {name!r} is no variable name")
        if not isinstance(value, str) or "\0" in value or not _encodable(name + value):
            raise BadEnvironmentError(
                f"cannot use {path}: {name!r} must be a string that an environment can hold"
            )
    return raw


def _encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def for_bot(
    container: Mapping[str, str], variables: Mapping[str, str], instance: str, paths: Paths
) -> dict[str, str]:
    """The container's variables and env.json's over them, without the supervisor's own."""
    merged = {**container, **variables}
    bot = {name: value for name, value in merged.items() if not name.startswith(PREFIX)}
    return {**bot, PREFIX + "INSTANCE": instance, PREFIX + "REPORT": paths.report_file}


def web_port(bot: Mapping[str, str]) -> int:
    """The port to probe."""
    text = bot.get("WEB_PORT", "")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise BadEnvironmentError(
            f"WEB_PORT: must be 1-65535, not {text!r}" if text else "WEB_PORT is not set"
        )
    return int(text)


def use_time_zone(bot: Mapping[str, str]) -> None:
    """Dates in file names and log lines follow the bot's TZ."""
    if "TZ" in bot:
        os.environ["TZ"] = bot["TZ"]
    else:
        with contextlib.suppress(KeyError):
            del os.environ["TZ"]
    time.tzset()
