"""A question instead of a bot: a program of the image that answers on its standard output and ends.

It gets what the bot gets, credentials included, but for the report: that is the bot's own. Nothing is locked and nothing
written, so that it can be asked while a bot runs elsewhere.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

from supervisor import environment
from supervisor.paths import Paths
from supervisor.settings import ONCE, PREFIX, SettingsError, parse

MOST_S = 3600
TIMED_OUT = 124
"""As timeout(1) ends."""
UNUSABLE = 2


def run(arguments: list[str], paths: Paths, environ: Mapping[str, str]) -> int:
    """The program's exit code; 124 when it was killed after BOTFLEET_ONCE seconds, 2 when it could not be started."""
    try:
        seconds = _seconds(environ[ONCE])
        settings = parse(environ, arguments)
        variables = environment.load(paths.env_file)
    except (SettingsError, environment.BadEnvironmentError) as err:
        return _refused(str(err))
    bot = environment.for_bot(environ, variables, settings.instance, paths)
    del bot[PREFIX + "REPORT"]
    try:
        return subprocess.run(settings.command, env=bot, timeout=seconds, check=False).returncode & 0xFF
    except subprocess.TimeoutExpired:
        print(f"no answer within {seconds:g} s", file=sys.stderr, flush=True)
        return TIMED_OUT
    except OSError as err:
        return _refused(f"cannot start {settings.command[0]}: {os.strerror(err.errno or 0)}")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_S:
        raise SettingsError("setting_not_positive", name=ONCE, high=MOST_S, value=text[:40])
    return value


def _refused(why: str) -> int:
    print(why, file=sys.stderr, flush=True)
    return UNUSABLE
