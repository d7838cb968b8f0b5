"""Run a program of the image that answers a question on its standard output, instead of a bot.

It gets the bot's environment, credentials included, without the path of the report. It takes no lock and
writes no file, so that it can run beside a bot.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

from supervisor import environment
from supervisor.paths import Paths
from supervisor.settings import ONCE, SettingsError, parse

MAX_S = 3600
TIMED_OUT = 124
"""The exit code of timeout(1)."""
CANNOT_RUN = 2


def run(arguments: list[str], paths: Paths, environ: Mapping[str, str]) -> int:
    """Return the program's exit code; 124 when it was killed after BOTFLEET_ONCE seconds, 2 when it cannot
    be started.
    """
    try:
        seconds = _seconds(environ[ONCE])
        settings = parse(environ, arguments)
        variables = environment.load(paths.env_file)
    except (SettingsError, environment.BadEnvironmentError) as err:
        return _fail(str(err))
    bot = environment.for_bot(environ, variables, settings.instance, paths)
    del bot[environment.REPORT], bot[environment.REQUESTS]
    try:
        return subprocess.run(settings.command, env=bot, timeout=seconds, check=False).returncode & 0xFF
    except subprocess.TimeoutExpired:
        print(f"no answer within {seconds:g} s", file=sys.stderr, flush=True)
        return TIMED_OUT
    except OSError as err:
        return _fail(f"cannot start {settings.command[0]}: {os.strerror(err.errno or 0)}")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_S:
        raise SettingsError("setting_not_positive", name=ONCE, high=MAX_S, value=text[:40])
    return value


def _fail(why: str) -> int:
    print(why, file=sys.stderr, flush=True)
    return CANNOT_RUN
