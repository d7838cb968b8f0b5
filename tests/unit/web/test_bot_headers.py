"""What of a message's head passes between a browser and a bot's own page."""

from __future__ import annotations

import pytest

from manager.web.access import TOKEN_PREFIX
from manager.web.web_side.bot_headers import Head, for_bot, for_browser

ORIGIN, BOT = "http://a.localhost:8800", "127.0.0.1:5001"


def passed(*head: tuple[str, str]) -> list[tuple[str, str]]:
    """Return what a bot gets of a request's head, beside its own host."""
    raw: Head = [(name.encode(), value.encode()) for name, value in head]
    [host, *rest] = for_bot(raw, ORIGIN, BOT)
    assert host == (b"host", BOT.encode())
    return [(name.decode(), value.decode()) for name, value in rest]


def answered(*head: tuple[str, str]) -> list[tuple[str, str]]:
    raw: Head = [(name.encode(), value.encode()) for name, value in head]
    return [(name.decode(), value.decode()) for name, value in for_browser(raw, ORIGIN, BOT)]


def test_what_a_connection_names_is_for_its_two_ends() -> None:
    assert passed(("connection", "close, X-Own"), ("x-own", "1"), ("accept", "*/*")) == [("accept", "*/*")]
    assert answered(("connection", "x-own"), ("x-own", "1"), ("etag", "1")) == [("etag", "1")]


@pytest.mark.parametrize("cookie", ["botfleet-a=1", "__Host-botfleet-a=1", " BOTFLEET-b=1", "=botfleet-a=1"])
def test_no_cookie_of_a_fleets_page_passes_either_way(cookie: str) -> None:
    assert passed(("cookie", f"{cookie}; own=2")) == [("cookie", "own=2")]
    assert answered(("set-cookie", cookie), ("set-cookie", "own=2; Domain=localhost; Path=/")) == [
        ("set-cookie", "own=2; Path=/")
    ]


@pytest.mark.parametrize(
    ("cookie", "passed_on"),
    [
        ("own=2; Path=/;", ["own=2; Path=/"]),
        ("own=2; Domain=localhost; ", ["own=2"]),
        ("own=2;;Domain\t=localhost;Path=/", ["own=2; Path=/"]),
        ("; Domain=localhost", []),
    ],
)
def test_a_cookie_with_empty_parts_stays_a_header(cookie: str, passed_on: list[str]) -> None:
    """A blank at its end was none: the browser got no answer at all."""
    assert answered(("set-cookie", cookie)) == [("set-cookie", text) for text in passed_on]


def test_a_programs_token_is_not_for_the_bot_and_its_own_credentials_are() -> None:
    assert passed(("authorization", f"Bearer {TOKEN_PREFIX}x")) == []
    assert passed(("authorization", "Bearer own")) == [("authorization", "Bearer own")]


def test_a_body_in_pieces_has_no_stated_length() -> None:
    assert answered(("transfer-encoding", "chunked"), ("content-length", "5")) == []
    assert answered(("content-length", "5")) == [("content-length", "5")]
