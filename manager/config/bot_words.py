"""Read a command line as the bundled bot's parser does, to tell what it refuses. Pure.

The options are those of docker/bot/gridbot/config/args.py, and the messages its own and argparse's; the
`bot_args` of a config may contain anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from manager.config.bot_argv import FLAGS
from manager.config.exchanges import EXCHANGES

Value = Decimal | str | bool
REQUIRED = ("--exchange", "--symbol", "--strategy")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "--exchange": tuple(EXCHANGES),
    "--strategy": ("grid", "perp_grid", "standard", "maker_hedge"),
    "--market-type": ("spot", "perp"),
    "--grid-mode": ("arithmetic", "geometric"),
    "--grid-type": ("neutral", "long", "short"),
    "--boundary-action": ("emergency_close", "adjust_range", "stop_only"),
}
REPLAY = "--replay"
"""The bot's only option that no key of a config becomes and that a flat config may give."""
NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
"""What argparse takes for a value although it begins with a dash: not `-1e-2`."""


class UnusableError(ValueError):
    """Report a value that the option's type does not allow."""


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise UnusableError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise UnusableError(f"{text!r} is not a finite number")
    return value


def _seconds(text: str) -> Decimal:
    if text.lower() == "none":
        return Decimal(0)
    if (value := _decimal(text)) < 0:
        raise UnusableError("must not be below 0")
    return value


def _integer(text: str) -> Decimal:
    try:
        return Decimal(int(text))
    except ValueError:
        raise UnusableError(f"invalid int value: {text!r}") from None


TYPES: Mapping[str, Callable[[str], Value]] = {
    **dict.fromkeys((*CHOICES, "--symbol", REPLAY), str),
    **dict.fromkeys(
        (
            *("--quantity", "--max-position", "--initial-position", "--stop-loss", "--take-profit"),
            *("--grid-upper", "--grid-lower", "--boundary-tolerance"),
            *("--spread", "--target-position", "--position-threshold", "--inventory-skew"),
        ),
        _decimal,
    ),
    **dict.fromkeys(("--duration", "--interval"), _seconds),
    **dict.fromkeys(("--grid-num", "--max-range-moves", "--max-orders", "--cancel-all-after"), _integer),
}


@dataclass
class Words:
    """Hold what a command line says: option → value, the last one where it is given twice, and faults.

    `unknown` has the names of options that the bot does not have, without their values, which may be secret.
    """

    values: dict[str, Value] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def read(command: Sequence[str]) -> Words:
    """Return what the bot's parser makes of a command line; it ends with the first fault."""
    result, rest = Words(), list(command)
    is_known = True
    while rest:
        word = rest.pop(0)
        name, is_joined, joined = word.partition("=")
        if not _is_option(word):
            if is_known:  # the value of an unknown option is not shown
                result.unknown.append("…")
            continue
        is_known = name in FLAGS or name in TYPES
        if not is_known:
            result.unknown.append(name)
        elif name in FLAGS:
            result.values[name] = True
            if is_joined:
                result.faults.append(f"argument {name}: ignored explicit argument {joined!r}")
        elif is_joined or (rest and not _is_option(rest[0])):
            result.faults += _keep(result.values, name, joined if is_joined else rest.pop(0))
        else:
            result.faults.append(f"argument {name}: expected one argument")
    return result


def refusals(words: Words) -> Iterator[str]:
    """Yield what the parser refuses, in its order."""
    yield from words.faults
    if missing := [name for name in REQUIRED if name not in words.values]:
        yield f"the following arguments are required: {', '.join(missing)}"
    if words.unknown:
        yield f"unrecognized arguments: {' '.join(words.unknown)}"


def _keep(values: dict[str, Value], name: str, text: str) -> Iterator[str]:
    """Take a value down, and yield why it is none."""
    try:
        values[name] = TYPES[name](text)
    except UnusableError as err:
        yield f"argument {name}: {err}"
        return
    if name in CHOICES and text not in CHOICES[name]:
        listed = ", ".join(map(repr, CHOICES[name]))
        yield f"argument {name}: invalid choice: {text!r} (choose from {listed})"


def _is_option(word: str) -> bool:
    """Tell whether argparse takes a word for an option, and not for a value."""
    if len(word) < 2 or word[0] != "-" or NEGATIVE_NUMBER.fullmatch(word):
        return False
    return " " not in word or word.partition("=")[0] in (*TYPES, *FLAGS)
