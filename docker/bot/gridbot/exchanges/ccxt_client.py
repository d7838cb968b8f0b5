"""Make ccxt's client of one exchange: its settings, keys, address and clock window."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.answers import SENSELESS
from gridbot.exchanges.values import OF_A_TIME, positive
from gridbot.model.errors import ConfigError

DEFAULT_TIMEOUT_S = 10.0
# Requests are signed with a time and a window; past it (and a margin for clocks) the exchange refuses them,
# so an order that was not found by then never will be.
WINDOW_MS = 5000
SETTLE_MARGIN_S = 3.0


# Numbers outside of these are no times in milliseconds.
EARLIEST_MS, LATEST_MS = 10**11, 10**14
# Methods of ccxt that need nothing but the keys and what is to be signed.
SIGNING = ("sign", "sign_message", "sign_hash")


def load(name: str) -> Any:
    """Return ccxt's class of one exchange without importing all others.

    ``import ccxt`` imports every exchange it knows (80 MB, 0.6 s here); an empty package object in its place
    lets ``ccxt.backpack`` import what it needs and no more (42 MB, 0.2 s).
    """
    if "ccxt" not in sys.modules:
        spec = importlib.util.find_spec("ccxt")
        if spec is None:
            raise ConfigError(f"trading on {name} needs the library ccxt: pip install ccxt")
        sys.modules["ccxt"] = importlib.util.module_from_spec(spec)
    return getattr(importlib.import_module(f"ccxt.{name}"), name)


def connect(settings: Settings, credentials: Mapping[str, str] | None, env: Mapping[str, str]) -> Any:
    """Return a client of the run's exchange, which signs if there are `credentials`. Raises ConfigError."""
    name = settings.exchange
    config = config_of(name, credentials, env)
    api = load(name)(config)
    api.sort_by_2 = _sort_by_2
    api.filter_by_value_since_limit = _keeping_timeless(api.filter_by_value_since_limit)
    for parse in ("parse_order", "parse_trade", "parse_position", "parse_position_risk"):
        if hasattr(api, parse):
            setattr(api, parse, _row_by_row(getattr(api, parse)))
    if name == "lighter" and credentials:
        _keep_key_index(api, int(config["options"]["apiKeyIndex"]))
    for method in SIGNING:
        if hasattr(api, method):
            setattr(api, method, _signing(getattr(api, method)))
    api.rateLimit = _number(env, "GRIDBOT_RATE_LIMIT_MS", api.rateLimit)
    url = venues.base_url(name, env)
    if url and not _is_own(api, url):
        api.urls["api"] = with_base_url(api.urls["api"], url)
    return api


def keep_answers(api: Any) -> list[Any]:
    """Return a list to which `api` adds what the exchange has answered, before ccxt makes something of it."""
    answers: list[Any] = []
    request = api.request

    def keep(*args: Any, **more: Any) -> Any:
        answer = _with_rows(request(*args, **more))
        answers.append(answer)
        return answer

    api.request = keep
    return answers


def _with_rows(answer: Any) -> Any:
    """Return an answer with an empty row for whatever else is among the rows of a list.

    ccxt writes into each row of paradex's and lighter's executions, and the whole list would be lost.
    """
    if isinstance(answer, dict):
        for key, value in answer.items():
            if isinstance(value, dict | list):
                answer[key] = _with_rows(value)
    elif isinstance(answer, list) and any(isinstance(row, dict) for row in answer):
        return [row if isinstance(row, dict) else {} for row in answer]
    return answer


def settle_s(env: Mapping[str, str]) -> float:
    """Return after how many seconds a request that was signed is accepted no more."""
    window = _window_ms(env) / 1000
    return window + min(SETTLE_MARGIN_S, window)


def _window_ms(env: Mapping[str, str]) -> int:
    return int(_number(env, "GRIDBOT_RECV_WINDOW_MS", WINDOW_MS))


def config_of(name: str, credentials: Mapping[str, str] | None, env: Mapping[str, str]) -> dict[str, Any]:
    """Return what ccxt's class of an exchange is made with. Raises ConfigError."""
    options: dict[str, Any] = {"recvWindow": _window_ms(env), "builderFee": False}
    config: dict[str, Any] = {
        "timeout": int(_number(env, "GRIDBOT_EXCHANGE_TIMEOUT", DEFAULT_TIMEOUT_S) * 1000),
        "requests_trust_env": True,
        "enableLastJsonResponse": True,
        "enableLastResponseHeaders": True,
        "options": options,
    }
    for credential, value in (credentials or {}).items():
        if credential.startswith("options."):
            options[credential.removeprefix("options.")] = value
        else:
            config[credential] = value
    if name == "aster":  # else a market order's quantity is sent as an amount of the quote currency
        options["createOrder"] = {"quoteOrderQty": False}
    if name == "lighter" and credentials:
        options["libraryPath"] = env.get(venues.LIGHTER_LIBRARY)
        auth = {
            "signer": None,
            "lighterPrivateKey": config["privateKey"],
            "deadline": None,
            "token": None,
        }
        options["auths"] = {options["accountIndex"]: {options["apiKeyIndex"]: auth}}
    return config


def _keep_key_index(api: Any, index: int) -> None:
    """Sign with the API key that was set; ccxt replaces the indices 0 to 3 by 254."""

    def keep(params: Mapping[str, Any], _method: str, *names: str) -> list[Any]:
        return [index, {key: value for key, value in params.items() if key not in names}]

    api.handle_api_key_index = keep


def _is_own(api: Any, url: str) -> bool:
    """Tell whether an address is the exchange's own, which may have a host for each kind of market.

    Written with http:// it is no other: what is signed does not go there unencrypted.
    """
    own = (api.implode_hostname(address) for address in api.urls["api"].values())
    return urlsplit(url).hostname in {urlsplit(address).hostname for address in own}


def _signing(sign: Callable[..., Any]) -> Callable[..., Any]:
    """Return ccxt's own `sign`, with an error of the keys' where it raises another one than ccxt's.

    Nothing was sent then, and nothing ever will be: the exchange is not what is out of reach.
    """
    errors = importlib.import_module("ccxt.base.errors")

    def sign_or_say(*args: Any, **named: Any) -> Any:
        try:
            return sign(*args, **named)
        except errors.BaseError:
            raise
        except Exception as err:  # noqa: BLE001 - each signing library has its own
            # Its text may quote a part of the key.
            raise errors.AuthenticationError(f"cannot sign with these keys ({type(err).__name__})") from None

    return sign_or_say


def _sort_by_2(answers: list[Any], first: str, second: str, descending: bool = False) -> list[Any]:
    """Sort as ccxt does, which raises TypeError where one of several times is left out."""

    def key(answer: Mapping[str, Any]) -> tuple[Any, str]:
        return answer[first] or 0, str(answer[second] or "")

    return sorted(answers, key=key, reverse=descending)


def _row_by_row(parse: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return ccxt's own `parse`, with a row without an id where it raises: else the whole list is lost.

    A row's time is in milliseconds then, whatever unit the exchange's is in.
    """

    def parse_row(raw: Any, market: Any = None) -> dict[str, Any]:
        try:
            row = parse(raw, market)
            row["timestamp"] = in_milliseconds(row.get("timestamp"))
            if market and raw.get("symbol") == market["id"]:
                # Spot and perpetuals of aster share it, and are told apart by a field that may be left out.
                row["symbol"] = market["symbol"]
        except SENSELESS:
            return {"id": None, "timestamp": None, "symbol": (market or {}).get("symbol"), "info": raw}
        return row

    return parse_row


def in_milliseconds(time: Any) -> int | None:
    """Return a time between 1973 and 5138 in milliseconds, whatever unit it is in; None for what is none."""
    number = positive(time, OF_A_TIME)
    if number is None:
        return None
    while number < EARLIEST_MS:
        number *= 1000
    while number >= LATEST_MS:
        number /= 1000
    return int(number)


def _keeping_timeless(keep: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return ccxt's own filter of a list, which then keeps rows without a time instead of dropping them."""

    def keep_rows(
        rows: Any, field: Any, value: Any = None, since: int | None = None, *_: Any, **__: Any
    ) -> list[Any]:
        own = keep(rows, field, value)
        return [row for row in own if since is None or not row.get("timestamp") or row["timestamp"] >= since]

    return keep_rows


def with_base_url(urls: Any, base: str) -> Any:
    """Return ccxt's table of addresses with each host replaced by `base`."""
    return _on_host(urls, _without_version(base, list(_paths(urls))))


def _on_host(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {name: _on_host(value, base) for name, value in urls.items()}
    path = str(urls).split("/", 3)[3:]
    return "/".join([base, *path])


def _paths(urls: Any) -> Iterator[list[str]]:
    if isinstance(urls, dict):
        for value in urls.values():
            yield from _paths(value)
    else:
        yield [part for path in str(urls).split("/", 3)[3:] for part in path.split("/")]


def _without_version(base: str, paths: Sequence[Sequence[str]]) -> str:
    """Return `base` without what ccxt adds to it, and people write, too: /v1, /api/v1, /fapi."""
    host, own = base.split("/")[:3], base.split("/")[3:]
    if len(own) > 1 and own[-2].endswith("api") and re.fullmatch(r"v\d", own[-1]):
        own = own[:-1] if any(paths) else own[:-2]
    heads = [path[:n] for path in paths for n in range(len(path) + 1)]
    shared = max((len(head) for head in heads if own[len(own) - len(head) :] == head), default=0)
    return "/".join([*host, *own[: len(own) - shared]])


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    """Return a number above 0 from the environment. Raises ConfigError."""
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ConfigError(f"{name}: must be a number above 0, not {text}")
    return value
