"""Describe each exchange: its address, the variables of its keys.

ccxt knows everything else about them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gridbot.exchanges.key_forms import wrong_form
from gridbot.model.errors import ConfigError, KeysError
from gridbot.runtime import secrecy


@dataclass(frozen=True, slots=True)
class Venue:
    """Describe how an exchange is reached. `keys`: each credential ccxt needs -> the variables it is read
    from, the first one set wins.

    A credential `options.x` goes to ccxt's options. `optional` ones are read when they are there. `lookup`
    says how an order is found again by its client id: `history` (a list of recent orders) or `client_id` (a
    call of its own). `lists_history`: several are first looked for in one list. `channels`: how many calls
    may be under way at once. `most_in_batch`: how many ids one batch cancellation may name, by the exchange's
    documents; 1 where there is none. `batch_is_for_perps`: the call that ccxt makes for spot is another one,
    which cancels every order of the market. `answers_without_id`: a new order's id is not in the answer, only
    in the list of open orders. `finds_open_only`: a single order is found only while it is open.
    `account_key`: the credential that says whose account it is and is no secret. `stream`: what of its socket
    tells of a fill; an image contains the client of these alone (requirements.prune). `immediate`: its word
    for an order that never rests; ccxt hands apex's on as it is. `quote`: what most of its markets are priced
    in. `all_of_market`: what a cancellation of all names the market's number by, where ccxt may not name it:
    up to 4.5.85 its lighter cancels the orders of all markets.
    """

    host: str
    keys: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]]
    lookup: str
    account_key: str
    stream: str
    lists_history: bool = False
    channels: int = 4
    most_in_batch: int = 1
    batch_is_for_perps: bool = False
    answers_without_id: bool = False
    finds_open_only: bool = False
    immediate: str = "IOC"
    quote: str = "USDC"
    all_of_market: str = ""

    def of_market(self, market: Mapping[str, Any]) -> dict[str, int]:
        """Return what a cancellation of all bears so that it is of this market only."""
        return {self.all_of_market: int(market["id"])} if self.all_of_market else {}


def _names(exchange: str, *suffixes: str) -> tuple[str, ...]:
    return tuple(f"{exchange}_{suffix}" for suffix in suffixes)


VENUES: Mapping[str, Venue] = {
    "backpack": Venue(
        host="api.backpack.exchange",
        keys={
            "apiKey": _names("BACKPACK", "KEY", "API_KEY"),
            "secret": _names("BACKPACK", "SECRET", "SECRET_KEY", "API_SECRET"),
        },
        optional={},
        lookup="history",
        account_key="apiKey",
        stream="watch_orders",
    ),
    "aster": Venue(
        host="fapi.asterdex.com",
        keys={"privateKey": _names("ASTER", "PRIVATE_KEY", "SECRET", "SECRET_KEY")},
        optional={"options.signerAddress": _names("ASTER", "SIGNER_ADDRESS")},
        lookup="client_id",
        account_key="options.signerAddress",
        stream="watch_my_trades",
        lists_history=True,
        most_in_batch=10,
        batch_is_for_perps=True,
        quote="USDT",
    ),
    "paradex": Venue(
        host="api.prod.paradex.trade",
        keys={
            "walletAddress": _names("PARADEX", "WALLET_ADDRESS", "ACCOUNT_ADDRESS", "ADDRESS"),
            "privateKey": _names("PARADEX", "PRIVATE_KEY", "SECRET", "SECRET_KEY"),
        },
        optional={},
        lookup="client_id",
        account_key="walletAddress",
        stream="watch_my_trades",
        lists_history=True,
        most_in_batch=50,
        finds_open_only=True,
        quote="USD",
    ),
    "lighter": Venue(
        host="mainnet.zklighter.elliot.ai",
        keys={
            "privateKey": _names("LIGHTER", "PRIVATE_KEY", "API_KEY_PRIVATE_KEY", "SECRET", "SECRET_KEY"),
            "options.accountIndex": _names("LIGHTER", "ACCOUNT_INDEX"),
            "options.apiKeyIndex": _names("LIGHTER", "API_KEY_INDEX", "KEY_INDEX"),
        },
        optional={},
        lookup="history",
        account_key="options.accountIndex",
        stream="watch_my_trades",
        channels=1,  # its nonces count one after the other
        answers_without_id=True,
        all_of_market="cancel_all_market_index",
    ),
    "apex": Venue(
        host="omni.apex.exchange",
        keys={
            "apiKey": _names("APEX", "KEY", "API_KEY"),
            "secret": _names("APEX", "SECRET", "SECRET_KEY", "API_SECRET"),
            "password": _names("APEX", "PASSPHRASE", "PASSWORD", "API_PASSPHRASE"),
            "options.seeds": _names("APEX", "SEEDS", "ZK_SEEDS", "OMNI_KEY"),
        },
        optional={"options.accountId": _names("APEX", "ACCOUNT_ID")},
        lookup="client_id",
        account_key="apiKey",
        stream="watch_my_trades",
        immediate="IMMEDIATE_OR_CANCEL",
        quote="USDT",
    ),
}
LIGHTER_LIBRARY = "LIGHTER_SIGNER_LIBRARY"

QUOTES = ("USDT", "USDC", "USDE", "USD1", "USD")
"""What a symbol without a separator may end in: SOLUSDT."""


def base_url(exchange: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return the address that the environment sets, None for ccxt's own. Raises ConfigError."""
    for name in (*_names(exchange.upper(), "API_URL", "BASE_URL"), "BASE_URL"):
        if env.get(name):
            url = env[name].rstrip("/")
            if other := _whose_else(exchange, url):
                if name == "BASE_URL":
                    continue
                raise ConfigError(f"{name}: is an address of {other}, where calls for {exchange} never go")
            if not url.startswith(("https://", "http://")):
                raise ConfigError(f"{name}: must begin with https:// or http://")
            if urlsplit(url).query or urlsplit(url).fragment:
                raise ConfigError(f"{name}: must be an address without ? and #")
            return url
    return None


def _whose_else(exchange: str, url: str) -> str | None:
    """Return which other exchange's an address is; each has hosts for its kinds of market and for tests."""
    host = f".{urlsplit(url).hostname}"
    return next((name for name in VENUES if name != exchange and host.endswith(_domain(name))), None)


def _domain(exchange: str) -> str:
    return "." + ".".join(VENUES[exchange].host.split(".")[-2:])


def find_market(symbol: str, markets: Iterable[Mapping[str, Any]], *, perp: bool) -> dict[str, Any] | None:
    """Return the market of `symbol`, by id, ccxt's symbol, or as other bots write it: SOLUSDT, BTC, BTC-PERP.

    Of a spot market and a perpetual that share an id, the one of the run's kind is meant. Raises ConfigError
    naming both meanings where two markets are left.
    """
    known = list(markets)
    exact = [market for market in known if symbol in (market["id"], market["symbol"], market.get("id2"))]
    plain = _plain(symbol)
    currency = plain.removesuffix("PERP") or plain
    is_perp = perp or currency != plain
    loose = [
        market
        for market in known
        if plain in (_plain(market[key]) for key in ("id", "symbol"))
        or _plain(f"{market['base']}{market['quote']}") in (plain, currency if market.get("contract") else "")
    ]
    base = [
        market
        for market in known
        if _plain(market.get("base")) == currency and bool(market.get("contract")) == is_perp
    ]
    for matches in (exact, loose, base):
        of_kind = [market for market in matches if bool(market.get("contract")) == perp] or matches
        if len(of_kind) > 1:
            both = " or ".join(sorted(str(market["symbol"]) for market in of_kind)[:4])
            raise ConfigError(f"--symbol: {symbol} may be {both}; write the one that is meant")
        if of_kind:
            return dict(of_kind[0])
    return None


def currencies(exchange: str, symbol: str) -> tuple[str, str]:
    """Return base and quote as a symbol names them, for a market that nobody can be asked about: on paper."""
    written = symbol.upper() if symbol.islower() else symbol
    base, *words = re.split(r"[-_/:]", written)
    if others := [word for word in words if word != "PERP"]:
        return base, others[0]
    quote = next((one for one in QUOTES if base.upper().endswith(one) and len(base) > len(one)), None)
    if quote is not None:
        return base[: -len(quote)], base[-len(quote) :]
    return base, VENUES[exchange].quote if exchange in VENUES else "USDC"


def _plain(symbol: Any) -> str:
    return "".join(letter for letter in str(symbol) if letter.isalnum()).upper()


def credentials(exchange: str, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the credentials of a live run. Raises KeysError naming every missing variable."""
    venue, values, missing = VENUES[exchange], {}, []
    for credential, names in [*venue.keys.items(), *venue.optional.items()]:
        value = next((env[name] for name in names if env.get(name)), None)
        if value is not None:
            values[credential] = value
            if exchange == "aster" and credential == "privateKey":
                _require_wallet_key(value, env)
        elif credential in venue.keys:
            missing.append(names[0] if len(names) == 1 else f"{names[0]} (or {', '.join(names[1:])})")
    if missing:
        raise KeysError(f"live trading on {exchange} needs {'; '.join(missing)} in the environment")
    secrecy.keep(values.values())
    return values


def require_usable(exchange: str, env: Mapping[str, str] = os.environ) -> None:
    """Check that a live run's credentials can sign. Raises KeysError naming every variable that can't."""
    venue, unusable = VENUES[exchange], []
    for credential, names in [*venue.keys.items(), *venue.optional.items()]:
        name = next((name for name in names if env.get(name)), None)
        if name is not None and (meaning := wrong_form(exchange, credential, env[name])):
            unusable.append(f"{name} is not {meaning}")
    if unusable:
        raise KeysError(f"with these keys nothing can be signed for {exchange}: {'; '.join(unusable)}")


def _require_wallet_key(value: str, env: Mapping[str, str]) -> None:
    """Refuse what may be an API key's secret: that has 64 hexadecimal digits too, and no 0x before them."""
    if env.get("ASTER_PRIVATE_KEY") == value or re.fullmatch(r"0x[0-9a-fA-F]{64}", value):
        return
    name = "ASTER_SECRET" if env.get("ASTER_SECRET") == value else "ASTER_SECRET_KEY"
    raise KeysError(
        f"{name}: may be a wallet's private key, or an API key's secret, with which this bot can't sign; set"
        " the wallet's private key as ASTER_PRIVATE_KEY"
    )
