"""Try a bot of the user's own in its new image, before any bot is stopped for it.

It runs as the bot will: as its user, with a read-only file system; but without network, keys and data, and
never for longer than a moment.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from manager.config import bot_options
from manager.config.bot_options import BotOptions
from manager.config.spec import InstanceSpec
from manager.engine import labels
from manager.engine.client import Engine
from manager.errors import EngineError, ManagerError
from manager.i18n import Text
from manager.util.sanitize import replace_unprintable

HELP_WITHIN_S = 60
"""A bot may load many packages before it prints its help, on a busy machine."""
REFUSED_WITHIN_S = 10
"""A bot that does not accept its arguments says so as soon as it runs."""
MOST_S = HELP_WITHIN_S + 30
"""The container ends by then, also if the manager was killed."""
BAD_USAGE = 2
"""The exit code of argparse, click and getopt for arguments that they do not accept."""
MISSING_MODULE = re.compile(r"^(?:ModuleNotFoundError|ImportError): (.*)", re.MULTILINE)
REFUSED = re.compile(r"unrecognized arguments?|no such option|unknown option|required", re.IGNORECASE)
NAME = "build-probe"
LINES = 40
Warn = Callable[[Text], object]


def probe(engine: Engine, image: str, fleet: str, specs: Iterable[InstanceSpec], warn: Warn) -> BotOptions:
    """Return what the bot's `--help` names, and requires of those whose arguments were not tried. Raises
    ManagerError if the bot cannot start in this image.

    `specs`: the instances that it is built for; their arguments are tried if the help does not name them all.
    """
    code, out, err = _run(engine, image, fleet, ["--help"], HELP_WITHIN_S)
    _require_modules(err)
    if code != 0:
        warn(
            Text(
                "`run.py --help` in the new image {what}; whether the bot accepts its arguments is not known",
                what=_ending(code),
            )
        )
        return BotOptions()
    options = bot_options.options_in(out)
    not_needed: set[str] = set()
    for spec in specs:
        missing = bot_options.missing_from(options, spec.command)
        if unnamed := [*bot_options.unknown_to(options, spec.command), *missing]:
            _try(engine, image, fleet, spec, unnamed, warn)
            not_needed.update(missing)
    return options._replace(required=options.required - not_needed)


def _try(engine: Engine, image: str, fleet: str, spec: InstanceSpec, unnamed: list[str], warn: Warn) -> None:
    code, _out, err = _run(engine, image, fleet, list(spec.command), REFUSED_WITHIN_S)
    _require_modules(err)
    if code == BAD_USAGE and REFUSED.search(err):
        raise ManagerError(
            "the bot in the new image does not accept the arguments of {file}: {why}. Change run.py or the"
            " config; the image is not used",
            file=spec.config_file,
            why=_last_line(err),
        )
    warn(
        Text(
            "{file}: the help of run.py does not name, or requires, {options}; the bot accepts its arguments"
            " all the same",
            file=spec.config_file,
            options=", ".join(unnamed),
        )
    )


def _require_modules(err: str) -> None:
    if match := MISSING_MODULE.search(err):
        raise ManagerError(
            "the bot cannot start in the new image: {why}. Add the package to requirements.txt beside run.py;"
            " the image is not used",
            why=replace_unprintable(match[1]),
        )


def _run(
    engine: Engine, image: str, fleet: str, arguments: list[str], within: float
) -> tuple[int | None, str, str]:
    """Return exit code, standard output and standard error; the code is None for a bot that ran on."""
    _sweep(engine, fleet)
    name = f"{fleet}-{NAME}-{os.urandom(4).hex()}"  # several builds may run at once
    container = engine.create(name, body(engine.image(image), fleet, arguments))
    try:
        engine.start(container)
        code: int | None = None
        with suppress(EngineError):  # it still runs
            code = engine.wait(container, within)
        return code, engine.output(container, "stdout", 1000), engine.output(container, "stderr", LINES)
    finally:
        engine.discard(container)


def _sweep(engine: Engine, fleet: str) -> None:
    """Remove what killed managers have left. A younger one may be another build's."""
    for row in engine.containers(labels.oneoff_filter(fleet)):
        if row["Labels"].get(labels.ASKED_FOR) == NAME and time.time() - row["Created"] > MOST_S:
            engine.discard(row["Id"])


def body(image: Mapping[str, Any], fleet: str, arguments: list[str]) -> dict[str, Any]:
    """Return the definition of the container that tries the bot. Pure."""
    config = image["Config"]
    own = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    writable = dict.fromkeys(("/tmp", "/data", "/app/logs", "/run/botfleet"), "mode=1777")
    own |= {"TRADING_MODE": "paper", "DB_PATH": "/data/probe.db", "WEB_PORT": "8080"}
    return {
        "Image": image["Id"],
        "User": config.get("User", ""),
        "Entrypoint": ["timeout", str(MOST_S), *own.get("BOTFLEET_BOT_COMMAND", "").split()],
        "Cmd": arguments,
        "Env": [f"{name}={value}" for name, value in own.items()],
        "Labels": labels.of_oneoff(fleet, NAME),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Tmpfs": writable,
            "Memory": 2 << 30,
            "PidsLimit": 512,
            "LogConfig": {"Type": "local"},  # the engine's own default may need a service that is away
        },
    }


def _ending(code: int | None) -> Text:
    if code is None:
        return Text("did not end within {seconds} s", seconds=HELP_WITHIN_S)
    return Text("ended with exit code {code}", code=code)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return replace_unprintable(lines[-1]) if lines else "-"
