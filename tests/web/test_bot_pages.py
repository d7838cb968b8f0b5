"""Each bot's own page through the fleet's: it passes as it is, and nothing of it reaches further."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from manager.engine import labels
from manager.i18n import Text
from manager.monitor.stats.instance_stats import InstanceStats
from manager.web.address import LOOPBACK_BOTS, Reach
from manager.web.protocol import Refusal
from manager.web.web_side import bot_sessions, bot_upgrades
from tests.web.bot_page import BotPage, a_bot_page
from tests.web.served import COOKIE, Client, Served, a_bot, serving, signed_in
from tests.web.test_attacks import KNOWN, TOKENS

BOTS = Reach(bot_origin=f"http://{LOOPBACK_BOTS}")
BOT_COOKIE = f"{COOKIE}-bot"


def with_page(row: InstanceStats, port: int | None) -> InstanceStats:
    """A row whose container publishes this port."""
    assert row.view.container is not None
    changed = {**row.view.container.labels, labels.WEB_PORT: "" if port is None else str(port)}
    return row._replace(view=row.view._replace(container=row.view.container._replace(labels=changed)))


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What the server logs, which does not reach the root's handlers."""
    logging.getLogger("uvicorn.error").addHandler(caplog.handler)
    yield
    logging.getLogger("uvicorn.error").removeHandler(caplog.handler)


@pytest.fixture
def bot() -> Iterator[BotPage]:
    with a_bot_page() as page:
        yield page


@pytest.fixture
def other() -> Iterator[BotPage]:
    with a_bot_page() as page:
        yield page


@pytest.fixture
def served(tmp_path: Path, bot: BotPage, other: BotPage) -> Iterator[Served]:
    rows = [
        with_page(a_bot("bp_sol_01", pnl="1", quote="USDC"), bot.port),
        with_page(a_bot("bp_btc_01", pnl="1", quote="USDC"), other.port),
        with_page(a_bot("bp_old_01", "stopped", code=None), bot.port),
        with_page(a_bot("bp_no_page"), None),
    ]
    with serving(tmp_path, rows, KNOWN, BOTS) as running:
        yield running


def opened(fleet: Client, instance: str = "bp_sol_01") -> Client:
    """A browser's place at the bot's origin, with the cookie of a code."""
    status, _headers, body = fleet.call("POST", f"/api/v1/instances/{instance}/page", {})
    assert status == 200, body
    url = urlsplit(body["url"])
    assert url.netloc == f"{instance}.localhost:{fleet.port}"
    client = at(fleet, instance)
    status, headers, content = client.get(
        f"{url.path}?{url.query}", **{"Sec-Fetch-Site": "cross-site", "Cookie": ""}
    )
    assert status == 200, content
    client.cookie, _semicolon, attributes = headers["set-cookie"].partition(";")
    assert client.cookie.startswith(BOT_COOKIE)
    assert "httponly" in attributes.lower()
    assert "samesite=strict" in attributes.lower()
    assert "domain" not in attributes.lower()
    return client


def at(fleet: Client, instance: str) -> Client:
    client = Client(fleet)
    client.host = f"{instance}.localhost:{fleet.port}"
    return client


def test_the_page_passes_and_neither_code_nor_sign_in_reaches_the_bot(served: Served, bot: BotPage) -> None:
    fleet = signed_in(served)
    page = opened(fleet)
    assert bot.seen == []
    cookies = f"{page.cookie}; own=1; {fleet.cookie}; __Host-botfleet-1-bot=x; theme=dark"
    status, _headers, received = page.get(
        "/said?a=1&b=%2f",
        **{
            "Cookie": cookies,
            "X-Botfleet-Token": fleet.token,
            "Authorization": f"Bearer {TOKENS['operate']}",
            "Referer": f"http://{page.host}/there",
            "X-Forwarded-For": "1.2.3.4",
        },
    )
    assert status == 200
    received = json.loads(received)
    assert received["cookie"] == "own=1; theme=dark"
    assert received["host"] == f"127.0.0.1:{bot.port}"
    assert received["referer"] == f"http://127.0.0.1:{bot.port}/there"
    assert not {"x-botfleet-token", "authorization", "x-forwarded-for"} & received.keys()
    assert bot.seen[0][0] == "/said?a=1&b=%2f"
    everything = json.dumps(bot.seen)
    secrets = (fleet.token, fleet.cookie.partition("=")[2], page.cookie.partition("=")[2])
    assert not [secret for secret in secrets if secret in everything]


def test_a_code_works_once_at_its_own_bot_and_not_for_long(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = signed_in(served)

    def new() -> str:
        url = urlsplit(fleet.call("POST", "/api/v1/instances/bp_sol_01/page", {})[2]["url"])
        return f"{url.path}?{url.query}"

    code = new()
    assert at(fleet, "bp_sol_01").get(code)[0] == 200
    assert at(fleet, "bp_sol_01").get(code)[0] == 403
    code = new()
    assert at(fleet, "bp_btc_01").get(code)[0] == 403
    assert at(fleet, "bp_sol_01").get(code)[0] == 403
    monkeypatch.setattr(bot_sessions, "CODE_S", -1.0)
    assert at(fleet, "bp_sol_01").get(new())[0] == 403


def test_a_cookie_opens_one_bot_and_ends_with_the_sign_in(
    served: Served, bot: BotPage, other: BotPage
) -> None:
    fleet = signed_in(served)
    page = opened(fleet)
    stranger = at(fleet, "bp_btc_01")
    stranger.cookie = page.cookie
    assert stranger.get("/")[0] == 401
    fleet_cookie = at(fleet, "bp_sol_01")
    fleet_cookie.cookie = fleet.cookie
    assert fleet_cookie.get("/", **{"X-Botfleet-Token": fleet.token})[0] == 401
    at_fleet = Client(served)
    at_fleet.cookie = page.cookie
    assert at_fleet.get("/api/v1/fleet", **{"X-Botfleet-Token": fleet.token})[0] == 401
    assert page.get("/")[0] == 200
    assert fleet.call("DELETE", "/api/v1/session", {})[0] == 204
    assert page.get("/")[0] == 401
    assert len(bot.seen) == 1
    assert other.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://bp_btc_01.localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_reaches_no_bot(served: Served, bot: BotPage, headers: dict[str, str]) -> None:
    page = opened(signed_in(served))
    assert page.get("/", **headers)[0] == 403
    assert page.call("POST", "/", {}, headers)[0] == 403
    assert bot.seen == []


def test_a_command_under_another_host_reaches_no_bot(served: Served, bot: BotPage, other: BotPage) -> None:
    page = opened(signed_in(served))
    for host, status in (
        (f"bp_sol_01.evil.example:{served.port}", 421),
        (f"bp_sol_01.localhost.evil.example:{served.port}", 421),
        (f"x.bp_sol_01.localhost:{served.port}", 421),
        (f"bp_btc_01.localhost:{served.port}", 401),
        (f"127.0.0.1:{served.port}", 401),
    ):
        assert page.call("POST", "/api/pause", {}, {"Host": host})[0] == status, host
    assert (bot.seen, other.seen) == ([], [])


@pytest.mark.parametrize("instance", ["bp_sol_01", "bp_btc_01"])
def test_a_bots_page_does_not_reach_the_fleet(served: Served, instance: str) -> None:
    fleet = signed_in(served)
    for headers in (
        {"Origin": f"http://{instance}.localhost:{served.port}"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": f"{instance}.localhost:{served.port}"},
    ):
        assert fleet.call("POST", "/api/v1/halt", {"confirm": "halt"}, headers)[0] in {401, 403}
        assert fleet.get("/api/v1/fleet", **headers)[0] in {401, 403}
    assert fleet.get("/api/v1/actions")[2] == []


def test_what_the_bot_answers_concerns_its_own_origin(served: Served) -> None:
    page = opened(signed_in(served))
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", "/cookies", headers={"Host": page.host, "Cookie": page.cookie})
    answer = connection.getresponse()
    assert answer.headers.get_all("set-cookie") == ["own=1; Path=/"]
    assert "clear-site-data" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    connection.close()
    _status, headers, _body = page.get("/away")
    assert headers["location"] == f"http://{page.host}/there"


def test_a_page_leaves_no_service_worker(served: Served, bot: BotPage) -> None:
    """One would answer in the bot's place after the sign-out, and after the bot was replaced."""
    page = opened(signed_in(served))
    assert page.get("/worker.js", **{"Service-Worker": "script", "Sec-Fetch-Site": "same-origin"})[0] == 403
    assert [path for path, _head in bot.seen if path == "/worker.js"] == []
    assert page.get("/worker.js", **{"Sec-Fetch-Site": "same-origin"})[0] == 200


def test_a_status_that_is_none_is_a_refusal(served: Served) -> None:
    """It was a bug of ours: the connection ended without an answer, and each time with a traceback."""
    status, _headers, body = opened(signed_in(served)).get("/odd")
    assert (status, b"not HTTP" in body) == (502, True)


def test_a_body_in_pieces_passes_whatever_length_is_stated_beside_it(served: Served) -> None:
    status, headers, body = opened(signed_in(served)).get("/both")
    assert (status, body, "content-length" in headers) == (200, b"hi", False)


def test_bodies_pass(served: Served, bot: BotPage) -> None:
    page = opened(signed_in(served))
    text = "x" * 200_000 + "end"
    origin = f"http://{page.host}"
    status, _headers, body = page.call("POST", "/", text, {"Origin": origin})
    assert status == 200
    assert body == json.dumps(text).encode()[::-1]
    assert bot.seen[0][1]["origin"] == f"http://127.0.0.1:{bot.port}"


def test_events_come_as_they_are_sent_and_the_bot_knows_when_nobody_reads(
    served: Served, bot: BotPage
) -> None:
    page = opened(signed_in(served))
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", "/events", headers={"Host": page.host, "Cookie": page.cookie})
    answer = connection.getresponse()
    assert answer.read(13) == b"data: first\n\n"
    bot.go_on.set()
    assert answer.read(14) == b"data: second\n\n"
    assert not bot.is_left.is_set()
    answer.close()
    connection.close()
    assert bot.is_left.wait(10)


def test_a_stream_ends_with_the_sign_in(served: Served, bot: BotPage) -> None:
    fleet = signed_in(served)
    page = opened(fleet)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", "/events", headers={"Host": page.host, "Cookie": page.cookie})
    answer = connection.getresponse()
    assert answer.read(13) == b"data: first\n\n"
    fleet.call("DELETE", "/api/v1/session", {})
    assert answer.read() == b""
    bot.go_on.set()
    connection.close()


def upgraded(page: Client, path: str = "/socket", **headers: str) -> tuple[socket.socket, bytes]:
    """A socket after its upgrade, and the answer's head."""
    sent = {
        "Host": page.host,
        "Cookie": page.cookie,
        "Origin": f"http://{page.host}",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"{name}: {value}" for name, value in sent.items() if value]
    connection = socket.create_connection(("127.0.0.1", page.port), timeout=60)
    connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := connection.recv(1)):
            break
        head += byte
    return connection, head


def test_a_websocket_passes_both_ways(served: Served, bot: BotPage) -> None:
    fleet = signed_in(served)
    page = opened(fleet)
    connection, head = upgraded(page)
    with connection:
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head.lower().replace(
            b"s3pplmbitxaq9kygzzhzrbk+xoo=", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        )
        assert b"set-cookie" not in head.lower()
        assert connection.recv(7) == b"\x81\x05hello"
        sent = bytes(range(256)) * 4000
        connection.sendall(sent)
        got = b""
        while len(got) < len(sent):
            got += connection.recv(1 << 16)
        assert got == sent
        assert page.cookie not in json.dumps(bot.seen)
        assert bot.seen[0][1]["origin"] == f"http://127.0.0.1:{bot.port}"
        fleet.call("DELETE", "/api/v1/session", {})
        assert connection.recv(1) == b""
    assert bot.is_left.wait(10)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, b"403"),
        ({"Origin": "null"}, b"403"),
        ({"Origin": ""}, b"403"),
        ({"Sec-Fetch-Site": "cross-site"}, b"403"),
        ({"Cookie": ""}, b"401"),
        ({"Host": "evil.example"}, b"403"),
        ({"Host": "127.0.0.1"}, b"403"),
    ],
)
def test_another_page_gets_no_websocket(
    served: Served,
    bot: BotPage,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    status: bytes,
) -> None:
    connection, head = upgraded(opened(signed_in(served)), **headers)
    with connection:
        assert head.split()[1] == status
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None
        body = connection.makefile("rb").read()
    assert bot.seen == []
    assert len(body) == int(length[1])
    told = json.loads(body)
    assert (str(told["status"]).encode(), bool(told["detail"])) == (status, True)
    assert b"content-type: application/problem+json" in head.lower()
    assert f"a WebSocket is refused ({told['status']}): {told['detail']}" in caplog.text


def test_a_refused_websocket_says_why_in_its_readers_language(served: Served, bot: BotPage) -> None:
    connection, _head = upgraded(opened(signed_in(served)), **{"Cookie": "", "Accept-Language": "zh-TW"})
    with connection:
        assert "請從機群網頁開啟" in json.loads(connection.makefile("rb").read())["detail"]
    assert bot.seen == []


def test_a_bot_that_refuses_a_websocket_is_named_as_who_does(
    served: Served, bot: BotPage, caplog: pytest.LogCaptureFixture
) -> None:
    connection, head = upgraded(opened(signed_in(served)), path="/no-socket")
    with connection:
        told = json.loads(connection.makefile("rb").read())
    assert head.split()[1] == b"502", "a page is no answer to an upgrade"
    assert told["detail"] == "the bot itself refuses the WebSocket (HTTP 200)"
    assert "bp_sol_01: a WebSocket is refused (502)" in caplog.text


def test_who_is_refused_again_and_again_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    at = [0.0]
    log = bot_upgrades._RefusalLog(lambda: at[0])
    for label in ("one", "one", *map(str, range(1000))):
        log.note(label, Refusal(403, Text("the role {role} is required", role="x\n2026 forged")))
    lines = {record.getMessage() for record in caplog.records}
    assert len(lines) == bot_upgrades.MOST_LOGGED
    assert not any("\n" in line for line in lines)
    at[0] += bot_upgrades.LOGGED_EVERY_S
    caplog.clear()
    log.note("one", Refusal(403))
    assert caplog.records


def test_what_has_no_page_says_so(served: Served, bot: BotPage) -> None:
    fleet = signed_in(served)

    def refused(instance: str, **headers: str) -> int:
        return fleet.call("POST", f"/api/v1/instances/{instance}/page", {}, headers)[0]

    assert refused("bp_no_page") == 409
    assert refused("bp_old_01") == 409
    assert refused("nobody") == 404
    bearer = {"Authorization": f"Bearer {TOKENS['read']}"}
    assert refused("bp_sol_01", **bearer) == 403
    page = opened(fleet)
    served.rows[0] = with_page(a_bot("bp_sol_01", "stopped"), bot.port)
    served.look()
    status, headers, body = page.get("/")
    assert status == 409
    assert "text/html" in headers["content-type"]
    assert b"bp_sol_01" in body


def test_elsewhere_than_on_loopback_a_page_needs_an_origin(tmp_path: Path, bot: BotPage) -> None:
    rows = [with_page(a_bot("bp_sol_01"), bot.port)]
    with serving(tmp_path, rows, KNOWN) as running:
        status, _headers, body = signed_in(running).call("POST", "/api/v1/instances/bp_sol_01/page", {})
        assert status == 409
        assert "--bot-origin 'https://{id}.bots.example'" in body["detail"]
        assert at(Client(running), "bp_sol_01").get("/")[0] == 421
