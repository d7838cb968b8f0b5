"""Know what each exchange's credentials look like.

With one of another form nothing can be signed, which ccxt notices in the middle of a call. The manager has
the same forms (manager/config/key_forms.py) and checks them before a container starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

BASE64_32 = r"[A-Za-z0-9+/]{43}="
SEED = rf"{BASE64_32}|[A-Za-z0-9+/]{{86}}=="
HEX_32 = r"(0x)?[0-9a-fA-F]{64}"
ADDRESS = r"0x[0-9a-fA-F]{40}"
UP_TO_254 = r"0*([0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-4])"

# Exchange -> credential as in venues.VENUES -> its pattern, and what that means.
FORMS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "backpack": {
        "apiKey": (BASE64_32, "32 bytes in base64: 44 characters"),
        "secret": (SEED, "32 or 64 bytes in base64: 44 or 88 characters"),
    },
    "aster": {
        "privateKey": (HEX_32, "a private key of 64 hexadecimal digits"),
        "options.signerAddress": (ADDRESS, "an address: 0x and 40 hexadecimal digits"),
    },
    "paradex": {
        "walletAddress": (ADDRESS, "an address: 0x and 40 hexadecimal digits"),
        "privateKey": (HEX_32, "a private key of 64 hexadecimal digits"),
    },
    "lighter": {
        "privateKey": (r"(0x)?[0-9a-fA-F]{80}", "an API key's private key of 80 hexadecimal digits"),
        "options.accountIndex": (r"[0-9]{1,18}", "a whole number"),
        "options.apiKeyIndex": (UP_TO_254, "a whole number up to 254"),
    },
    "apex": {
        "options.seeds": (r"(0x)?([0-9a-fA-F]{2})+", "hexadecimal digits, two for each byte"),
        "options.accountId": (r"[0-9]{1,20}", "a whole number"),
    },
}


def wrong_form(exchange: str, credential: str, value: str) -> str | None:
    """Return what a credential should be and is not; None for one that may be right."""
    pattern, meaning = FORMS.get(exchange, {}).get(credential, ("", ""))
    return meaning if pattern and not re.fullmatch(pattern, value) else None
