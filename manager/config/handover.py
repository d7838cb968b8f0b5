"""Determine what a config hands over to its bot, and what it may not. Pure.

A refusal never concerns a container that exists: it goes on with what it was given before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from manager.config.dotenv import NAME
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.steering import belongs_to, is_known_address, steered_by, steered_with
from manager.config.variables import REFERENCE, is_reference, is_secret, references, scalar_values
from manager.errors import Problem
from manager.i18n import Text, mark
from manager.typed import TYPE_CHECKING, Any
from manager.util import wildcard
from manager.util.late_pattern import late_pattern
from manager.util.sanitize import hidden_in

if TYPE_CHECKING:
    from manager.config.models import InstanceConfig

ZONE = late_pattern(r"(?!.*\.\.)[A-Za-z0-9<][A-Za-z0-9_+\-<>,./:]*|")
"""A time zone's name, or the rules of one; the C library would open any other as a file."""
MANAGERS_OWN: Mapping[str, str] = {
    "TRADING_MODE": "mode",
    "WEB_PORT": "daemon_config.web_port",
    "DB_PATH": "daemon_config.db_path",
    "WEB_HOST": "",
    "ENABLE_DATABASE": "",
}
"""Variables of the contract → the key of a config that they follow from; empty for one that never differs."""
SECTIONS = ("exchange_config", "environment")
"""The sections that may reference variables."""
PATHS = ("log_dir", "db_path", "python_path", "script_path", "working_dir")
SENTENCES = ("name",)
"""The keys of metadata that stand for an id. What else only describes is shown without what is not seen."""


def literals(spec: InstanceSpec, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what a config itself gives the bot: name → text, as it is written in the file.

    A default counts while its variable is unset.
    """
    defaults = {
        variable.name: variable.default
        for variable in spec.variables
        if variable.default and not variables.get(variable.name)
    }
    return {**defaults, **spec.literals}


def refusals(file: str, raw: Mapping[str, Any], config: InstanceConfig, fleet: Fleet) -> Iterator[Problem]:
    """Yield what this config may not hand over. `raw`: the file's JSON value."""
    texts = [
        *((scalar.path, scalar.text) for scalar in scalar_values(config.exchange_config, "exchange_config")),
        *((f"environment.{name}", text) for name, text in config.environment.items()),
    ]
    arguments = [(f"bot_args[{index}]", text) for index, text in enumerate(config.bot_args or ())]
    yield from _hidden(file, config, [*texts, *arguments])
    yield from _outside(file, raw)
    yield from _names(file, texts, config, fleet)
    yield from _steering(file, texts, config)
    for name, text in config.environment.items():
        if not is_secret(name) and fleet.is_declared_secret(name) and text and not is_reference(text):
            yield Problem.at(
                file,
                f"environment.{name}",
                "contains a credential in clear text; write ${{NAME}} here and NAME=… in .env",
            )


def _hidden(file: str, config: InstanceConfig, handed_over: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Yield texts that would move a terminal's cursor, read backwards or not be seen where they are shown.

    Names are refused more than sentences: two that look alike would be two folders, or two groups.
    """
    metadata, daemon = config.metadata, config.daemon_config
    names = {
        **{f"metadata.{key}": getattr(metadata, key) for key in ("exchange", "symbol", "strategy")},
        **{f"metadata.tags[{index}]": tag for index, tag in enumerate(metadata.tags)},
        **{f"daemon_config.{key}": getattr(daemon, key) for key in PATHS},
    }
    sentences = [(f"metadata.{key}", getattr(metadata, key)) for key in SENTENCES]
    for path, text in (*names.items(), *sentences, *handed_over):
        if text and (sign := hidden_in(text, is_sentence=path not in names)):
            yield Problem.at(
                file,
                path,
                "contains the character {sign}, which is not seen, or changes how the text around it is"
                " shown; remove it",
                sign=sign,
            )
    for name in config.environment:
        if not NAME.fullmatch(name):
            yield Problem.at(
                file,
                f"environment.{name}",
                "must be a variable's name, of A-Z a-z 0-9 _, not beginning with a digit",
            )


def _outside(file: str, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield references in sections that end up in labels and arguments."""
    for key, section in raw.items():
        if key in SECTIONS:
            continue
        for scalar in scalar_values(section, key):
            for name, _default in references(scalar.text):
                yield Problem.at(
                    file,
                    scalar.path,
                    "references {name}, which only exchange_config and environment may; write the value "
                    "itself here",
                    name=name,
                )


def _names(
    file: str, texts: list[tuple[str, str]], config: InstanceConfig, fleet: Fleet
) -> Iterator[Problem]:
    """Yield references to variables that no config, or not this one, may use."""
    unknown: dict[str, str] = {}
    for path, text in texts:
        for name, _default in references(text):
            if name in fleet.alert_variables:
                yield Problem.at(
                    file, path, "references {name}, which belongs to [alerts] of config/fleet.toml", name=name
                )
            elif _is_allowed(name, config.metadata.exchange, fleet):
                continue
            elif name.upper() in MANAGERS_OWN:
                yield _managers_own(file, path, mark("references {name}, {which}"), name)
            else:
                unknown.setdefault(name, path)
    if unknown:
        names = [*fleet.config_variables, *unknown]
        yield Problem.at(
            file,
            next(iter(unknown.values())),
            "references {names}, which config/fleet.toml does not allow; if you trust this config, write "
            "there: {line}",
            names=", ".join(unknown),
            line=f"config_variables = {json.dumps(names)}",
        )


def why_not_taken(name: str, value: str, exchange: str, fleet: Fleet) -> Text | None:
    """Return why another machine's value of a variable that a config references is not written to .env."""
    if not NAME.fullmatch(name):
        return Text("it is not a variable's name")
    if name in fleet.alert_variables or not _is_allowed(name, exchange, fleet):
        return Text("config/fleet.toml does not allow a config to reference it")
    if (steered := steered_by(name)) and not is_known_address(value, exchange):
        return Text("it determines {what}", what=Text(steered))
    return None


def _is_allowed(name: str, exchange: str, fleet: Fleet) -> bool:
    patterns = (*fleet.variables, *fleet.config_variables)
    return (
        belongs_to(name, exchange)
        or name in fleet.image_variables
        or any(wildcard.matches(name, pattern) for pattern in patterns)
    )


def _steering(file: str, texts: list[tuple[str, str]], config: InstanceConfig) -> Iterator[Problem]:
    """Yield values of the config's own for variables that steer."""
    exchange = config.metadata.exchange
    for path, text in texts:
        for name, default in references(text):
            if (
                default
                and (steered := steered_with(name, default))
                and not is_known_address(default, exchange)
            ):
                yield _steers(file, path, name, steered)
            if default and "TZ" in (name, path.rpartition(".")[2]) and not ZONE.fullmatch(default):
                yield _no_zone(file, path)
    for name, text in config.environment.items():
        match = REFERENCE.fullmatch(text)
        is_passed_on = match is not None and match[1] == name
        if name == "TZ" and match is None and not ZONE.fullmatch(text):
            yield _no_zone(file, "environment.TZ")
        if is_passed_on or is_known_address(text, exchange):
            continue
        if steered := steered_with(name, text):
            yield _steers(file, f"environment.{name}", name, steered)


def _no_zone(file: str, path: str) -> Problem:
    return Problem.at(file, path, "must be a time zone such as Europe/Berlin, and no path to a file")


def _managers_own(file: str, path: str, message: str, name: str) -> Problem:
    key = MANAGERS_OWN[name.upper()]
    which = (
        Text("which the manager sets from {key}; remove it, and set that key", key=key)
        if key
        else Text("which the manager sets by itself; remove it")
    )
    return Problem.at(file, path, message, name=name, which=which)


def _steers(file: str, path: str, name: str, steered: str) -> Problem:
    if name.upper() in MANAGERS_OWN:
        return _managers_own(file, path, mark("gives {name} a value, {which}"), name)
    return Problem.at(
        file,
        path,
        "gives {name} a value, which determines {what}; a config must not: write it to .env, and add "
        "{quoted} to variables in config/fleet.toml",
        name=name,
        what=Text(steered),
        quoted=f'"{name}"',
    )
