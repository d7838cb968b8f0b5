"""Ping an external service every minute (`[alerts] heartbeat`), which alarms when pings stop: a dead host
cannot.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from manager.i18n import Text
from manager.monitor.watch.addresses import Address

EVERY_S = 60.0
MAKES_UP_S = 30.0
"""As late may a ping be without the next one being late, too."""
WITHIN_S = 10.0
SCHEMES = ("https://", "http://")


class Heartbeat:
    """Ping in the background. `say` receives a line when pings start to fail, and when they succeed again."""

    def __init__(self, say: Callable[[object], object]) -> None:
        self._say = say
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="heartbeat")
        self._asked: Future[str] | None = None
        self._next = 0.0
        self._why = ""
        self._address: Address | None = None
        self._is_new = False
        """Whether no ping to this address has ended yet."""

    def beat_if_due(self, address: Address | None) -> None:
        """Ping if it is time, another address than before at once. Never waits."""
        if self._asked is not None and self._asked.done():
            self._note(self._asked.result())
            self._asked = None
        if address is not None and address != self._address and self._asked is None:
            self._address, self._is_new, self._next = address, True, time.monotonic()
        if address is not None and self._asked is None and time.monotonic() >= self._next:
            # Not from now on: a little late each time, an hour would miss one.
            self._next = max(self._next + EVERY_S, time.monotonic() + EVERY_S - MAKES_UP_S)
            self._asked = self._pool.submit(ping, address)

    def close(self) -> None:
        """Stop pinging."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _note(self, why: str) -> None:
        if bool(why) != bool(self._why) or (why != self._why and self._is_new):
            self._say(
                Text("cannot send the heartbeat: {why}", why=why)
                if why
                else Text("the heartbeat is sent again")
            )
        self._why, self._is_new = why, False


def ping(address: Address, timeout: float = WITHIN_S) -> str:
    """Request the address once.

    Returns why that failed, empty on success. The text never contains the address.
    """
    if not address.url.startswith(SCHEMES):
        return (
            str(Text("{name} is not an http or https address", name=address.reference))
            if address.url
            else str(Text("{name} is not set; write it into .env", name=address.reference))
        )
    proxies = {
        name.lower().removesuffix("_proxy"): value
        for name, value in address.environ.items()
        if name.upper() in {"HTTP_PROXY", "HTTPS_PROXY"}
    }
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies or None))
    try:
        with opener.open(address.url, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or type(error).__name__)
