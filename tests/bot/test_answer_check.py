"""Known answers are read before a live run, and one that is read wrongly refuses it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.cli import close_position, preflight
from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import answer_check, ccxt_client, told_check, told_fills, verification
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.answers import Answers
from gridbot.exchanges.stream import _load
from gridbot.model.errors import ConfigError
from gridbot.model.types import Side, ToldFill
from gridbot.runtime.pace import Pace
from gridbot.store.store import Store
from gridbot.trading import session
from manager.fleet import closing_messages
from tests.bot import sockets
from tests.bot.bots import GRID
from tests.bot.sockets import Dialect
from tests.bot.test_stream_dialects import DIALECTS
from tests.fake_exchange.book import BookOrder
from tests.fake_exchange.socket import _update

MARKETS = [(name, kind) for name, kinds in verification.table().items() for kind in kinds]
LIVE = {"TRADING_MODE": "live", "DB_PATH": "-", verification.CONSENT: "1"}
# What a reader tells, which costs money where it is told wrongly.
COSTLY = (
    "rows",
    "new_id",
    "position",
    "_filled",
    "_is_open",
    "_maker_rate",
    "_side",
    "_order_id",
    "_client_id",
    "_fee",
    "_is_maker",
)
# Lighter answers an order without an id, and aster an execution without a client id.
UNTOLD = {("lighter", "new_id"), ("aster", "_client_id")}
TOLD = [(name, reader) for name in READERS for reader in COSTLY if (name, reader) not in UNTOLD]
CALLS = {"place", "close", "cancel", "cancel_all", "open_orders", "find", "fills", "pages"} | {
    "price",
    "mark_price",
    "market",
}
OF_KIND = {"perp": {"position", "is_hedged"}, "spot": {"holdings", "held"}}
# Lighter's funding payments are not read.
OF_MARKET = {
    ("aster", "perp"): {"cancel_batch", "funding"},
    ("paradex", "perp"): {"cancel_batch", "funding"},
    ("backpack", "perp"): {"funding"},
    ("apex", "perp"): {"funding"},
    ("lighter", "perp"): {"cancel_all_after"},
}


def settings_of(exchange: str, kind: str = "perp") -> Settings:
    words = [exchange if word == "backpack" else word for word in GRID]
    return replace(args.parse(words, LIVE), perp=kind == "perp")


@pytest.mark.parametrize(("exchange", "kind"), MARKETS)
def test_this_bot_and_its_ccxt_read_every_known_answer(
    exchange: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it asks the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    settings = settings_of(exchange, kind)
    verification.require_verified(settings, LIVE)
    calls = {case["call"] for case in answer_check.load(settings)["cases"]}
    assert calls == CALLS | OF_KIND[kind] | OF_MARKET.get((exchange, kind), set())


@pytest.mark.parametrize(("exchange", "reader"), TOLD)
def test_a_broken_reader_refuses_live(exchange: str, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(READERS[exchange], reader, lambda *_: None)
    with pytest.raises(ConfigError, match=f"live trading on {exchange} perp is refused: with ccxt [0-9.]+ "):
        verification.require_verified(settings_of(exchange), LIVE)
    verification.require_verified(replace(settings_of(exchange), live=False), LIVE)


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        ("apex", "_order_id"),
        ("apex", "_filled"),
        ("apex", "_fee"),
        ("apex", "_is_maker"),
        ("apex", "_is_open"),
        ("apex", "_maker_rate"),
        ("apex", "position"),
        ("aster", "position"),
        ("backpack", "position"),
        ("lighter", "_client_id"),
        ("lighter", "_fee"),
        ("lighter", "_maker_rate"),
        ("lighter", "own_account"),
        ("lighter", "position"),
        ("paradex", "position"),
    ],
)
def test_without_an_exchanges_own_reader_live_is_refused(
    exchange: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READERS[exchange], name, getattr(Answers, name))
    with pytest.raises(ConfigError, match=f"{exchange} perp is refused"):
        verification.require_verified(settings_of(exchange), LIVE)


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update({name: None})


def _turned(row: dict[str, Any]) -> None:
    row["side"] = {"buy": "sell", "sell": "buy"}.get(row["side"], "buy")


def _tenfold(row: dict[str, Any]) -> None:
    row["amount"] *= 10


@pytest.mark.parametrize(
    ("parse", "change"),
    [
        ("parse_order", _without("id")),
        ("parse_order", _without("clientOrderId")),
        ("parse_order", _without("status")),
        ("parse_order", _turned),
        ("parse_order", _tenfold),
        ("parse_trade", _without("id")),
        ("parse_trade", _without("timestamp")),
        ("parse_trade", _tenfold),
    ],
)
@pytest.mark.parametrize("exchange", READERS)
def test_another_ccxt_that_reads_otherwise_refuses_live(
    exchange: str, parse: str, change: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(exchange)
    own = getattr(ccxt_class, parse)

    def parse_otherwise(self: Any, raw: Any, market: Any = None) -> Any:
        row = own(self, raw, market)
        change(row)
        return row

    monkeypatch.setattr(ccxt_class, parse, parse_otherwise)
    with pytest.raises(ConfigError, match=f"{exchange} perp is refused"):
        verification.require_verified(settings_of(exchange), LIVE)


@pytest.mark.parametrize("exchange", READERS)
def test_another_ccxt_that_sends_an_order_otherwise_refuses_live(
    exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(exchange)
    own = ccxt_class.create_order

    def without_client_id(self: Any, *terms: Any) -> Any:
        params = {key: value for key, value in terms[-1].items() if key != "clientOrderId"}
        return own(self, *terms[:-1], params)

    monkeypatch.setattr(ccxt_class, "create_order", without_client_id)
    match = r"a new order: sent .* is .* instead of 5001|answered a new order with another order"
    with pytest.raises(ConfigError, match=match):
        verification.require_verified(settings_of(exchange), LIVE)


def test_the_refusal_is_one_line_that_says_what_differs_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(READERS["apex"], "_filled", lambda *_: Decimal("0.9"))
    monkeypatch.setattr(answer_check, "installed_version", lambda: "4.9.1")
    with pytest.raises(ConfigError) as raised:
        verification.require_verified(settings_of("apex"), LIVE)
    assert str(raised.value) == (
        "live trading on apex perp is refused: with ccxt 4.9.1 this bot reads a known answer wrongly: an open"
        " order, partly filled: filled is 0.9 instead of 0.25; build the image with the ccxt of"
        " docker/bot/requirements.lock (manager build), or trade it on paper"
    )


def test_what_is_accepted_already_stays_in_the_value_to_set() -> None:
    env = {verification.CONSENT: "apex, paradex"}
    with pytest.raises(ConfigError, match=f"set {verification.CONSENT}=apex,paradex,lighter \\(in a fleet"):
        verification.require_verified(settings_of("lighter"), env)


@pytest.mark.parametrize("missing", ["class", "module"])
def test_a_ccxt_without_the_exchange_refuses_live_and_says_so(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_client.load("apex")
    monkeypatch.setattr(answer_check, "installed_version", lambda: "4.9.1")
    if missing == "class":
        monkeypatch.delattr(sys.modules["ccxt.apex"], "apex")
    else:
        monkeypatch.setitem(sys.modules, "ccxt.apex", None)
    with pytest.raises(ConfigError) as raised:
        verification.require_verified(settings_of("apex"), LIVE)
    assert str(raised.value) == (
        "live trading on apex perp is refused: ccxt 4.9.1 does not have this exchange; build the image with"
        " the ccxt of docker/bot/requirements.lock (manager build), or trade it on paper"
    )
    assert "ccxt 4.9.1 does not have this exchange" in str(closing_messages.sentence(raised.value.as_code()))


def _emptied(known: dict[str, Any]) -> None:
    known["perp"]["cases"] = []


def _untold(known: dict[str, Any]) -> None:
    known["perp"]["told"]["cases"].clear()


def _without_kind(known: dict[str, Any]) -> None:
    del known["perp"]


def _without_must(known: dict[str, Any]) -> None:
    del known["perp"]["cases"][3]["must"]


def _without_answer(known: dict[str, Any]) -> None:
    known["perp"]["cases"][3]["given"] = {}


def _without_call(known: dict[str, Any]) -> None:
    known["perp"]["cases"][3]["call"] = "dance"


def _without_orders(known: dict[str, Any]) -> None:
    next(case for case in known["perp"]["cases"] if case["call"] == "place")["orders"] = []


@pytest.mark.parametrize(
    "damage",
    [_emptied, _untold, _without_kind, _without_must, _without_answer, _without_call, _without_orders],
)
def test_known_answers_that_are_not_whole_refuse_live_and_are_named(
    damage: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = json.loads((answer_check.FOLDER / "apex.json").read_text(encoding="utf-8"))
    damage(known)
    _require_named(json.dumps(known), monkeypatch, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"perp": 3}', "\x00\xff"])
def test_a_file_of_known_answers_that_is_none_refuses_live_and_is_named(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _require_named(text, monkeypatch, tmp_path)


def test_known_answers_that_are_missing_refuse_live_and_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _require_named(None, monkeypatch, tmp_path)


def _require_named(text: str | None, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    if text is not None:
        (folder / "apex.json").write_bytes(text.encode("latin-1"))
    monkeypatch.setattr(answer_check, "FOLDER", folder)
    for check in (answer_check.difference, lambda settings: told_check.difference(settings, {})):
        with pytest.raises(ConfigError) as raised:
            check(settings_of("apex"))
        words = str(raised.value)
        assert (
            f"apex perp is refused: the known answers of this bot, {folder.name}/apex.json, are damaged"
            in words
        )
        assert "ccxt" not in words
        assert "\n" not in words
        sentence = str(closing_messages.sentence(raised.value.as_code()))
        assert f"{folder.name}/apex.json" in sentence


def _start(settings: Settings) -> None:
    store = Store(settings.db_path, durable=False)
    try:
        session._choose_exchange(settings, store, LIVE, lambda _: None, Pace())
    finally:
        store.close()


@pytest.mark.parametrize("begin", [_start, preflight.check_all])
def test_run_and_preflight_are_refused(
    begin: Callable[[Settings], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(verification.CONSENT, "apex")
    monkeypatch.setattr(READERS["apex"], "_order_id", lambda *_: None)
    with pytest.raises(ConfigError, match="exchange_id is None instead of 4714"):
        begin(replace(settings_of("apex"), db_path=tmp_path / "bot.db"))


def test_closing_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in LIVE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(READERS["backpack"], "position", lambda *_: Decimal(1))
    assert close_position.main(["look", "0.01", *GRID]) == ConfigError.exit_code
    output = capsys.readouterr()
    assert "backpack perp is refused" in output.err
    sentence = closing_messages.sentence(json.loads(output.out.splitlines()[-1]))
    assert "a known answer wrongly: a long position: net is 1" in str(sentence)


def test_a_ccxt_that_cannot_be_imported_refuses_live_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(ccxt_client, "load", fail)
    monkeypatch.setattr(answer_check.importlib, "import_module", fail)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"with ccxt \? .*cannot read any answer \(ImportError: apex\)"):
        verification.require_verified(settings_of("apex"), LIVE)


def _settings_on(dialect: type[Dialect]) -> Settings:
    return settings_of(dialect.kit.name, "perp" if dialect.kit.perp else "spot")


@pytest.mark.parametrize("exchange", READERS)
@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda word: replace(word, exchange_id="1"),
        lambda word: replace(word, client_id=word.client_id + 1),
        lambda word: replace(word, side=Side.SELL if word.side is Side.BUY else Side.BUY),
        lambda word: replace(word, price=word.price * 10),
        lambda word: replace(word, qty=word.qty / 10),
        lambda word: replace(word, filled=word.filled / 2),
    ],
)
def test_a_reader_of_the_socket_that_is_broken_refuses_live(
    exchange: str, change: Callable[[ToldFill], ToldFill | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = told_fills.READERS[exchange]
    broken = {exchange: lambda raw: (word := read(raw)) and change(word)}
    monkeypatch.setattr(told_fills, "READERS", {**told_fills.READERS, **broken})
    with pytest.raises(ConfigError, match=f"{exchange} perp is refused: .* by websocket: "):
        verification.require_verified(settings_of(exchange), LIVE)
    verification.require_verified(settings_of(exchange), LIVE, listens=False)
    verification.require_verified(settings_of(exchange), {**LIVE, "GRIDBOT_STREAM": "off"})


@pytest.mark.parametrize(
    ("exchange", "wrong"),
    [
        # What was filled last alone, a taker's own fill, an order of another one, what is no fill.
        ("backpack", {"z": "l"}),
        ("aster", {"z": "l"}),
        ("paradex", {"liquidity": "fill_type"}),
        ("lighter", {"bid_account_id": "ask_account_id"}),
        ("apex", {"cumSuccessFillSize": "cumMatchFillSize"}),
    ],
)
def test_a_word_that_is_read_from_another_field_refuses_live(
    exchange: str, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = told_fills.READERS[exchange]

    def misread(raw: told_fills.Raw) -> ToldFill | None:
        return read({**raw, **{name: raw.get(other) for name, other in wrong.items()}})

    monkeypatch.setattr(told_fills, "READERS", {**told_fills.READERS, exchange: misread})
    with pytest.raises(ConfigError, match="by websocket: "):
        verification.require_verified(settings_of(exchange), LIVE)


@pytest.mark.parametrize("exchange", READERS)
def test_a_ccxt_that_hands_the_sockets_messages_on_otherwise_refuses_live(
    exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_load(exchange), "handle_message", lambda *_: None)
    with pytest.raises(ConfigError, match="by websocket: 0 rows instead of 1"):
        verification.require_verified(settings_of(exchange), LIVE)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
def test_the_sockets_speak_in_the_shape_of_the_known_messages(dialect: type[Dialect]) -> None:
    spoken = [dialect().fill(replace(sockets.SOLD, side=side)) for side in Side]
    for case in answer_check.load(_settings_on(dialect))["told"]["cases"][:2]:
        for message in case["given"]:
            assert any(_is_alike(message, one) for one in spoken), message


@pytest.mark.parametrize("kind", ["perp", "spot"])
def test_backpacks_socket_speaks_so_too(kind: str) -> None:
    order = BookOrder("4711", 5001, "Bid", Decimal(149), Decimal("0.9"), 0.0)
    for case in answer_check.load(settings_of("backpack", kind))["told"]["cases"][:2]:
        for message in case["given"]:
            assert _is_alike(message["data"], _update(order))


def _is_alike(known: Any, given: Any) -> bool:
    """Tell whether two answers have the same fields with the same kinds of values."""
    if isinstance(known, dict) and isinstance(given, dict):
        return known.keys() == given.keys() and all(_is_alike(known[key], given[key]) for key in known)
    if isinstance(known, list) and isinstance(given, list):
        return all(any(_is_alike(row, one) for one in given) for row in known)
    return type(known) is type(given)
