"""The API as a program meets it: what it answers, and whom it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from manager import i18n
from manager.errors import EngineUnreachable
from manager.monitor.history import database, writing
from manager.monitor.history.model import Event
from manager.monitor.stats.instance_stats import InstanceStats
from manager.web import protocol
from manager.web.web_side import api_session
from manager.web.web_side.guard import HEADERS
from tests.fleet import eventually
from tests.web.served import Client, Served, a_bot, serving, signed_in, write_history

ROUTES = (
    "/api/v1/fleet",
    "/api/v1/instances",
    "/api/v1/instances/bp_sol_01",
    "/api/v1/instances/bp_sol_01/history",
    "/api/v1/curves",
    "/api/v1/events",
    "/api/v1/actions",
    "/api/v1/openapi.json",
    "/api/v1/nothing",
    "/metrics",
)
LIVE = {
    "pnl": "10.5",
    "quote": "USDC",
    "position": "0.2",
    "base": "SOL",
    "price": "150",
    "lower": "140",
    "upper": "180",
}


def some_bots() -> list[InstanceStats]:
    return [
        a_bot("bp_sol_01", **LIVE),
        a_bot("bp_eth_01", code="orders_refused", params={"cause": "unauthorized"}, pnl="-3", quote="USDT"),
        a_bot("bp_btc_01", mode="paper", pnl="1000", quote="USDC"),
        a_bot("bp_old_01", "stopped", mode="paper", code=None),
    ]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, some_bots()) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Client:
    return signed_in(served)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that change nothing."""
    with serving(tmp_path_factory.mktemp("steady"), some_bots()) as running:
        yield running


@pytest.fixture
def reader(steady: Served) -> Client:
    return signed_in(steady)


def test_the_strip_adds_nothing_that_cannot_be_added(reader: Client) -> None:
    status, _headers, fleet = reader.get("/api/v1/fleet")
    assert status == 200
    assert fleet["counts"] == {
        "instances": 4,
        "live": 2,
        "paper": 2,
        "trading": 2,
        "trading_live": 1,
        "need_person": 1,
        "left_unknown": 0,
        "left": 0,
        "states": {"running": 3, "stopped": 1},
    }
    assert [(pnl["kind"], pnl["quote"], pnl["run"], pnl["today"]) for pnl in fleet["pnl"]] == [
        ("live", "USDC", "10.5", None),
        ("live", "USDT", "-3", None),
        ("paper", "USDC", "1000", None),
    ]
    assert fleet["totals"] == []
    assert [(part["base"], part["net"]) for part in fleet["exposure"]] == [("SOL", "0.2")]
    assert abs(fleet["looked_at"] - time.time()) < 30


def test_sums_need_rates_and_say_what_they_lack(tmp_path: Path) -> None:
    rows = [
        a_bot("a", pnl="10", quote="USDC"),
        a_bot("b", pnl="5", quote="EUR"),
        a_bot("c", pnl="7", quote="JPY"),
    ]
    with serving(tmp_path, rows) as served:
        path = tmp_path / "config" / "fleet.toml"
        path.write_text(path.read_text() + '[sums]\ncurrency = "USDC"\nrates = { EUR = 1.1 }\n')
        served.fleet = served.backend.session.project().fleet
        client = signed_in(served)
        [total] = client.get("/api/v1/fleet")[2]["totals"]
    assert (total["kind"], total["currency"], total["run"], total["missing"]) == (
        "live",
        "USDC",
        "15.5",
        ["JPY"],
    )


def test_instances_are_worst_first_and_say_what_ps_says(reader: Client) -> None:
    _status, _headers, answer = reader.get("/api/v1/instances", **{"Accept-Language": "en"})
    assert [instance["id"] for instance in answer["instances"]] == [
        "bp_eth_01",
        "bp_sol_01",
        "bp_btc_01",
        "bp_old_01",
    ]
    worst, well, *_others = answer["instances"]
    assert worst["needs_person"]
    assert worst["severity"] == "bad"
    assert worst["note"] == "the exchange refuses every order: the keys may not trade"
    assert well["range"] == {"lower": "140", "upper": "180"}
    assert (well["pnl"], well["position"], well["price"]) == ("10.5", "0.2", "150")


def test_texts_are_in_the_readers_language(reader: Client) -> None:
    notes = {
        reader.get("/api/v1/instances", **{"Accept-Language": tag})[2]["instances"][0]["doing_text"]
        for tag in ("zh-TW,zh;q=0.9,en;q=0.8", "en-US", "fr")
    }
    assert len(notes) == 2
    assert "orders refused" in notes


def test_a_bot_has_its_report_its_exits_and_its_history(served: Served, client: Client) -> None:
    write_history(served.backend.session, {"bp_sol_01": ["0", "1", "2", "4"]}, gap=False)
    served.backend.figures.read_again()
    status, _headers, detail = client.get("/api/v1/instances/bp_sol_01")
    assert status == 200
    assert detail["report"]["pnl"] == "10.5"
    assert detail["report"]["condition"]["code"] == "trading"
    assert [run_end["text"] for run_end in detail["exits"]] == ["exit code 1"]
    assert [event["what"] for event in detail["events"]] == ["exit", "state"]
    _status, _headers, history = client.get("/api/v1/instances/bp_sol_01/history?days=7")
    assert history["pnl"][0]["pnl"] == "4"
    assert len(history["pnl"][0]["points"]) == 4
    _status, _headers, curves = client.get("/api/v1/curves")
    assert [(curve["kind"], curve["quote"], curve["values"][-1]) for curve in curves["curves"]] == [
        ("live", "USDC", "4")
    ]


def test_a_bot_that_has_never_reported_has_no_report(reader: Client) -> None:
    assert reader.get("/api/v1/instances/bp_old_01")[2]["report"] is None


@pytest.mark.parametrize("instance", ["nobody", "..", "%2e%2e%2ffleet.toml", "a%00b", "x" * 300])
def test_an_unknown_bot_is_a_problem(reader: Client, instance: str) -> None:
    for path in (f"/api/v1/instances/{instance}", f"/api/v1/instances/{instance}/history"):
        status, headers, problem = reader.get(path)
        assert status in {404, 422}
        assert headers["content-type"] == "application/problem+json"
        assert problem["status"] == status


def test_a_history_has_what_was_realised_and_what_happened(tmp_path: Path) -> None:
    with serving(tmp_path, some_bots()) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        _status, _headers, history = signed_in(served).get("/api/v1/instances/bp_sol_01/history?days=1")
        assert [(mark["what"], mark["text"]) for mark in history["marks"]] == [("exit", "exit code 1")]
        assert history["realized"] == []  # these samples do not say
        served.backend.figures.read_again()
        [curve] = signed_in(served).get("/api/v1/curves")[2]["curves"]
        assert (curve["drawdown"], len(curve["marks"])) == ("2", 1)
        served.look()
        [usdc] = [pnl for pnl in signed_in(served).get("/api/v1/fleet")[2]["pnl"] if pnl["in_all"]]
        assert (usdc["kind"], usdc["quote"], usdc["in_all"]) == ("live", "USDC", "9")


def test_what_happened_is_told_in_the_readers_language(tmp_path: Path) -> None:
    with serving(tmp_path, some_bots()) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "5"]})
        params = {"state": "running", "doing": "exchange away", "why": None, "cause": None, "last": ""}
        event = Event(time.time() - 600, "bp_sol_01", "state", "x", {"code": "state", "params": params})
        db, _aside = database.open_for_writing(served.fleet.history_file)
        writing.add_events(db, [event])
        db.close()
        reader = signed_in(served)
        for path in ("", "/history?days=1"):
            answer = reader.get(f"/api/v1/instances/bp_sol_01{path}", **{"Accept-Language": "zh-TW"})[2]
            [told] = [row for row in answer["events"] if row["text"] != "" and row["at"] == event.at]
            assert told["text"] == "執行中，交易所失聯", path
        served.backend.figures.read_again()  # by a thread that speaks no reader's language
        [curve] = reader.get("/api/v1/curves", **{"Accept-Language": "zh-TW"})[2]["curves"]
        assert "執行中，交易所失聯" in [mark["text"] for mark in curve["marks"]]


@pytest.mark.parametrize("days", ["0", "-1", "x", "nan", "inf", "99999"])
def test_a_wrong_parameter_is_named(reader: Client, days: str) -> None:
    status, _headers, problem = reader.get(f"/api/v1/instances/bp_sol_01/history?days={days}")
    assert status == 422
    assert problem["faults"][0]["at"] == "query.days"


def test_the_document_describes_every_route(reader: Client) -> None:
    _status, _headers, document = reader.get("/api/v1/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/metrics",
        "/api/v1/fleet",
        "/api/v1/instances",
        "/api/v1/instances/{instance_id}",
        "/api/v1/instances/{instance_id}/history",
        "/api/v1/instances/{instance_id}/page",
        "/api/v1/instances/{instance_id}/actions",
        "/api/v1/instances/{instance_id}/actions/{verb}",
        "/api/v1/halt",
        "/api/v1/actions",
        "/api/v1/actions/{number}",
        "/api/v1/curves",
        "/api/v1/hosts",
        "/api/v1/hosts/halt",
        "/api/v1/events",
        "/api/v1/logs",
    }


def test_an_engine_that_is_away_is_said_and_the_last_look_stays(served: Served, client: Client) -> None:
    before = client.get("/api/v1/fleet")[2]
    served.error = EngineUnreachable("the Docker Engine does not answer")
    served.look()
    after = client.get("/api/v1/fleet")[2]
    assert after["error"] == "the Docker Engine does not answer"
    assert after["looked_at"] == before["looked_at"]
    assert after["counts"] == before["counts"]
    served.error = None
    served.look()
    assert client.get("/api/v1/fleet")[2]["error"] is None


def test_a_bug_in_a_look_is_said_and_the_looks_go_on(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/api/v1/fleet")
    monkeypatch.setattr(served, "rows", None)
    served.look()
    assert client.get("/api/v1/fleet")[2]["error"].startswith("this is a bug in botfleet (TypeError")
    monkeypatch.undo()
    served.look()
    assert client.get("/api/v1/fleet")[2]["error"] is None


def test_a_slow_engine_leaves_the_old_look_on_the_page(served: Served, client: Client) -> None:
    before = client.get("/api/v1/fleet")[2]
    served.pause.clear()
    served.backend._looked_at -= 3600
    began = time.monotonic()
    assert client.get("/api/v1/fleet")[2]["looked_at"] == before["looked_at"]
    assert time.monotonic() - began < 8
    served.pause.set()


# who is refused


@pytest.mark.parametrize("path", ROUTES)
def test_without_a_session_nothing_is_said(steady: Served, reader: Client, path: str) -> None:
    for cookie, token in (("", ""), (reader.cookie, ""), ("", reader.token), (reader.cookie, "x")):
        stranger = Client(steady)
        stranger.cookie, stranger.token = cookie, token
        status, headers, problem = stranger.get(path)
        assert status == 401
        assert headers["content-type"] == "application/problem+json"
        assert "bp_sol_01" not in json.dumps(problem)


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/texts/en", *ROUTES])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8800",
        "localhost.evil.example",
        "192.168.0.7",
        "",
        "127.0.0.1.evil.example",
        "[::2]:80",
    ],
)
def test_another_name_that_leads_here_is_refused(reader: Client, path: str, host: str) -> None:
    assert reader.get(path, Host=host or " ")[0] in {400, 421}


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8800"])
def test_a_forwarded_port_is_ours(reader: Client, host: str) -> None:
    assert reader.get("/api/v1/fleet", Host=host)[0] == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", *ROUTES])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:5001", "https://{host}", "http://localhost"]
)
def test_another_origin_is_refused_also_a_bots_own_page(reader: Client, path: str, origin: str) -> None:
    assert reader.get(path, Origin=origin.format(host=reader.host))[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_of_another_sites_page_is_refused(reader: Client, site: str) -> None:
    assert reader.get("/api/v1/fleet", **{"Sec-Fetch-Site": site})[0] == 403


def test_two_hosts_are_refused(steady: Served) -> None:
    with socket.create_connection(("127.0.0.1", steady.port), 10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert raw.recv(100).split()[1] in {b"400", b"421"}


def test_a_websocket_is_refused(steady: Served, reader: Client) -> None:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x" * 22 + "==",
    }
    status, _headers, _body = reader.get("/api/v1/events-of-another-kind", **upgrade)
    assert status in {400, 403, 404}


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/page/main.js", "/page/nothing.js", "/api/v1/fleet", "/nothing"]
)
def test_every_answer_is_hardened(steady: Served, reader: Client, path: str) -> None:
    for one in (reader, Client(steady)):
        _status, headers, _body = one.get(path)
        assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
        assert headers["cache-control"]
        assert "server" not in headers


def test_the_apis_document_is_shown_by_what_this_server_has(steady: Served) -> None:
    """FastAPI's own page loads its script from elsewhere, which our policy forbids."""
    status, headers, body = Client(steady).get("/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', body.decode())
    assert "/page/docs.js" in loaded
    assert [path for path in loaded if Client(steady).get(path)[0] != 200] == []


@pytest.mark.parametrize("name", ["../api.py", "..%2fapi.py", "%2e%2e/api.py", "index.html", "", "main.js/"])
def test_no_path_leads_out_of_the_page(reader: Client, name: str) -> None:
    status, _headers, body = reader.get(f"/page/{name}")
    assert status in {404, 307}
    assert b"import" not in (body if isinstance(body, bytes) else b"")


def test_the_cookie_is_for_this_server_alone(steady: Served) -> None:
    link = steady.links[-1]
    status, headers, _body = Client(steady).call(
        "POST", "/api/v1/session", {"link": link.partition("#link=")[2]}, {"Origin": steady.url}
    )
    assert status == 200
    parts = {part.strip().partition("=")[0].lower() for part in headers["set-cookie"].split(";")}
    assert {"httponly", "samesite", "path", "max-age"} <= parts
    assert "domain" not in parts
    assert "samesite=strict" in headers["set-cookie"].lower()


def test_a_link_works_once_and_a_new_one_is_made(served: Served) -> None:
    link = served.links[-1]
    assert Client(served).sign_in(link) == 200
    assert Client(served).sign_in(link) == 403
    assert len(served.links) == 2
    assert Client(served).sign_in(served.links[-1]) == 200


NONCE = "0123456789abcdefghij"


def test_a_browser_whose_answer_got_lost_asks_again_with_its_nonce(served: Served) -> None:
    secret, store = served.links[-1].partition("#link=")[2], served.app_state.session_store
    first, again = Client(served), Client(served)
    assert [one.sign_in_by(link=secret, nonce=NONCE) for one in (first, again)] == [200, 200]
    assert (first.cookie, first.token) == (again.cookie, again.token)
    assert (len(store._sessions), len(served.links)) == (1, 2)
    assert again.get("/api/v1/fleet")[0] == 200
    for nonce in ("", NONCE[:-1], NONCE + "x", NONCE.upper()):
        assert Client(served).sign_in_by(link=secret, nonce=nonce) == 403, "another party, with the link"
    for link in ("", secret[:-1], secret + "x", served.links[-1].partition("#link=")[2][:-1]):
        assert Client(served).sign_in_by(link=link, nonce=NONCE) == 403, "the nonce alone opens nothing"
    first.call("DELETE", "/api/v1/session", {})
    assert Client(served).sign_in_by(link=secret, nonce=NONCE) == 403, "who has signed out stays out"
    assert store._sessions == {}


@pytest.mark.parametrize("nonce", ["", "short", "x" * 19])
def test_a_nonce_that_can_be_guessed_is_none(served: Served, nonce: str) -> None:
    secret = served.links[-1].partition("#link=")[2]
    assert [Client(served).sign_in_by(link=secret, nonce=nonce) for _time in range(2)] == [200, 403]


def test_a_nonce_is_good_for_a_minute(served: Served) -> None:
    at, secret = [1000.0], served.links[-1].partition("#link=")[2]
    links = api_session.LinkSignIns(served.app_state, lambda: at[0])
    made = links.session_of(secret, NONCE)
    at[0] += api_session.SAME_NONCE_S - 1
    assert links.session_of(secret, NONCE) == made is not None
    at[0] += 1
    assert links.session_of(secret, NONCE) is None
    assert links._made == {}, "its secrets are kept no longer"


def test_who_waits_behind_a_flood_of_links_is_told_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine side answers nobody, each would keep a thread for a minute, one after another."""
    asked, go_on, really = threading.Event(), threading.Event(), served.app_state.link.ask

    def ask(verb: str, **params: Any) -> Any:
        if verb == "redeem":
            asked.set()
            assert go_on.wait(60)
        return really(verb, **params)

    monkeypatch.setattr(served.app_state.link, "ask", ask)
    monkeypatch.setattr(protocol, "ANSWER_WITHIN_S", 0.05)
    with ThreadPoolExecutor(1) as threads:
        try:
            first = threads.submit(Client(served).sign_in_by, link="x" * 43)
            assert asked.wait(60)
            assert [Client(served).sign_in_by(link="x" * 43) for _number in range(3)] == [503] * 3
            monkeypatch.undo()
        finally:
            go_on.set()
        assert first.result(60) == 403


@pytest.mark.parametrize("is_same", [True, False])
def test_of_many_at_once_only_one_browser_comes_in(served: Served, is_same: bool) -> None:
    """The second request comes while the first one has used the link up, and is not answered yet."""
    secret, clients = served.links[-1].partition("#link=")[2], [Client(served) for _number in range(8)]
    begun = threading.Barrier(len(clients))
    redeem = served.backend.redeem

    def slow(link: str) -> bool:
        is_first = redeem(link)
        threading.Event().wait(0.05)
        return is_first

    served.backend.redeem = slow

    def ask(number: int) -> int:
        begun.wait(60)
        nonce = NONCE if is_same else f"{NONCE}{number}"
        return clients[number].sign_in_by(link=secret, nonce=nonce)

    with ThreadPoolExecutor(len(clients)) as threads:
        codes = sorted(threads.map(ask, range(len(clients))))
    assert codes == ([200] * 8 if is_same else [200, *[403] * 7])
    assert len({client.cookie for client in clients if client.cookie}) == 1
    assert len(served.app_state.session_store._sessions) == 1


def test_a_server_that_has_ended_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", quote="USDC")]) as running:
        reader = signed_in(running)
        assert reader.get("/api/v1/fleet")[0] == 200
        assert reader.call("POST", "/api/v1/halt", {"confirm": "no"})[0] == 422
        assert reader.get("/api/v1/actions")[0] == 200
        assert set(threading.enumerate()) - before
    eventually(lambda: not set(threading.enumerate()) - before, what="the end of its threads")


def test_another_site_cannot_use_up_a_link(served: Served) -> None:
    client, link = Client(served), served.links[-1]
    secret = {"link": link.partition("#link=")[2]}
    assert client.call("POST", "/api/v1/session", secret, {"Origin": "http://evil.example"})[0] == 403
    assert client.sign_in(link) == 200


@pytest.mark.parametrize("body", [{}, {"link": 1}, {"link": "x" * 1000}, [], "x"])
def test_a_sign_in_that_is_none_is_a_problem(steady: Served, body: Any) -> None:
    status, headers, _problem = Client(steady).call("POST", "/api/v1/session", body)
    assert status in {403, 422}
    assert headers["content-type"] == "application/problem+json"


def test_a_body_without_end_is_refused(reader: Client) -> None:
    assert reader.call("POST", "/api/v1/session", {"link": "x" * 100_000})[0] == 413


def test_signing_out_ends_the_session(client: Client) -> None:
    assert client.call("DELETE", "/api/v1/session", {})[0] == 204
    assert client.get("/api/v1/fleet")[0] == 401


# events


class Stream:
    """An open stream of events."""

    def __init__(self, client: Client, last_id: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        headers = {"Host": client.host, "Cookie": client.cookie, "X-Botfleet-Token": client.token}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.answer = self.connection.getresponse()

    def next(self) -> dict[str, str]:
        """The next event's fields."""
        fields: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                return fields
            if ": " in line:
                name, _colon, value = line.partition(": ")
                fields[name] = value

    def close(self) -> None:
        self.connection.close()


def test_events_tell_what_changes_and_go_on_where_a_reader_was(served: Served, client: Client) -> None:
    event = client.get("/api/v1/instances")[2]["event"]
    stream = Stream(client, event)
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    served.rows[0] = a_bot("bp_sol_01", **{**LIVE, "pnl": "11"})
    served.look()
    changed: dict[str, Any] = {}
    while "bp_sol_01" not in changed:
        first = stream.next()
        changed = json.loads(first["data"])["changed"]
    assert changed["bp_sol_01"]["pnl"] == "11"
    assert "symbol" not in changed["bp_sol_01"]
    stream.close()
    served.rows.pop()
    served.look()
    again = Stream(client, first["id"])
    while not (removed := json.loads(again.next()["data"])["removed"]):
        pass
    assert removed == ["bp_old_01"]
    again.close()


def test_a_reader_of_another_server_is_told_to_begin_anew(reader: Client) -> None:
    stream = Stream(reader, "0badcafe-7")
    assert stream.next()["event"] == "reset"
    stream.close()


def test_a_stream_ends_with_its_session(client: Client) -> None:
    stream = Stream(client)
    ended = threading.Event()

    def read() -> None:
        while stream.answer.readline():
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert client.call("DELETE", "/api/v1/session", {})[0] == 204
    assert ended.wait(10)


def test_a_server_ends_although_somebody_listens(tmp_path: Path) -> None:
    with serving(tmp_path, [a_bot("bp_sol_01", **LIVE)]) as running:
        client = signed_in(running)
        stream = Stream(client)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    stream.close()


def test_without_the_engine_side_the_last_that_a_page_was_told_remains(
    tmp_path: Path,
) -> None:
    """Not what it was when somebody last opened the page: that may be hours ago."""
    with serving(
        tmp_path, [a_bot("bp_sol_01", pnl="1", quote="USDC"), a_bot("bp_old_01", pnl="1", quote="USDC")]
    ) as served:
        client = signed_in(served)
        english = {"Accept-Language": "en"}
        assert client.get("/api/v1/fleet", **english)[0] == 200
        event = client.get("/api/v1/instances", **english)[2]["event"]
        served.rows = [a_bot("bp_sol_01", pnl="2", quote="USDC")]
        served.look()
        with i18n.speaking("en"):
            told = asyncio.run(served.app_state.link.events(event))
            asyncio.run(served.app_state.link.events(event))  # another reader's turn changes nothing
        served.listener.shutdown()
        served.listener.server_close()
        (served.fleet.project_dir / "engine.sock").unlink(missing_ok=True)
        [member] = client.get("/api/v1/instances", **english)[2]["instances"]
        assert (member["id"], member["pnl"]) == ("bp_sol_01", "2")
        fleet = client.get("/api/v1/fleet", **english)[2]
        assert fleet["looked_at"] == told["events"][-1]["data"]["fleet"]["looked_at"]
        assert "does not answer now" in fleet["error"]
