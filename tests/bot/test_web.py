"""What the web port answers: health, status, history, metrics, and who may change something."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gridbot.model.condition import TRADING, Code, Condition
from gridbot.runtime.shared_state import Health, SharedState
from gridbot.web import metrics, server
from tests.bot.bots import GRID, Bot

TOKEN = "s3cret"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    started = Bot(tmp_path_factory.mktemp("web"), (*GRID, "--interval", "0.2"), {"BOT_WEB_TOKEN": TOKEN})
    started.wait_healthy()
    started.wait_for(lambda: started.status().get("open_orders"))
    yield started
    started.kill()


def ask(bot: Bot, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", bot.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_health_is_what_the_contract_says(bot: Bot) -> None:
    code, body = bot.get("/health")
    assert code == 200
    assert body == {
        "status": "healthy",
        "running": True,
        "timestamp": body["timestamp"],
        "condition": {"code": "trading", "params": {"refused_orders": 0}},
    }
    assert abs(body["timestamp"] - time.time()) < 5


@pytest.mark.parametrize("path", ["/health/detailed", "/api/status"])
def test_status_tells_all(bot: Bot, path: str) -> None:
    code, body = bot.get(path)
    assert code == 200
    assert body["healthy"] is True
    assert body["uptime"] > 0
    assert time.time() - body["last_tick"] < 5
    assert (body["mode"], body["source"], body["symbol"]) == ("paper", "synthetic", "SOL_USDC_PERP")
    assert len(body["open_orders"]) >= 18
    assert set(body["open_orders"][0]) >= {"side", "price", "quantity", "filled", "client_id", "state"}
    for amount in ("price", "position", "pnl", "realized", "unrealized", "fees", "average_price"):
        float(body[amount])
    assert body["errors"] == []
    assert body["errors_total"] == 0
    assert TOKEN not in json.dumps(body)


def test_history_is_thinned_and_of_this_run(bot: Bot) -> None:
    bot.wait_for(lambda: len(bot.get("/api/history?hours=1")[1]["points"]) >= 2)
    code, body = bot.get("/api/history?hours=0.5")
    assert code == 200
    assert body["from"] < body["to"]
    assert all(low <= price <= high for _, price, low, high, _, _ in body["points"])
    assert [code for code, _ in (bot.get("/api/trades?limit=3"), bot.get("/api/errors"))] == [200, 200]


@pytest.mark.parametrize(
    "path", ["/api/history?hours=x", "/api/trades?limit=many", "/api/trades?before=later"]
)
def test_nonsense_is_a_400(bot: Bot, path: str) -> None:
    assert bot.get(path)[0] == 400


@pytest.mark.parametrize(
    "path", ["/nothing", "/../run.py", "/page/../server.py", "/%2e%2e/server.py", "/server.py"]
)
def test_nothing_else_is_served(bot: Bot, path: str) -> None:
    assert bot.get(path)[0] == 404


def test_headers_keep_strangers_out(bot: Bot) -> None:
    for path in ("/", "/page.js", "/api/status", "/metrics", "/nothing"):
        _, headers, _ = ask(bot, "GET", path)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert "Python" not in headers["Server"]
        assert "Access-Control-Allow-Origin" not in headers


def test_the_page_asks_nobody_else(bot: Bot) -> None:
    for path in server.FILES:
        code, _, body = ask(bot, "GET", path)
        assert code == 200
        assert not re.search(rb"(?<!xmlns=.)https?://(?!www\.w3\.org/)|url\(", body.replace(b"url(#", b""))


def test_head_has_no_body(bot: Bot) -> None:
    code, headers, body = ask(bot, "HEAD", "/health")
    assert (code, body) == (200, b"")
    assert int(headers["Content-Length"]) > 20


# who may change something


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": "Bearer ä"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "rebound.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1.example:80"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "https://other.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "null"}, 403),
    ],
)
def test_a_change_needs_the_token_and_no_stranger(bot: Bot, headers: dict[str, str], code: int) -> None:
    assert ask(bot, "POST", "/api/stop", **headers)[0] == code
    assert bot.process.poll() is None
    assert bot.status()["paused"] is False


def test_get_changes_nothing(bot: Bot) -> None:
    for path in ("/api/stop", "/api/pause"):
        assert ask(bot, "GET", path, Authorization=f"Bearer {TOKEN}")[0] == 404
    assert bot.status()["paused"] is False


def test_pause_and_resume(bot: Bot) -> None:
    allowed = {"Authorization": f"Bearer {TOKEN}", "Origin": f"http://127.0.0.1:{bot.port}"}
    assert ask(bot, "POST", "/api/pause", **allowed)[0] == 202
    bot.wait_for(lambda: bot.status()["paused"] and not bot.status()["open_orders"])
    assert bot.get("/health")[0] == 200
    assert ask(bot, "POST", "/api/resume", **allowed, Host=f"localhost:{bot.port}")[0] == 403
    assert ask(bot, "POST", "/api/resume", **allowed)[0] == 202
    bot.wait_for(lambda: not bot.status()["paused"] and bot.status()["open_orders"])


def test_without_a_token_it_is_read_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    bot = Bot(tmp_path_factory.mktemp("readonly"), GRID, {})
    try:
        bot.wait_healthy()
        for header in ("Bearer ", "Bearer None", "Bearer"):
            assert ask(bot, "POST", "/api/stop", Authorization=header)[0] == 403
        assert bot.status()["controls"] is False
    finally:
        bot.kill()


def test_a_pause_outlives_a_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("paused")
    bot = Bot(folder, (*GRID, "--interval", "0.2"), {"BOT_WEB_TOKEN": TOKEN})
    bot.wait_healthy()
    assert ask(bot, "POST", "/api/pause", Authorization=f"Bearer {TOKEN}")[0] == 202
    bot.wait_for(lambda: bot.status()["paused"])
    bot.kill()
    bot = Bot(folder, (*GRID, "--interval", "0.2"), {})
    try:
        bot.wait_healthy()
        time.sleep(0.5)
        assert (bot.status()["paused"], bot.status()["open_orders"]) == (True, [])
    finally:
        bot.kill()


def test_idle_connections_do_not_take_the_port(bot: Bot) -> None:
    held = [socket.create_connection(("127.0.0.1", bot.port)) for _ in range(40)]
    bot.wait_for(lambda: bot.get("/health")[0] == 200, within=15)
    for one in held:
        one.close()


def test_clients_that_send_byte_by_byte_do_not_keep_health_out(bot: Bot) -> None:
    held: list[socket.socket] = []
    try:
        for _ in range(48):
            held.append(socket.create_connection(("127.0.0.1", bot.port)))
            held[-1].sendall(b"GET /health HTTP/1.0\r\nX: ")
        for _ in range(5):
            assert ask(bot, "GET", "/health")[0] == 200
    finally:
        for one in held:
            one.close()


@pytest.fixture(scope="module")
def open_bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot that listens as in its container: on every address."""
    started = Bot(tmp_path_factory.mktemp("open"), (*GRID, "--interval", "0.2"), {"WEB_HOST": "0.0.0.0"})
    started.wait_healthy()
    yield started
    started.kill()


SLOW = {
    "silent": b"",
    "in the middle of a header": b"GET /health HTTP/1.0\r\nX: ",
    "in the middle of a body": b"POST /api/pause HTTP/1.0\r\nContent-Length: 99\r\n\r\n",
    "reading nothing": b"GET / HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.1"])
def test_slow_clients_do_not_keep_the_supervisors_probe_out(open_bot: Bot, source: str, sent: bytes) -> None:
    """48 of them, each back as soon as it is disconnected: from outside of the container, and inside."""
    over = threading.Event()
    threads = [
        threading.Thread(target=hold, args=(open_bot.port, source, sent, over), daemon=True)
        for _ in range(48)
    ]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        answers = []
        for _ in range(20):
            answers.append(open_bot.get("/health")[0])
            time.sleep(0.1)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert answers == [200] * 20


def hold(port: int, source: str, sent: bytes, over: threading.Event) -> None:
    """Be a slow client again and again."""
    while not over.is_set():
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.settimeout(5)
            try:
                client.bind((source, 0))
                client.connect(("127.0.0.1", port))
                client.sendall(sent)
                while not over.wait(0.2):
                    if "GET / " not in sent.decode():
                        client.sendall(b"x")
            except OSError:
                continue


def test_a_request_has_a_total_time(bot: Bot) -> None:
    with socket.create_connection(("127.0.0.1", bot.port)) as slow:
        slow.sendall(b"GET /health HTTP/1.0\r\nX: ")
        slow.settimeout(0.2)
        began, answer = time.monotonic(), None
        while answer is None and time.monotonic() - began < 15:
            try:
                slow.sendall(b"x")
                answer = slow.recv(1)
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/health", "/api/trades", "/api/status", "/metrics"])
def test_a_foreign_name_reads_nothing(bot: Bot, method: str, path: str) -> None:
    names = ("rebound.example", "127.0.0.1.example:80", "localhost.example", "[", "rebound.example.", "")
    for host in (
        *names,
        "127.0.0.1:80.rebound.example",
        "rebound.example@127.0.0.1",
        "127.0.0.1/",
        "localhost:x",
    ):
        code, _, body = ask(bot, method, path, Host=host)
        assert (code, b"trading" in body) == (403, False), host


def test_a_foreign_name_beside_ours_reads_nothing(bot: Bot) -> None:
    for hosts in (("127.0.0.1", "rebound.example"), ("rebound.example", "127.0.0.1")):
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        with socket.create_connection(("127.0.0.1", bot.port)) as asking:
            asking.sendall(f"GET /api/status HTTP/1.1\r\n{lines}\r\n".encode())
            assert asking.recv(1000).split()[1] == b"403"


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "[::1]:5001", "10.0.0.7:5001", "bp_sol_01:5001"]
)
def test_addresses_and_local_names_are_answered(bot: Bot, host: str) -> None:
    assert ask(bot, "GET", "/health", Host=host)[0] == 200


# health


def shared_state(monkeypatch: pytest.MonkeyPatch, interval: float) -> tuple[SharedState, list[float]]:
    now = [100.0]
    monkeypatch.setattr("gridbot.runtime.shared_state.time.monotonic", lambda: now[0])
    return SharedState(interval), now


def test_the_loop_must_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, now = shared_state(monkeypatch, interval=4)
    assert shared.health() == Health("starting", "starting")
    assert not shared.health().is_running
    shared.record_tick()
    shared.has_begun = True
    shared.condition = TRADING
    assert shared.health() == Health("healthy")
    now[0] += 12
    assert shared.health() == Health("healthy")
    now[0] += 0.1
    assert shared.health() == Health("unhealthy", "the trading loop has not ticked for 12 s")
    shared.record_tick()
    now[0] += 8
    shared.record_tick()
    assert shared.health() == Health("healthy")
    shared.finished = True
    assert shared.health() == Health("unhealthy", "stopping")


def test_a_call_that_may_still_be_answered_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, now = shared_state(monkeypatch, interval=1)
    shared.condition, shared.has_begun = TRADING, True
    shared.record_tick(busy_for=30)
    now[0] += 35
    assert shared.health() == Health("healthy")
    now[0] += 0.1
    assert shared.health().status == "unhealthy"
    shared.record_tick()
    now[0] += 5.1
    assert shared.health().status == "unhealthy"


@pytest.mark.parametrize("code", sorted(Code))
def test_an_outage_is_no_hang(monkeypatch: pytest.MonkeyPatch, code: Code) -> None:
    shared, now = shared_state(monkeypatch, interval=1)
    shared.record_tick()
    shared.condition, shared.has_begun = Condition(code, "why"), True
    degraded = code in ("exchange_away", "orders_refused", "ledger_differs")
    assert shared.health() == (Health("degraded", "why") if degraded else Health("healthy"))
    assert shared.health().is_running
    now[0] += 6
    assert shared.health().status == "unhealthy", "an outage doesn't excuse a loop that hangs"


@pytest.mark.parametrize("condition", [None, Condition(Code.EXCHANGE_AWAY, "why")])
def test_a_slow_start_is_no_hang(monkeypatch: pytest.MonkeyPatch, condition: Condition | None) -> None:
    """Also that of a bot whose exchange was away first, and now sends its markets slowly."""
    shared, now = shared_state(monkeypatch, interval=1)
    shared.condition = condition
    waiting = Health("starting", "starting") if condition is None else Health("degraded", "why")
    now[0] += 20
    shared.record_tick(busy_for=30)
    now[0] += 120
    assert shared.health() == waiting
    shared.record_tick()
    now[0] += 240
    assert shared.health() == waiting
    now[0] += 1
    assert shared.health() == Health("unhealthy", "the start has not got on for 241 s")


# metrics

SAMPLE = re.compile(
    r'^(gridbot_[a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$'
)


def parsed(text: str) -> dict[str, dict[str, Any]]:
    """Families by name, each announced by HELP and TYPE before its samples, and none twice."""
    families: dict[str, dict[str, Any]] = {}
    current = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, current, description = line.split(" ", 3)
            assert current not in families
            families[current] = {"help": description, "samples": []}
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current
            families[name]["type"] = kind
        else:
            match = SAMPLE.match(line)
            assert match, line
            assert match[1] == current
            families[match[1]]["samples"].append((match[2], float(match[3])))
    return families


def test_metrics(bot: Bot) -> None:
    code, headers, body = ask(bot, "GET", "/metrics")
    assert code == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert body.endswith(b"\n")
    families = parsed(body.decode())
    assert {family["type"] for family in families.values()} == {"gauge", "counter"}
    assert all((family["type"] == "counter") is name.endswith("_total") for name, family in families.items())
    assert all(family["help"] and family["samples"] for family in families.values())
    assert families["gridbot_healthy"]["samples"] == [(None, 1.0)]
    assert 'symbol="SOL_USDC_PERP"' in families["gridbot_info"]["samples"][0][0]
    assert sum(value for _, value in families["gridbot_open_orders"]["samples"]) >= 18


def test_metrics_before_the_first_tick_and_with_odd_names() -> None:
    assert set(parsed(metrics.render({"healthy": False, "uptime": 0.1, "errors_total": 0}))) == {
        "gridbot_healthy",
        "gridbot_uptime_seconds",
        "gridbot_errors_total",
        "gridbot_resident_memory_bytes",
    }
    text = metrics.render({"instance": 'a"b\\c\nd', "healthy": True})
    assert 'instance="a\\"b\\\\c\\nd"' in text
    parsed(text)
