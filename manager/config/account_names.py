"""Give a second account's credentials to the bundled bot under the names that it reads. Pure.

`"api_key": "${BP2_KEY}"` means that this bot's API key is the value of BP2_KEY. The bot reads BACKPACK_KEY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from manager.config.exchanges import EXCHANGES
from manager.config.steering import belongs_to
from manager.config.variables import REFERENCE


def read_as(exchange: str, key: str, text: str) -> str | None:
    """Return the variable that the bot reads this key of exchange_config from; None if that is the one named.

    `text`: the key's value in the config. Only a whole `${NAME}` stands for one credential. The key may be
    written api_key, api-key or apiKey.
    """
    match = REFERENCE.fullmatch(text.strip())
    if match is None or belongs_to(match[1], exchange):
        return None
    key = re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", key).upper()
    group = _group(exchange, key)
    own = f"{exchange.upper()}_{key.removeprefix(f'{exchange.upper()}_')}"
    if is_ambiguous(own, exchange):
        return own  # the bot takes it only in a form that has one meaning
    return group[0] if group else None


def given_as(name: str, exchange: str, value: str) -> str:
    """Return under which name the bot gets a value that it reads as `name`.

    A value that can only be one of two things is that, whatever it is called.
    """
    group = _group(exchange, name.removeprefix(f"{exchange.upper()}_"))
    return group[0] if group and is_ambiguous(name, exchange) and value.startswith("0x") else name


def is_ambiguous(name: str, exchange: str) -> bool:
    """Return whether a variable of this name may hold either of two things."""
    known = EXCHANGES.get(exchange.lower())
    return known is not None and name in {f"{exchange.upper()}_{suffix}" for suffix in known.ambiguous}


def aliases(name: str, exchange: str) -> tuple[str, ...]:
    """Return the other names of this variable's credential, under which the bot must not find another
    account's.
    """
    prefix = f"{exchange.upper()}_"
    return tuple(other for other in _group(exchange, name.removeprefix(prefix)) if other != name)


def credential_of(name: str, exchange: str) -> str:
    """Return the first name of this variable's credential, without the exchange's; empty for none."""
    prefix = f"{exchange.upper()}_"
    group = _group(exchange, name.removeprefix(prefix)) if name.startswith(prefix) else ()
    return group[0].removeprefix(prefix) if group else ""


def is_used(name: str, exchange: str, given: Mapping[str, str]) -> bool:
    """Return whether the bot takes its credential from this variable: the first one that is set."""
    group = _group(exchange, name.removeprefix(f"{exchange.upper()}_"))
    return next((other for other in group if given.get(other)), name) == name


def configured_as(
    name: str, exchange: str, renamed: Iterable[tuple[str, str]], given: Mapping[str, str]
) -> str:
    """Return which variable the config names for the credential that the bot reads from `name`.

    `renamed`: the config's names, each with the one that the bot reads. `given`: the values that the bot has,
    which may be of an earlier config.
    """
    for configured, read in renamed:
        is_same = name == read or name in aliases(read, exchange)
        if is_same and name in given and given[name] == given.get(configured):
            return configured
    return name


def _group(exchange: str, suffix: str) -> tuple[str, ...]:
    known = EXCHANGES.get(exchange.lower())
    for group in known.credentials if known else ():
        if suffix.removeprefix(f"{exchange.upper()}_") in group:
            return tuple(f"{exchange.upper()}_{name}" for name in group)
    return ()
