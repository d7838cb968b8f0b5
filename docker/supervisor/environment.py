"""Make the bot's environment, again before each start."""

import os
import time
from _collections_abc import Mapping

from supervisor import files, json_text
from supervisor.paths import Paths
from supervisor.reasons import ReasonError
from supervisor.settings import PREFIX
from supervisor.suppress import suppress

REPORT = PREFIX + "REPORT"
"""The variable that names the file of the bot's report."""

REQUESTS = PREFIX + "REQUESTS"
"""The variable that names the file of the bot's share of its exchange's requests."""

OTHERS = PREFIX + "OTHERS"
"""The variable that names the file of what the fleet's other bots hold on the bot's account."""

FIXED = ("DB_PATH", "ENABLE_DATABASE", "TRADING_MODE", "WEB_HOST", "WEB_PORT")
"""The container's own value counts, which every user can see: no env.json makes a paper bot trade live."""


SECRET_WORDS = ("key", "secret", "pass", "token", "private", "mnemonic", "seed")  # as the manager has them
LEAST_SECRET = 12  # characters: what is shorter may be a word of any line


class BadEnvironmentError(ReasonError):
    """Signal that env.json, or the environment made from it, cannot be used.

    The reason names the fault and never a value.
    """


def load(path: str) -> dict[str, str]:
    """Return the variables of env.json; none when there is no such file."""
    try:
        raw = json_text.loads(files.read_small(path))
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise BadEnvironmentError("file_unreadable", path=path, error=str(err.strerror)) from err
    except (ValueError, RecursionError) as err:
        line = getattr(err, "lineno", None)  # of a JSONDecodeError
        if line is not None:
            raise BadEnvironmentError("file_not_json_at", path=path, line=line) from None
        raise BadEnvironmentError("file_not_json", path=path) from None
    if not isinstance(raw, dict):
        raise BadEnvironmentError("file_not_object", path=path)
    for name, value in raw.items():
        if not name or "=" in name or "\0" in name:
            raise BadEnvironmentError("variable_name_invalid", path=path, name=name)
        if not isinstance(value, str) or "\0" in value or not _encodable(name + value):
            raise BadEnvironmentError("variable_value_invalid", path=path, name=name)
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
    """Return the container's variables, overridden by those of env.json, without the supervisor's own."""
    fixed = {name: container[name] for name in FIXED if name in container}
    merged = {**container, **variables, **fixed}
    bot = {name: value for name, value in merged.items() if not name.startswith(PREFIX)}
    files_of_bot = {REPORT: paths.report_file, REQUESTS: paths.requests_file, OTHERS: paths.others_file}
    return {**bot, PREFIX + "INSTANCE": instance, **files_of_bot}


def secret_values(bot: Mapping[str, str]) -> list[str]:
    """Return what of a bot's variables its last lines may not tell, the longest first."""
    values = {
        value
        for name, value in bot.items()
        if len(value) >= LEAST_SECRET and any(word in name.lower() for word in SECRET_WORDS)
    }
    return sorted(values, key=len, reverse=True)


def web_port(bot: Mapping[str, str]) -> int:
    """Return the port to probe."""
    text = bot.get("WEB_PORT", "")
    if not text:
        raise BadEnvironmentError("web_port_missing")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise BadEnvironmentError("web_port_invalid", value=text[:20])
    return int(text)


def use_time_zone(bot: Mapping[str, str]) -> None:
    """Set the time zone of file names and log lines to the bot's TZ."""
    if "TZ" in bot:
        os.environ["TZ"] = bot["TZ"]
    else:
        with suppress(KeyError):
            del os.environ["TZ"]
    time.tzset()
