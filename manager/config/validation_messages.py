"""Convert pydantic's errors to problems that name the path, the rule and the value."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from manager.config import bot_argv
from manager.config.models import Fault, StrategyConfig
from manager.config.variables import is_secret
from manager.errors import Problem
from manager.i18n import mark
from manager.typed import NamedTuple

TYPE_FAULTS = {
    "int": mark("must be a whole number, not {value}"),
    "float": mark("must be a number, not {value}"),
    "string": mark("must be a string, not {value}"),
    "finite_number": mark("must be a finite number, not {value}"),
    "bool": mark("must be true or false, not {value}"),
    "dict": mark("must be an object {{…}}, not {value}"),
    "model": mark("must be an object {{…}}, not {value}"),
    "tuple": mark("must be a list, not {value}"),
    "list": mark("must be a list, not {value}"),
}

NEVER_SHOWN = frozenset({"bot_args", "exchange_config", "environment"})
"""Sections in which any value may be a credential, regardless of its key."""


MISSPELT = 0.85
"""How alike two keys are, without case and underscores, of which one is meant for the other."""


def problems(file: str, model: type[BaseModel], error: ValidationError, prefix: str = "") -> list[Problem]:
    """Return one problem per error, in the file's order. `prefix`: where the model is in the file."""
    all_problems = (_problem(file, model, detail) for detail in error.errors(include_url=False))
    return [problem._replace(path=f"{prefix}{problem.path}") for problem in all_problems]


class _Traded(NamedTuple):
    """Hold a config's strategy_config, where a key may belong, and its strategy."""

    section: BaseModel
    strategy: str


def unknown_keys(
    file: str, value: BaseModel, prefix: str = "", traded: _Traded | None = None
) -> Iterator[Problem]:
    """Yield a warning for each key that the model does not know, with the closest known one; and for what
    lies below it, where that is a key of the strategy's.
    """
    section, metadata = getattr(value, "strategy_config", None), getattr(value, "metadata", None)
    if isinstance(section, BaseModel):
        traded = _Traded(section, str(getattr(metadata, "strategy", "")))
    known = list(type(value).model_fields)
    for key in value.model_extra or {}:
        near = difflib.get_close_matches(key, known, n=1)
        path = f"{prefix}{key}"
        if key.startswith("$"):  # "$schema": where editors look
            continue
        is_own = traded is None or value is traded.section
        elsewhere = _stray(file, path, traded, key) if not is_own and key not in known else None
        if elsewhere is not None and not _is_near(key, near):
            yield elsewhere
        elif near:
            yield Problem.at(file, path, "is not a known key; did you mean {near}?", near=near[0])
        else:
            yield Problem.at(file, path, "is not a known key")
        yield from _below(file, path, traded, (value.model_extra or {})[key])
    for name in known:
        section = getattr(value, name)
        if isinstance(section, BaseModel):
            yield from unknown_keys(file, section, f"{prefix}{name}.", traded)


def _below(
    file: str, path: str, traded: _Traded | None, content: object, depth: int = 3
) -> Iterator[Problem]:
    """Yield a warning for each key of the strategy's, or nearly one, below a key that is not known."""
    for key, item in content.items() if isinstance(content, dict) and depth else ():
        if isinstance(key, str) and (stray := _stray(file, f"{path}.{key}", traded, key)):
            yield stray
        yield from _below(file, f"{path}.{key}", traded, item, depth - 1)


def keys_not_traded(file: str, strategy: str, section: BaseModel) -> Iterator[Problem]:
    """Yield a warning for the keys of strategy_config that this strategy's bot does not get, and for each key
    whose value another key for the same option replaces.
    """
    given, set_keys = bot_argv.keys_given(strategy), bot_argv.keys_set(section)
    for key in set_keys:
        if key not in given and getattr(section, key) is not False:
            yield _not_given(file, f"strategy_config.{key}", strategy)
    for names in bot_argv.options_of(strategy):
        first, *more = [key for key in names if key in set_keys] or [""]
        for key in more:
            if getattr(section, key) != getattr(section, first):
                yield _replaced(file, f"strategy_config.{key}", first, getattr(section, first))


def range_not_watched(file: str, strategy: str, section: StrategyConfig) -> Iterator[Problem]:
    """Yield a warning for an action that the bot never takes, as nobody has it watch its range.

    Who writes `false` wants it so.
    """
    if strategy in bot_argv.GRIDS and section.boundary_action and section.enable_boundary_check is None:
        yield Problem.at(
            file,
            "strategy_config.boundary_action",
            "is never taken while strategy_config.enable_boundary_check is not set: set it to true, or to "
            "false if the bot is not to watch its range",
        )


def misspelt_keys(file: str, value: BaseModel, prefix: str) -> Iterator[Problem]:
    """Yield a problem for each unknown key that is nearly a known one: what it was meant to say would not
    be traded.
    """
    known = {_plain(name): name for name in type(value).model_fields}
    for key in value.model_extra or {}:
        if near := difflib.get_close_matches(_plain(key), known, n=1, cutoff=MISSPELT):
            yield Problem.at(
                file, f"{prefix}{key}", "is not a known key; did you mean {near}?", near=known[near[0]]
            )


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _is_near(key: str, near: list[str]) -> bool:
    """Return whether a key is rather meant for a known one of its own section."""
    return bool(near and difflib.get_close_matches(_plain(key), [_plain(near[0])], cutoff=MISSPELT))


def _stray(file: str, path: str, traded: _Traded | None, written: str) -> Problem | None:
    """Report a strategy's key, or one that is nearly one, outside strategy_config, and what is traded
    instead.
    """
    if traded is None:
        return None
    section = traded.section
    names = {_plain(name): name for name in type(section).model_fields}
    nearest = difflib.get_close_matches(_plain(written), names, n=1, cutoff=MISSPELT)
    if not nearest:
        return None
    key = names[nearest[0]]
    if key not in bot_argv.keys_given(traded.strategy):
        return _not_given(file, path, traded.strategy)
    set_keys = [name for name in bot_argv.same_option(key) if getattr(section, name, None) is not None]
    key = set_keys[0] if set_keys else key
    value = getattr(section, key)
    if value is None:
        return Problem.at(
            file, path, "is ignored: only strategy_config.{key} is traded, and it is not set", key=key
        )
    return _replaced(file, path, key, value)


def _not_given(file: str, path: str, strategy: str) -> Problem:
    return Problem.at(
        file, path, "is ignored: a bot with the strategy {strategy} has no use for it", strategy=strategy
    )


def _replaced(file: str, path: str, key: str, traded: object) -> Problem:
    return Problem.at(
        file,
        path,
        "is ignored: {value} of strategy_config.{key} is traded",
        value=bot_argv.number_text(traded) if isinstance(traded, float) else traded,
        key=key,
    )


def _problem(file: str, model: type[BaseModel], detail: ErrorDetails) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Fault):
        return Problem(file, path, cause.text)
    kind = detail["type"]
    if kind == "missing":
        return Problem.at(file, path, "is missing")
    value = _shown(detail["loc"], detail["input"])
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        return _out_of_range(file, path, value, _bounds(model, detail["loc"]))
    if kind in {"literal_error", "enum"}:
        others, _or, last = detail["ctx"]["expected"].rpartition(" or ")
        if not others:
            return Problem.at(file, path, "must be {expected}, not {value}", expected=last, value=value)
        return Problem.at(
            file, path, "must be {others} or {last}, not {value}", others=others, last=last, value=value
        )
    fault = TYPE_FAULTS.get(kind.removesuffix("_type").removesuffix("_parsing"))
    if fault is not None:
        return Problem.at(file, path, fault, value=value)
    return Problem.at(file, path, "{why}, not {value}", why=detail["msg"], value=value)


def _shown(location: tuple[int | str, ...], value: object) -> str:
    """Return the value as it may be printed: short, and never a secret."""
    if NEVER_SHOWN.intersection(location[:1]) or any(is_secret(str(part)) for part in location):
        return "…"
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _out_of_range(file: str, path: str, value: str, bounds: dict[str, Any]) -> Problem:
    """State the range by the bounds that the field declares: `1-65535`, `32 or more`, `above 0`."""
    if "ge" in bounds and "le" in bounds:
        limits = f"{bounds['ge']}-{bounds['le']}"
        return Problem.at(file, path, "must be {range}, not {value}", range=limits, value=value)
    if "gt" in bounds:
        return Problem.at(file, path, "must be above {least}, not {value}", least=bounds["gt"], value=value)
    if "ge" in bounds:
        return Problem.at(file, path, "must be {least} or more, not {value}", least=bounds["ge"], value=value)
    return Problem.at(file, path, "must be at most {most}, not {value}", most=bounds.get("le"), value=value)


def _bounds(model: type[BaseModel], location: tuple[int | str, ...]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for constraint in _constraints(model, location):
        for name in ("ge", "gt", "le", "lt"):
            bound = getattr(constraint, name, None)
            if bound is not None:
                bounds[name] = bound
    return bounds


def _constraints(model: type[BaseModel], location: tuple[int | str, ...]) -> list[Any]:
    field, is_name = None, False
    for part in location:
        if is_name:
            is_name = False
            continue
        if isinstance(part, int) or part not in model.model_fields:
            break
        field = model.model_fields[part]
        annotation = field.annotation
        if get_origin(annotation) is dict:  # of tables that have names of the user's, as [requests.NAME]
            is_name, annotation = True, get_args(annotation)[1]
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    if field is None:
        return []
    constraints = list(field.metadata)
    for member in getattr(field.annotation, "__args__", ()):  # Annotated[…] | None keeps them one level down
        for constraint in getattr(member, "__metadata__", ()):
            constraints += getattr(constraint, "metadata", None) or [constraint]
    return constraints
