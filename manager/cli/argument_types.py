"""Define the types of option values: text → value, or a usage error that names what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from manager import i18n
from manager.i18n import _, bracketed, listed
from manager.typed import get_args


def _refusal(text: str) -> Exception:
    """Return the error that argparse turns into a usage error."""
    import argparse  # loaded only where a line is wrong

    return argparse.ArgumentTypeError(text)


def interval(text: str) -> float:
    """Return seconds between two refreshes; a shorter interval would cause noticeable load."""
    value = _as_float(text)
    if not 0.5 <= value <= 3600:
        raise _refusal(_("must be 0.5-3600 seconds"))
    return value


def words(text: str) -> list[str]:
    """Return the items of `a,b`; repeating an option adds to it."""
    return [word for word in map(str.strip, text.split(",")) if word]


def _one_of(allowed: Sequence[str], text: str, *, is_list: bool = True) -> list[str]:
    values = words(text) if is_list else [text]
    for value in values:
        if value not in allowed:
            raise _refusal(
                _("must be one of {allowed}, not “{value}”").format(allowed=", ".join(allowed), value=value)
            )
    return values


def _as_shown(allowed: Sequence[str], text: str, also: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return the items of a list in which a word may be as `ps` prints it to this reader."""
    shown = {**{_(word).lower(): word for word in allowed}, **also}
    values = [shown.get(value.lower(), value.lower()) for value in words(text)]
    if unknown := [value for value in values if value not in allowed]:
        names = [word if _(word) == word else f"{word}{bracketed(_(word))}" for word in allowed]
        raise _refusal(
            _("must be one of {allowed}, not “{value}”").format(allowed=listed(names), value=unknown[0])
        )
    return values


def all_states() -> tuple[str, ...]:
    """Return every state that `ps` shows."""
    from manager.fleet.status import State

    return get_args(State)


def states(text: str) -> list[str]:
    return _as_shown(all_states(), text)


def table_format(text: str) -> str:
    """Return a format of tabulate."""
    from manager.util import drawn_table  # tabulate is loaded only where it is asked for

    return _one_of(drawn_table.formats(), text, is_list=False)[0]


def stats_columns(text: str) -> list[str]:
    """Return names of columns of `stats`."""
    from manager.monitor.stats import figure_columns  # loaded only where they are asked for

    return _one_of(tuple(figure_columns.ALL), text)


def modes(text: str) -> list[str]:
    return _as_shown(("paper", "live"), text, {_("LIVE").lower(): "live"})


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _refusal(_("must be a whole number, 0 or more"))
    return int(text)


def moment(text: str) -> float:
    """Return a point in time as Unix time."""
    from manager.util import time_parse

    try:
        return time_parse.parse_time(text)
    except ValueError:
        raise _refusal(
            _("must be a duration (10m, 2h, 3d), a local date and time, or RFC 3339, not “{value}”").format(
                value=text
            )
        ) from None


def later(text: str) -> float:
    """Return a point in time that is to come, as Unix time."""
    from manager.util import time_parse

    try:
        return time_parse.parse_later(text)
    except ValueError:
        raise _refusal(
            _(
                "must be a duration (30m, 8h, 2d), a time of day (08:00), or a local date and time to come,"
                " not “{value}”"
            ).format(value=text)
        ) from None


def pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refusal(_("is no regular expression: {why}").format(why=error)) from None


def seconds(text: str) -> float:
    """Return a time to wait, at most a day."""
    value = _as_float(text)
    if not 0 <= value <= 86400:
        raise _refusal(_("must be 0-86400 seconds"))
    return value


def _as_float(text: str) -> float:
    """Return a number, or the one that lies within no bounds for what is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def number(text: str) -> float:
    """Return a number as JSON writes it: 100 stays a whole number."""
    value = _as_float(text)
    if not 0 <= value < float("inf"):
        raise _refusal(_("must be a number, 0 or more"))
    return int(value) if value.is_integer() else value


def signed_number(text: str) -> str:
    """Return a finite number, which may be below 0, as it was written."""
    value = _as_float(text)
    if not float("-inf") < value < float("inf"):
        raise _refusal(_("must be a number"))
    return text


def percentage(text: str) -> str:
    """Return a percentage above 0 and below 100, as it was written."""
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or float(text) == 0:
        raise _refusal(_("must be a percentage above 0 and below 100"))
    return text


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers within bounds."""

    def of(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise _refusal(_("must be {low}-{high}").format(low=low, high=high))
        return int(text)

    return of


def language(tag: str) -> str:
    """Return a language that has a catalogue."""
    if not i18n.is_known(tag):
        raise _refusal(
            _("must be one of {allowed}, not “{value}”").format(allowed=", ".join(i18n.LANGUAGES), value=tag)
        )
    return tag


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `PORT`; an IPv6 address stands in brackets."""
    host, _colon, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536 or len(port) > 5:
        raise _refusal(_("must be HOST:PORT, such as 127.0.0.1:9095"))
    return host.strip("[]") or "127.0.0.1", int(port)
