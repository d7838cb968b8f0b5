"""The fake exchange's request limits: what is counted, for whom, and what follows."""

from __future__ import annotations

import http.client
import urllib.parse

import pytest

from tests.fake_exchange.limits import ASTER, BYBIT, LIGHTER, PARADEX, Limits, Rules, Scope, Window
from tests.fake_exchange.server import FakeExchange

HERE, THERE = "127.0.0.1", "127.0.0.2"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(*windows: Window, **more: float) -> tuple[Limits, Clock]:
    clock = Clock()
    return Limits(Rules(windows, **more), clock), clock  # type: ignore[arg-type]


def test_a_window_rolls() -> None:
    counted, clock = limits(Window(Scope.ADDRESS, 10, 3))
    for moment in (1000.0, 1004.0, 1008.0):
        clock.now = moment
        assert counted.next(HERE, None, "GET", "/x") is None
    refusal = counted.next(HERE, None, "GET", "/x")
    assert refusal is not None
    assert (refusal.status, refusal.retry_after) == (429, 2)
    clock.now = 1010.1
    assert counted.next(HERE, None, "GET", "/x") is None
    assert counted.next(HERE, None, "GET", "/x") is not None
    assert (counted.requests, counted.refused) == (6, 2)


def test_addresses_and_accounts_are_counted_apart() -> None:
    by_address, _clock = limits(Window(Scope.ADDRESS, 10, 1))
    assert [by_address.next(at, "a", "GET", "/x") is None for at in (HERE, HERE, THERE)] == [
        True,
        False,
        True,
    ]
    by_account, _clock = limits(Window(Scope.ACCOUNT, 10, 1))
    asked = [by_account.next(HERE, who, "GET", "/x") is None for who in ("a", "a", "b", None, None)]
    assert asked == [True, False, True, True, True]


def test_a_heavy_request_counts_as_several() -> None:
    clock = Clock()
    counted = Limits(Rules((Window(Scope.ADDRESS, 10, 6),), {("GET", "/heavy"): 5}), clock)
    asked = [counted.next(HERE, None, "GET", path) is None for path in ("/heavy", "/x", "/x", "/heavy")]
    assert asked == [True, True, False, False]


def test_a_window_may_count_some_methods_only() -> None:
    counted, _clock = limits(Window(Scope.ACCOUNT, 10, 1, frozenset({"POST"})))
    asked = [counted.next(HERE, "a", method, "/x") is None for method in ("POST", "DELETE", "DELETE", "POST")]
    assert asked == [True, True, True, False]


def test_who_goes_on_asking_is_banned_and_each_time_for_longer() -> None:
    counted, clock = limits(Window(Scope.ADDRESS, 1, 1), ban_after=3, ban_within=10, ban_s=120)
    answers = [counted.next(HERE, "a", "GET", "/x") for _ in range(5)]
    assert [answer and answer.status for answer in answers] == [None, 429, 429, 418, 418]
    assert answers[-1] is not None
    assert answers[-1].retry_after == 120
    assert counted.next(THERE, "a", "GET", "/x") is None
    clock.now += 119
    assert counted.next(HERE, "a", "GET", "/x") is not None
    clock.now += 2
    again = [counted.next(HERE, "a", "GET", "/x") for _ in range(4)]
    assert [answer and answer.retry_after for answer in again] == [None, 1, 1, 240]
    assert counted.bans == 2


@pytest.mark.parametrize(
    ("rules", "account", "method", "most"),
    [
        (ASTER, "a", "DELETE", 2400),
        (ASTER, "a", "POST", 300),
        (PARADEX, "a", "DELETE", 1500),
        (PARADEX, "a", "GET", 600),
        (LIGHTER, None, "GET", 60),
        (LIGHTER, "a", "POST", 60),
        (BYBIT, "a", "POST", 600),
    ],
)
def test_the_limits_of_exchanges(rules: Rules, account: str | None, method: str, most: int) -> None:
    counted = Limits(rules, Clock())
    let_through = 0
    while counted.next(HERE, account, method, "/x") is None:
        let_through += 1
    assert let_through == most


def ask(fake: FakeExchange, source: str = HERE) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(fake.url)
    connection = http.client.HTTPConnection(
        str(parts.hostname), parts.port, timeout=5, source_address=(source, 0)
    )
    connection.request("GET", "/api/v1/time")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_the_fake_exchange_has_no_limits_unless_it_is_given_some() -> None:
    with FakeExchange() as fake:
        assert {ask(fake).status for _ in range(50)} == {200}


def test_the_fake_exchange_refuses_with_retry_after_and_bans_the_address() -> None:
    rules = Rules((Window(Scope.ADDRESS, 60, 2),), ban_after=2, ban_s=300)
    with FakeExchange(limits=Limits(rules)) as fake:
        answers = [ask(fake) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 429, 418, 418]
        assert [answer.getheader("Retry-After") for answer in answers] == [None, None, "60", "300", "300"]
        assert ask(fake, THERE).status == 200
