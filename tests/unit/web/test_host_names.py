"""Which Host headers lead to the page: a name that can be made to lead here is none, nor is an odd form."""

from __future__ import annotations

import pytest

from manager.web.address import Reach

LOOPBACK = Reach(bot_origin="http://{id}.localhost")
BEYOND = Reach(is_loopback=False, scheme="https", names=frozenset({"desk.example"}))


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8080", "127.0.0.1:1", "127.0.0.1:65535", "[::1]", "[::1]:8080"],
)
def test_names_of_loopback(host: str) -> None:
    assert LOOPBACK.is_ours(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "127.0.0.1:8080@evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "user:word@localhost:8080",
        "localhost.evil.example",
        "localhost.:8080",
        "evil.example#localhost",
        "localhost#evil.example",
        "localhost/evil.example",
        "localhost?evil.example",
        "localhost\\evil.example",
        "localhost evil.example",
        "localhost\tevil.example",
        "localhost,evil.example",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:8080:8080",
        "localhost:+80",
        "localhost:\u0661",
        "\uff4c\uff4f\uff43alhost",
        "xn--localhost-.example",
        "::1",
        "[::1",
        "[::1]8080",
        "[::1%eth0]",
        "[localhost]",
        "[127.0.0.1]x",
        "0x7f000001",
        "127.1",
    ],
)
def test_odd_forms_are_not_ours(host: str) -> None:
    assert not LOOPBACK.is_ours(host)
    assert not BEYOND.is_ours(host)
    assert LOOPBACK.bot_of(host) is None


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("DESK.example:8443", True),
        ("192.0.2.1", True),
        ("[2001:db8::1]:8443", True),
        ("desk.example.:8443", False),
        ("desk.example:8443@evil.example", False),
        ("fe80::1%eth0", False),
        ("[fe80::1%eth0]", False),
        ("evil.example", False),
    ],
)
def test_names_beyond_loopback(host: str, *, is_ours: bool) -> None:
    assert BEYOND.is_ours(host) == is_ours


@pytest.mark.parametrize(
    ("host", "bot"),
    [
        ("bp_eth_02.localhost:8080", "bp_eth_02"),
        ("BP_eth_02.localhost", "bp_eth_02"),
        ("bp_eth_02.localhost:8080@evil.example", None),
        ("bp_eth_02.localhost.", None),
    ],
)
def test_names_of_bots(host: str, bot: str | None) -> None:
    assert LOOPBACK.bot_of(host) == bot
