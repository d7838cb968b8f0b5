"""Know what the credentials look like that the bundled bot signs with. Pure.

The bot has the same forms (docker/bot/gridbot/exchanges/key_forms.py); a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from manager.config.account_names import credential_of, is_ambiguous, is_used
from manager.config.spec import InstanceSpec
from manager.i18n import Text, mark

BASE64_32 = r"[A-Za-z0-9+/]{43}="
SEED = rf"{BASE64_32}|[A-Za-z0-9+/]{{86}}=="
HEX_32 = r"(0x)?[0-9a-fA-F]{64}"
ADDRESS = r"0x[0-9a-fA-F]{40}"

KEY_OF_32_BYTES = mark("32 bytes in base64: 44 characters")
PRIVATE_KEY = mark("a private key of 64 hexadecimal digits")
AN_ADDRESS = mark("an address: 0x and 40 hexadecimal digits")
NUMBER = mark("a whole number")

FORMS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "backpack": {"KEY": (BASE64_32, KEY_OF_32_BYTES), "SECRET": (SEED, KEY_OF_32_BYTES)},
    "aster": {"PRIVATE_KEY": (HEX_32, PRIVATE_KEY), "SIGNER_ADDRESS": (ADDRESS, AN_ADDRESS)},
    "paradex": {"WALLET_ADDRESS": (ADDRESS, AN_ADDRESS), "PRIVATE_KEY": (HEX_32, PRIVATE_KEY)},
    "lighter": {
        "PRIVATE_KEY": (
            r"(0x)?[0-9a-fA-F]{80}",
            mark("an API key's private key of 80 hexadecimal digits"),
        ),
        "ACCOUNT_INDEX": (r"[0-9]{1,18}", NUMBER),
        "API_KEY_INDEX": (r"[0-9]{1,3}", mark("a whole number up to 254")),
    },
    "apex": {
        "SEEDS": (r"(0x)?([0-9a-fA-F]{2})+", mark("hexadecimal digits, two for each byte")),
        "ACCOUNT_ID": (r"[0-9]{1,20}", NUMBER),
    },
}
"""Exchange → the first of the credential's names → its pattern, and what that means."""


def faults(spec: InstanceSpec, given: Mapping[str, str]) -> Iterator[Text]:
    """Yield why nothing can be signed with what an instance receives. `given`: variable → value."""
    for name, value in given.items():
        if not value or not is_used(name, spec.exchange, given):
            continue
        written = _written(name, spec)
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
    forms = FORMS.get(exchange.lower(), {})
    pattern, meaning = forms.get(credential_of(variable, exchange), ("", ""))
    return meaning if pattern and not re.fullmatch(pattern, value) else None
