"""Know what the credentials look like that the bundled bot signs with. Pure.

The bot has the same forms (docker/bot/gridbot/exchanges/key_forms.py); a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from manager.config.account_names import credential_of, is_ambiguous, is_used
from manager.config.credential_values import is_placeholder
from manager.config.exchanges import EXCHANGES
from manager.config.spec import InstanceSpec
from manager.i18n import Text


def faults(spec: InstanceSpec, given: Mapping[str, str]) -> Iterator[Text]:
    """Yield why nothing can be signed with what an instance receives. `given`: variable → value."""
    for name, value in given.items():
        if not value or not is_used(name, spec.exchange, given):
            continue
        written = _written(name, spec)
        if is_placeholder(value, name) or is_placeholder(value, written):
            continue  # that is a problem of its own
        form = wrong_form(spec.exchange, name, value)
        if form is None and is_ambiguous(name, spec.exchange) and not value.startswith("0x"):
            yield Text(
                "the value of {name} may be a wallet's private key, or an API key's secret, with which"
                " nothing can be signed; name the variable of the wallet's private key as private_key in"
                " exchange_config, or call it {wallet}",
                name=written,
                wallet=f"{spec.exchange.upper()}_PRIVATE_KEY",
            )
        elif form:
            yield Text(
                "the value of {name} is not {form}: nothing can be signed with it; copy it anew from"
                " {exchange}",
                name=written,
                form=Text(form),
                exchange=spec.exchange,
            )
    yield from _unnamed(spec, given)


def _unnamed(spec: InstanceSpec, given: Mapping[str, str]) -> Iterator[Text]:
    """Yield the credentials that the bot needs, and no variable of the config is. It would end at once.

    One that is named and not set is a problem of its own.
    """
    known = EXCHANGES.get(spec.exchange.lower())
    named = {name for variable in spec.variables for name in (variable.name, variable.read_as)}
    named |= {*spec.literals}
    if known is None:
        return
    for group in known.credentials:
        names = [f"{spec.exchange.upper()}_{suffix}" for suffix in group]
        if group[0] in known.optional or any(given.get(name) or name in named for name in names):
            continue
        keys = (key for key, text in known.template.items() if text == f"${{{names[0]}}}")
        yield Text(
            'live trading on {exchange} needs {name}; write "{key}": "{reference}" there,'
            " and {name}=… in .env",
            exchange=spec.exchange,
            name=names[0],
            key=next(keys, group[0].lower()),
            reference=f"${{{names[0]}}}",
        )


def _written(name: str, spec: InstanceSpec) -> str:
    """Return by which name the config means the credential that the bot gets as `name`."""
    credential = credential_of(name, spec.exchange)
    renamed = (variable for variable in spec.variables if variable.read_as)
    return next(
        (
            variable.name
            for variable in renamed
            if credential and credential_of(str(variable.read_as), spec.exchange) == credential
        ),
        name,
    )


def wrong_form(exchange: str, variable: str, value: str) -> str | None:
    """Return what a variable's value should be and is not, to translate; None for one that may be right."""
    known = EXCHANGES.get(exchange.lower())
    pattern, meaning = known.forms.get(credential_of(variable, exchange), ("", "")) if known else ("", "")
    return meaning if pattern and not re.fullmatch(pattern, value) else None
