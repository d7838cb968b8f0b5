"""What is said of a failed call: the exchange's own words without ids and markup, or what the network did."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote

import pytest

from gridbot.config import args
from gridbot.exchanges import error_words
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ExchangeError, RejectedError, UnreachableError
from gridbot.model.types import Order, Side
from gridbot.runtime import log as logs
from gridbot.runtime import secrecy
from gridbot.trading.outage import Outage
from tests.bot.bots import GRID
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.server import FakeExchange

D = Decimal
UUID = "8f2a77e0-1111-4222-9333-abcdefabcdef"


@pytest.mark.parametrize(
    ("exchange", "text", "shown", "code"),
    [
        (
            "backpack",
            '{"code":"ACCOUNT_LOCKED","message":"Account is locked; see <a href=\'https://x.example/y?id=9\'>'
            f'help</a>, request id {UUID}"}}',
            "Account is locked; see help (ACCOUNT_LOCKED)",
            "ACCOUNT_LOCKED",
        ),
        (
            "aster",
            '{"code":-2019,"msg":"Margin is insufficient."}',
            "Margin is insufficient (-2019)",
            "-2019",
        ),
        (
            "backpack",
            r'{"code":"HALTED","message":"see <a href=\"https://x.example/y?id=9\">help</a>, http://z/'
            '?a=1"}',
            "see help, http://z/ (HALTED)",
            "HALTED",
        ),
        ("apex", '{"code":3,"msg":"apikey sign error","timeCost":8841}', "apikey sign error (3)", "3"),
        (
            "paradex",
            '{"error":"VALIDATION_ERROR","message":"size &lt; 5"}',
            "size < 5 (VALIDATION_ERROR)",
            "VALIDATION_ERROR",
        ),
        ("lighter", '{"code":21739,"message":"not enough margin"}', "not enough margin (21739)", "21739"),
        ("lighter", '{"errors":[{"code":12,"detail":"no\\nway"}]}', "no way (12)", "12"),
        (
            "aster",
            '{"code":-1,"msg":"order 4000000012 of 0.1 @ 148.25"}',
            "order … of 0.1 @ 148.25 (-1)",
            "-1",
        ),
        ("apex", f'{{"msg":"trace-id: {UUID} of 0xabcdefabcdefabcdef12 failed"}}', "of … failed", None),
        ("apex", '{"success":false}', '{"success":false}', None),
        ("apex", "{not json", "{not json", None),
        ("backpack", "market SOL is not listed", "market SOL is not listed", None),
    ],
)
def test_an_exchanges_own_words_are_quoted(exchange: str, text: str, shown: str, code: str | None) -> None:
    message = error_words.of_error(Exception(f"{exchange} {text}"), exchange)
    assert message == (f"{exchange}: {shown}", code)


def test_no_answer_however_odd_breaks_anything_or_fills_a_page() -> None:
    for text in (
        "",
        "{" * 5000,
        "<" * 50000,
        "<script>" * 9000,
        '{"message": ' + '"x' * 4000,
        '{"error":{"error":[]}}',
        "\0\x1b[2J",
    ):
        message = error_words.of_error(Exception(f"backpack {text}"), "backpack")
        assert len(message.text) <= error_words.LONGEST
    assert error_words.of_error(Exception(""), "backpack") == ("backpack", None)


def test_a_page_instead_of_an_answer_is_quoted_without_its_markup() -> None:
    page = "<html><style>p {}</style><body><p>bad gateway</p> Ray ID: 8f2a77e01122"
    url = "https://api.example/api/v1/order"
    message = error_words.of_error(
        Exception(f"backpack POST {url}?signature=s3cret 502 Bad Gateway {page}"), "backpack"
    )
    assert message.text == f"backpack: 502 Bad Gateway bad gateway (POST {url})"


def test_an_exchange_that_repeats_the_keys_gives_none_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it makes of them; neither its words nor a traceback in the log."""
    monkeypatch.setattr(secrecy, "_forms", set())
    key, wallet = "4Pb3v4Ggqusse5SL/jqpNTBJb+0E3wojMNadYVwbRtk=", "0x" + "aB1" * 21 + "c"
    secrecy.keep([key, wallet, "short"])
    for text in (
        json.dumps({"message": f"Invalid API key {key} for {wallet}: short"}),
        json.dumps({"message": f"key {key}"}).replace("/", "\\/"),
        f"invalid key {quote(key, safe='')}, {wallet[2:].upper()}",
        f"<b>{key.replace('=', '&#61;')}</b> {wallet.lower()}",
    ):
        text_shown = error_words.of_error(Exception(f"backpack {text}"), "backpack").text
        for part in (key[:12], wallet[2:14].lower()):
            assert part.lower() not in text_shown.lower()
        assert "key" in text_shown or "…" in text_shown
    record = logging.LogRecord("gridbot", logging.ERROR, "", 0, "refused: %s", (key,), None)
    with pytest.raises(ValueError, match="4Pb3") as caught:
        raise ValueError(key)
    record.exc_info = (caught.type, caught.value, caught.tb)
    logs.configure()
    assert key not in logging.getLogger().handlers[-1].format(record)


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


def an_exchange(fake: FakeExchange, url: str | None = None) -> CcxtExchange:
    keys = {"apiKey": fake.key, "secret": fake.secret}
    env = fake.env | {"GRIDBOT_EXCHANGE_TIMEOUT": "0.5"}
    return CcxtExchange(args.parse(GRID, {}), keys, env | ({"BACKPACK_API_URL": url} if url else {}))


def failure_of(exchange: CcxtExchange) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        exchange.price()
    return caught.value


def test_what_the_network_did_is_said_before_the_address(fake: FakeExchange) -> None:
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        for url, what in (
            (f"http://127.0.0.1:{silent.getsockname()[1]}", "no answer in time"),
            (f"https://127.0.0.1:{silent.getsockname()[1]}", "no answer in time"),
            (f"http://127.0.0.1:{closed.getsockname()[1]}", "the connection is refused"),
            ("http://no-such-host.invalid", "its name cannot be resolved"),
        ):
            err = failure_of(an_exchange(fake, url))
            assert isinstance(err, UnreachableError)
            assert str(err).startswith(f"backpack: {what} (GET {url}/"), err
    fake.faults.away_for(60, Fault.DROP_BEFORE)
    assert str(failure_of(an_exchange(fake))).startswith(
        "backpack: the connection was closed without an answer"
    )
    fake.faults.away_for(60, Fault.UNAVAILABLE)
    assert str(failure_of(an_exchange(fake))).startswith(
        "backpack: 503 Service Unavailable no upstream (GET "
    )


def test_an_exchange_that_answers_nonsense_is_not_said_to_be_silent(fake: FakeExchange) -> None:
    fake.faults.away_for(60, Fault.GARBAGE)
    outage = Outage(0.0)
    outage.record(failure_of(an_exchange(fake)), 100.0)
    condition = outage.condition(2)
    assert condition is not None
    assert condition.params["cause"] == "unclear"
    assert condition.reason is not None
    assert "does not answer" not in condition.reason


def test_a_refusal_keeps_the_exchanges_code(fake: FakeExchange) -> None:
    exchange = an_exchange(fake)
    fake.refusal = RefusalError("ACCOUNT_LOCKED", f"Account is locked, request id {UUID}")
    with pytest.raises(RejectedError) as caught:
        exchange.place(Order(7, "L1", Side.BUY, D("149"), D("0.1"), D(0), "new", 0.0))
    assert str(caught.value) == "backpack: Account is locked (ACCOUNT_LOCKED)"
    assert (caught.value.code, caught.value.cause) == ("ACCOUNT_LOCKED", "other")
