"""Read known messages of an exchange's websocket before a live run, and compare the words with what must be.

They stand in `known_answers` under `told`, and go through ccxt's own handler of the socket and the reader on
whose words orders are sent. Nothing is opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges import answer_check
from gridbot.exchanges.stream import FillStream, news, stream_url, tells_of_fills
from gridbot.exchanges.told_fills import told_fill
from gridbot.exchanges.venues import VENUES
from gridbot.model.errors import BotError
from gridbot.model.types import ToldFill


def difference(settings: Settings, env: Mapping[str, str] = os.environ) -> str | None:
    """Return what is first told otherwise than it must be, None where all is told well, or nobody listens.

    Raises ConfigError where there is nothing to compare.
    """
    if stream_url(settings.exchange, env) is None:
        return None
    known = answer_check.load(settings)
    message = "any message of the websocket"
    try:
        socket = _KnownSocket(settings, known)
        if not socket.tells_of_fills:
            return None  # fills are seen at the next tick then
        for case in known["told"]["cases"]:
            message = case["message"]
            if what := answer_check.differing(case["must"], socket.words(case["given"])):
                return f"{message}: {what}"
    except BotError:
        raise
    except Exception as err:  # noqa: BLE001 - another ccxt may raise whatever it likes
        return f"cannot read {message} ({type(err).__name__}: {err})"
    return None


class _KnownSocket:
    """Hand known messages to ccxt's handler as its connection does."""

    def __init__(self, settings: Settings, known: Mapping[str, Any]) -> None:
        credentials = dict.fromkeys(VENUES[settings.exchange].keys, "1") | known.get("account", {})
        stream = FillStream(settings.exchange, credentials, "", lambda: None, {})
        self._exchange, self._symbol = settings.exchange, known["market"]["symbol"]
        self._client = stream.client({})
        self._client.set_markets([self._client.safe_market_structure(known["market"])])
        self._connection = SimpleNamespace(
            url=known["told"]["url"], futures={}, subscriptions={}, resolve=_ignore, reject=_raise
        )

    @property
    def tells_of_fills(self) -> bool:
        """Tell whether this ccxt listens to what this exchange tells of fills."""
        return tells_of_fills(self._exchange, self._client)

    def words(self, messages: Sequence[Any]) -> list[ToldFill]:
        """Return what the bot is told by messages that come one after the other, the first ones of all."""
        words, self._client.orders, self._client.myTrades = list[ToldFill](), None, None
        for message in messages:
            self._client.handle_message(self._connection, json.loads(json.dumps(message)))
            for update in news(self._exchange, self._client, self._symbol):
                if word := told_fill(self._exchange, update, self._symbol):
                    words.append(word)
        return words


def _ignore(*_: Any) -> None:
    """Nobody waits for a result."""


def _raise(error: Exception, *_: Any) -> None:
    raise error
