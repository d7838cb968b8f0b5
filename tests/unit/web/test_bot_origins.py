"""Which names lead to a bot's own page, and which domains the bots may have."""

from __future__ import annotations

import pytest

from manager.errors import UsageError
from manager.web import options
from manager.web.access import Access, with_password
from manager.web.address import Reach
from manager.web.options import Options

LOOPBACK = Reach(bot_origin=Options().origin_of_bots)
ELSEWHERE = Reach(
    is_loopback=False,
    scheme="https",
    names=frozenset({"fleet.example.org"}),
    bot_origin="https://{id}.bots.example",
)
PROXY = Options(("127.0.0.1", 8800), ("fleet.example.org",), behind_proxy=("127.0.0.1",))


@pytest.mark.parametrize(
    ("reach", "host", "bot"),
    [
        (LOOPBACK, "bp_sol_01.localhost:8800", "bp_sol_01"),
        (LOOPBACK, "BP_SOL_01.LOCALHOST:9", "bp_sol_01"),
        (LOOPBACK, "localhost:8800", None),
        (LOOPBACK, "127.0.0.1:8800", None),
        (LOOPBACK, ".localhost", None),
        (LOOPBACK, "a.b.localhost", None),
        (LOOPBACK, "bp_sol_01.localhost.evil.example", None),
        (LOOPBACK, "-x.localhost", None),
        (LOOPBACK, "bp_sol_01.bots.example", None),
        (ELSEWHERE, "bp_sol_01.bots.example", "bp_sol_01"),
        (ELSEWHERE, "bp_sol_01.localhost", None),
        (ELSEWHERE, "fleet.example.org", None),
        (ELSEWHERE, "bots.example", None),
        (Reach(), "bp_sol_01.localhost:8800", None),
    ],
)
def test_a_name_leads_to_one_bot_or_to_none(reach: Reach, host: str, bot: str | None) -> None:
    assert reach.bot_of(host) == bot
    assert bot is None or not reach.is_ours(host)


@pytest.mark.parametrize(
    ("reach", "instance", "host", "origin"),
    [
        (LOOPBACK, "bp_sol_01", "127.0.0.1:8800", "http://bp_sol_01.localhost:8800"),
        (LOOPBACK, "bp_sol_01", "[::1]:9000", "http://bp_sol_01.localhost:9000"),
        (LOOPBACK, "BP_SOL", "localhost:8800", "http://bp_sol.localhost:8800"),
        (LOOPBACK, "a.b", "localhost:8800", None),
        (LOOPBACK, "x" * 64, "localhost:8800", None),
        (LOOPBACK, "a/b", "localhost:8800", None),
        (ELSEWHERE, "bp_sol_01", "fleet.example.org:8443", "https://bp_sol_01.bots.example"),
        (Reach(), "bp_sol_01", "127.0.0.1:8800", None),
    ],
)
def test_the_origin_of_a_bot(reach: Reach, instance: str, host: str, origin: str | None) -> None:
    assert reach.origin_of_bot(instance, host) == origin


def test_only_loopback_has_origins_by_itself() -> None:
    assert Options().origin_of_bots == "http://{id}.localhost"
    assert PROXY.origin_of_bots == ""
    assert Options(("0.0.0.0", 8443)).origin_of_bots == ""
    named = PROXY._replace(bot_origin="https://{ID}.Bots.example")
    assert named.origin_of_bots == "https://{id}.bots.example"
    assert named.words()[-2:] == ["--bot-origin", "https://{ID}.Bots.example"]


@pytest.mark.parametrize(
    "text",
    [
        "https://bots.example",
        "https://bot-{id}.bots.example",
        "https://x.{id}.bots.example",
        "http://{id}.bots.example",
        "https://{id}",
        "https://{id}.bots.example/",
        "https://{id}.bots.example/path",
        "https://u@{id}.bots.example",
        "https://{id}.example.org",
        "https://{id}.fleet.example.org",
    ],
)
def test_what_is_no_origin_for_bots_is_refused(text: str) -> None:
    known = with_password(Access(), "operate", "correct horse battery")
    with pytest.raises(UsageError, match="--bot-origin"):
        options.require_allowed(PROXY._replace(bot_origin=text), known)
    options.require_allowed(PROXY._replace(bot_origin="https://{id}.bots.example:8443"), known)
