"""Describe the exchanges of the bundled bot, as far as the manager has to know them: one entry each.

The bot's own table is `VENUES` in docker/bot/gridbot/exchanges/venues.py; tests compare the two.
"""

from collections.abc import Mapping

from manager.i18n import mark
from manager.typed import NamedTuple

BASE64_32 = r"[A-Za-z0-9+/]{43}="
SEED = rf"{BASE64_32}|[A-Za-z0-9+/]{{86}}=="
HEX_32 = r"(0x)?[0-9a-fA-F]{64}"
ADDRESS = r"0x[0-9a-fA-F]{40}"
UP_TO_254 = r"0*([0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-4])"

KEY_OF_32_BYTES = mark("32 bytes in base64: 44 characters")
A_SEED = mark("32 or 64 bytes in base64: 44 or 88 characters")
PRIVATE_KEY = mark("a private key of 64 hexadecimal digits")
AN_ADDRESS = mark("an address: 0x and 40 hexadecimal digits")
NUMBER = mark("a whole number")


class Exchange(NamedTuple):
    """Describe an exchange.

    `credentials`: for each, what follows the exchange's name in the variables that the bot reads it from; of
    several that are set, the bot takes the first. `forms`: a credential's first name → its pattern, and what
    that means. `ambiguous`: names whose value may also be what the old system meant by them: an API key's
    secret. `hosts`: those of its own API, as of November 2026 (the exchanges' API documents, ccxt 4.5).
    `template`: exchange_config of a new config (docker/bot/README.md). `stops_a_minute`: 80 % of its requests
    a minute (November 2026), divided by those of one stop with 13 orders: 6 where orders are cancelled in
    batches (Aster's weigh 19), 22 elsewhere. `quote`: what most of its markets are priced in. `optional`:
    first names of credentials that the bot does without.
    """

    credentials: tuple[tuple[str, ...], ...]
    forms: Mapping[str, tuple[str, str]]
    hosts: tuple[str, ...]
    template: Mapping[str, str]
    stops_a_minute: float
    ambiguous: tuple[str, ...] = ()
    quote: str = "USDC"
    optional: tuple[str, ...] = ()


EXCHANGES: Mapping[str, Exchange] = {
    "backpack": Exchange(
        credentials=(("KEY", "API_KEY"), ("SECRET", "SECRET_KEY", "API_SECRET")),
        forms={"KEY": (BASE64_32, KEY_OF_32_BYTES), "SECRET": (SEED, A_SEED)},
        hosts=("api.backpack.exchange", "ws.backpack.exchange"),
        template={"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"},
        stops_a_minute=70,
    ),
    "aster": Exchange(
        credentials=(("PRIVATE_KEY", "SECRET", "SECRET_KEY"), ("SIGNER_ADDRESS",)),
        forms={"PRIVATE_KEY": (HEX_32, PRIVATE_KEY), "SIGNER_ADDRESS": (ADDRESS, AN_ADDRESS)},
        hosts=("fapi.asterdex.com", "sapi.asterdex.com", "fstream.asterdex.com", "sstream.asterdex.com"),
        template={"private_key": "${ASTER_PRIVATE_KEY}"},
        stops_a_minute=100,
        ambiguous=("SECRET", "SECRET_KEY"),
        quote="USDT",
        optional=("SIGNER_ADDRESS",),
    ),
    "paradex": Exchange(
        credentials=(
            ("WALLET_ADDRESS", "ACCOUNT_ADDRESS", "ADDRESS"),
            ("PRIVATE_KEY", "SECRET", "SECRET_KEY"),
        ),
        forms={"WALLET_ADDRESS": (ADDRESS, AN_ADDRESS), "PRIVATE_KEY": (HEX_32, PRIVATE_KEY)},
        hosts=("api.prod.paradex.trade", "ws.api.prod.paradex.trade"),
        template={
            "wallet_address": "${PARADEX_WALLET_ADDRESS}",
            "private_key": "${PARADEX_PRIVATE_KEY}",
        },
        stops_a_minute=200,
        quote="USD",
    ),
    "lighter": Exchange(
        credentials=(
            ("PRIVATE_KEY", "API_KEY_PRIVATE_KEY", "SECRET", "SECRET_KEY"),
            ("ACCOUNT_INDEX",),
            ("API_KEY_INDEX", "KEY_INDEX"),
        ),
        forms={
            "PRIVATE_KEY": (
                r"(0x)?[0-9a-fA-F]{80}",
                mark("an API key's private key of 80 hexadecimal digits"),
            ),
            "ACCOUNT_INDEX": (r"[0-9]{1,18}", NUMBER),
            "API_KEY_INDEX": (UP_TO_254, mark("a whole number up to 254")),
        },
        hosts=("mainnet.zklighter.elliot.ai",),
        template={
            "private_key": "${LIGHTER_PRIVATE_KEY}",
            "account_index": "${LIGHTER_ACCOUNT_INDEX}",
            "api_key_index": "${LIGHTER_API_KEY_INDEX}",
            "signer_library": "${LIGHTER_SIGNER_LIBRARY}",
        },
        stops_a_minute=2,
    ),
    "apex": Exchange(
        credentials=(
            ("KEY", "API_KEY"),
            ("SECRET", "SECRET_KEY", "API_SECRET"),
            ("PASSPHRASE", "PASSWORD", "API_PASSPHRASE"),
            ("SEEDS", "ZK_SEEDS", "OMNI_KEY"),
            ("ACCOUNT_ID",),
        ),
        forms={
            "SEEDS": (r"(0x)?([0-9a-fA-F]{2})+", mark("hexadecimal digits, two for each byte")),
            "ACCOUNT_ID": (r"[0-9]{1,20}", NUMBER),
        },
        hosts=("omni.apex.exchange", "quote.omni.apex.exchange"),
        template={
            "api_key": "${APEX_KEY}",
            "secret_key": "${APEX_SECRET}",
            "passphrase": "${APEX_PASSPHRASE}",
            "seeds": "${APEX_SEEDS}",
        },
        stops_a_minute=20,
        quote="USDT",
        optional=("ACCOUNT_ID",),
    ),
}
