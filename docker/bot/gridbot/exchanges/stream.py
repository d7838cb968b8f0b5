"""Learn from the exchange's websocket that an order was filled, so that it is handled before the next tick.

What it tells is a reason to look, and where it is clear one to send the counter order (trading.told_orders),
but never a fact: fills are booked from the exchange's lists alone. A socket that is cut, never opens or stays
silent makes the bot no worse than one without.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gridbot.exchanges import ccxt_client, venues
from gridbot.exchanges.told_fills import may_be_fill, told_fill
from gridbot.model.types import ToldFill
from gridbot.runtime.log import log

if TYPE_CHECKING:
    import asyncio  # a bot on paper has no socket: it is loaded where one is opened

RETRY_FIRST_S, RETRY_CAP_S = 1.0, 60.0
# A socket that answers no ping for twice as long is opened again.
KEEP_ALIVE_MS = 15_000
# The other side of one that is half open does not say goodbye.
CLOSE_WITHIN_S = 5.0
OFF = "off"


def stream_url(exchange: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return the socket's address, "" for ccxt's own, None where no socket is opened.

    A bot whose calls go to another address opens none unless it is told which.
    """
    if env.get("GRIDBOT_STREAM") == OFF:
        return None
    if url := env.get(f"{exchange.upper()}_WS_URL"):
        return url.rstrip("/")
    return None if venues.base_url(exchange, env) else ""


class FillStream:
    """Watch this account's orders of one market in a thread, and call `wake` when one was filled."""

    def __init__(
        self,
        exchange: str,
        credentials: Mapping[str, str],
        url: str,
        wake: Callable[[], None],
        env: Mapping[str, str] = os.environ,
        tell: Callable[[ToldFill], None] | None = None,
    ) -> None:
        """Take `url`, the socket's address, empty for ccxt's own.

        `tell` is given each clear word before `wake` is called for it.
        """
        self._tell = tell
        self._exchange, self._url, self._wake = exchange, url, wake
        self._config = ccxt_client.config_of(exchange, credentials, env) | {"aiohttp_trust_env": True}
        self._base = venues.base_url(exchange, env)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._listens = self._reopens = False
        # When something of this account was told last, by time.monotonic().
        self.heard_at = float("-inf")

    def start(self, markets: Mapping[str, Any], symbol: str) -> None:
        """Begin to watch, in a thread that ends with the process."""
        arguments = (markets, symbol)
        threading.Thread(target=self._run, args=arguments, name="fill-stream", daemon=True).start()

    def stop(self) -> None:
        """Close the socket."""
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._task.cancel)

    def reopen(self) -> None:
        """Open the socket anew: it is there and says nothing. One that is being opened is left alone."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._break_off)

    def _break_off(self) -> None:
        if self._task is not None and self._listens:
            self._reopens = True
            self._task.cancel()

    def _run(self, markets: Mapping[str, Any], symbol: str) -> None:
        import asyncio

        try:
            with contextlib.suppress(asyncio.CancelledError):  # stopped while it waits to try again
                asyncio.run(self._watch(markets, symbol))
        except Exception as err:  # noqa: BLE001 - whatever it is, the bot goes on without
            log.warning("no fills by websocket, they are seen at the next tick: %s", err)

    async def _watch(self, markets: Mapping[str, Any], symbol: str) -> None:
        import asyncio

        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        failures = 0
        while True:
            client = self.client(markets)
            if not tells_of_fills(self._exchange, client):
                log.info(
                    "this ccxt has no websocket for the fills of %s, they are seen at the next tick", symbol
                )
                return
            self._listens = True
            try:
                while True:
                    updates = await _next_updates(self._exchange, client, symbol)
                    failures, self.heard_at = 0, time.monotonic()
                    self._look(updates, symbol)
            except asyncio.CancelledError:
                if not self._reopens:
                    return
                failures = 0
            except Exception as err:  # noqa: BLE001 - ccxt raises what its parsers raise, too
                if not failures:
                    log.info("the websocket of %s is away, fills are seen at the next tick: %s", symbol, err)
                failures += 1
            finally:
                self._listens = self._reopens = False
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.close(), CLOSE_WITHIN_S)
            pause = min(RETRY_FIRST_S * 2.0 ** min(failures, 10), RETRY_CAP_S)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    def client(self, markets: Mapping[str, Any]) -> Any:
        """Return a client of the socket, which is not opened yet."""
        client = _load(self._exchange)(self._config)
        client.set_markets(markets)
        client.streaming["keepAlive"] = KEEP_ALIVE_MS
        sockets = client.urls["api"]["ws"]
        if self._base:  # aster's socket is opened by a key that REST gives
            client.urls["api"] = ccxt_client.with_base_url(client.urls["api"], self._base)
        client.urls["api"]["ws"] = _with_address(sockets, self._url) if self._url else sockets
        return client

    def _look(self, updates: list[Mapping[str, Any]], symbol: str) -> None:
        """Wake the loop where one of these updates may be a fill."""
        if self._tell is not None:
            for update in updates:
                if word := told_fill(self._exchange, update, symbol):
                    self._tell(word)
        if any(may_be_fill(self._exchange, update) for update in updates):
            self._wake()


def tells_of_fills(exchange: str, client: Any) -> bool:
    """Tell whether this ccxt has what is listened to; up to 4.5.87 paradex's has no `watch_my_trades`."""
    watch = getattr(type(client), venues.VENUES[exchange].stream, None)
    return watch is not None and not str(watch.__module__).endswith(".base.exchange")


async def _next_updates(exchange: str, client: Any, symbol: str) -> Any:
    if exchange == "aster":
        # ccxt 4.5.90 forgets the kind of market that it has just looked up, and refuses each call for its
        # lack.
        kind = client.market(symbol)["type"]
        await client.authenticate(kind)
        url = client.get_private_url(kind)
        caches = [await client.watch_multiple(url, [f"myTrades::{symbol}"], None, [kind])]
    elif exchange == "apex":
        # An execution lacks its order's client id, and the order itself comes in the same message.
        url = client.get_ws_private_url()
        await client.authenticate(url)
        topics = ["myTrades", "orders"]
        changed = await client.watch_topics(url, [f"{topic}:{symbol}" for topic in topics], topics)
        caches = [changed, client.orders] if changed is client.myTrades else [changed]
    else:
        return await getattr(client, venues.VENUES[exchange].stream)(symbol)
    return [update for cache in caches for update in _news(client, cache, symbol)]


def news(exchange: str, client: Any, symbol: str) -> list[Mapping[str, Any]]:
    """Return what the caches that are listened to have got since this was asked last."""
    watched = {"watch_orders": [client.orders], "watch_my_trades": [client.myTrades]}
    caches = watched[venues.VENUES[exchange].stream]
    if exchange == "apex":
        caches.append(client.orders)
    return [update for cache in caches for update in _news(client, cache, symbol)]


def _news(client: Any, cache: Any, symbol: str) -> Any:
    """Return what a cache of ccxt's has got since this was asked last, else the same again."""
    most = cache.getLimit(symbol, None) if cache is not None else None
    return client.filter_by_symbol_since_limit(cache, symbol, None, most, True) if most else []


def _with_address(urls: Any, url: str) -> Any:
    """Return ccxt's table of addresses with `url` for each of them."""
    return (
        {name: _with_address(value, url) for name, value in urls.items()} if isinstance(urls, dict) else url
    )


def _load(exchange: str) -> Any:
    """Return ccxt's asynchronous class of one exchange without importing all others, as `load` does.

    13 MB with aiohttp; `import ccxt.pro` would take ten times as much.
    """
    ccxt_client.load(exchange)
    package = sys.modules["ccxt"]
    if not hasattr(package, "Exchange"):
        errors = importlib.import_module("ccxt.base.errors")
        package.__dict__.update({name: error for name, error in vars(errors).items() if name[0].isupper()})
        package.__dict__["Exchange"] = importlib.import_module("ccxt.base.exchange").Exchange
    asynchronous = _empty_package("async_support", package)
    _empty_package("pro", package)
    setattr(
        asynchronous,
        exchange,
        getattr(importlib.import_module(f"ccxt.async_support.{exchange}"), exchange),
    )
    return getattr(importlib.import_module(f"ccxt.pro.{exchange}"), exchange)


def _empty_package(name: str, parent: ModuleType) -> ModuleType:
    full = f"ccxt.{name}"
    if full not in sys.modules:
        spec = importlib.util.find_spec(full)
        if spec is None:
            raise ModuleNotFoundError(f"this ccxt has no {full}")
        sys.modules[full] = importlib.util.module_from_spec(spec)
        setattr(parent, name, sys.modules[full])
    return sys.modules[full]
