"""What an attacker tries: another site, another name, another program, guesses, paths, injected HTML."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from manager.web import access, protocol
from manager.web.access import Access, Role
from manager.web.address import Reach
from manager.web.engine_side import verbs
from manager.web.engine_side.backend import Backend
from manager.web.engine_side.listener import Listener
from manager.web.web_side import api_session, connections, guard, streams
from manager.web.web_side.attempts import FREE, FREE_OF_ALL, LONGEST_S, Attempts
from tests.web.served import COOKIE, Client, Served, a_bot, serving, signed_in

PASSWORD = "correct horse battery"
READ, HALT = "only for looking", "only for the worst case"
HTML = "<img src=x onerror=alert(1)>"


def some_access() -> tuple[Access, dict[Role, str]]:
    known, tokens = Access(), dict[Role, str]()
    passwords: dict[Role, str] = {"operate": PASSWORD, "read": READ, "halt": HALT}
    for role, password in passwords.items():
        known = access.with_password(known, role, password)
        known, tokens[role] = access.with_token(known, f"program-{role}", role)
    return known, tokens


KNOWN, TOKENS = some_access()


def bots() -> list[Any]:
    return [
        a_bot("bp_sol_01", pnl="1", quote="USDC"),
        a_bot("bp_btc_01", mode="paper", pnl="1", quote=HTML, base=HTML),
    ]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, bots(), KNOWN) as running:
        running.fleet.state_dir.mkdir(parents=True)
        yield running


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that change nothing."""
    with serving(tmp_path_factory.mktemp("steady"), bots(), KNOWN) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "192.168.1.4"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Botfleet-Token": "x"}, 401),
        ({"X-Botfleet-Token": ""}, 401),
        ({"Cookie": "botfleet-test=x"}, 401),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/events"), ("POST", "/api/v1/halt"), ("DELETE", "/api/v1/session")]
)
def test_another_site_reaches_nothing(
    steady: Served, headers: dict[str, str], status: int, method: str, path: str
) -> None:
    client = signed_in(steady)
    body = None if method == "GET" else {"confirm": "halt"}
    assert client.call(method, path, body, headers)[0] == status
    assert client.get("/api/v1/actions")[2] == []


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:5001", "null", None])
def test_no_upgrade_to_a_websocket_is_taken(steady: Served, origin: str | None) -> None:
    client = signed_in(steady)
    with socket.create_connection(("127.0.0.1", steady.port), timeout=60) as connection:
        lines = [
            "GET /api/v1/events HTTP/1.1",
            f"Host: {client.host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *([f"Origin: {origin}"] if origin else []),
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        status = connection.recv(1000).split()[1]
    assert status in {b"401", b"403"}


@pytest.mark.parametrize(
    "others",
    [
        """prefs={"theme": "dark"}""",  # many pages keep this, and Python's own reader of cookies stops at it
        'a="',
        "=; é=ü; ;;; x",
        "botfleet-test=tossed",
        "; ".join("botfleet-test=tossed" for _ in range(5)),
        "Botfleet-Test=tossed; expires=never; path=/",
    ],
)
def test_what_a_bots_page_keeps_in_cookies_signs_nobody_out(steady: Served, others: str) -> None:
    """A browser sends the cookies of a bot's page, at another port of this machine, to this one too."""
    client = signed_in(steady)
    for cookies in (f"{others}; {client.cookie}", f"{client.cookie}; {others}"):
        assert client.get("/api/v1/fleet", Cookie=cookies.encode().decode("latin-1"))[0] == 200


def test_no_page_can_be_framed_and_the_cookie_is_closed_to_scripts_and_sites(served: Served) -> None:
    client = Client(served)
    _status, headers, _body = client.get("/")
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    _status, headers, _body = client.call("POST", "/api/v1/session", {"password": PASSWORD})
    assert "httponly" in headers["set-cookie"].lower()
    assert "samesite=strict" in headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "path", ["/", "/page/main.js", "/api/v1/fleet", "/metrics", "/texts/en", "/nothing", "/api/v1/session"]
)
def test_every_answer_forbids_frames_sniffing_and_other_sites(steady: Served, path: str) -> None:
    _status, headers, _body = signed_in(steady).get(path)
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_of_another_site_can_send_is_no_command(steady: Served, kind: str) -> None:
    """A browser sends these without asking first, with the cookie where SameSite is not known."""
    client = signed_in(steady)
    forged = {"Content-Type": kind, "X-Botfleet-Token": ""}
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"}, forged)[0] == 401
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"}, {**forged, "Origin": "null"})[0] == 403
    assert client.get("/api/v1/actions")[2] == []


@pytest.mark.parametrize(
    "path",
    [
        "/page/../api.py",
        "/page/..%2f..%2faccess.py",
        "/page/%2e%2e/index.html",
        "/page//etc/passwd",
        "/texts/../../../etc/passwd",
        "/texts/..%2f..%2fmanager",
        "/..%2f..%2fetc/passwd",
        "/page/page.css%00.js",
    ],
)
def test_no_path_leads_out(steady: Served, path: str) -> None:
    status, _headers, body = Client(steady).get(path)
    assert status == 404 or (status == 200 and path.startswith("/texts/") and isinstance(body, dict))


@pytest.mark.parametrize("instance", ["..%2f..%2fetc%2fpasswd", "%00", "a%0d%0aX-Evil:1", HTML, "x" * 300])
@pytest.mark.parametrize("suffix", ["", "/history", "/actions/stop"])
def test_no_id_leads_out_or_becomes_html(steady: Served, instance: str, suffix: str) -> None:
    path = f"/api/v1/instances/{instance.replace(' ', '%20')}{suffix}"
    status, headers, _body = signed_in(steady).get(path)
    assert status in {404, 422}
    assert headers["content-type"] in {"application/problem+json", "application/json"}
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-evil" not in headers


def test_html_of_a_bot_arrives_as_text_in_json(steady: Served) -> None:
    steady.look()
    _status, headers, answer = signed_in(steady).get("/api/v1/instances")
    assert headers["content-type"] == "application/json"
    assert HTML in json.dumps(answer)


# ---- guesses


def test_a_guesser_soon_waits_and_the_right_password_waits_too(served: Served) -> None:
    client = Client(served)
    statuses = [client.sign_in_by(password=f"wrong {number}") for number in range(FREE + 1)]
    assert statuses == [403] * FREE + [429]
    status, headers, _body = client.call("POST", "/api/v1/session", {"password": PASSWORD})
    assert status == 429
    time.sleep(int(headers["retry-after"]))
    assert client.sign_in_by(password=PASSWORD) == 200
    assert client.sign_in_by(password="wrong again") == 403


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_wrong_guess_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    clock, waits = Clock(), []
    attempts = Attempts(clock)
    for _number in range(FREE + 15):
        if wait := attempts.begin("a"):
            waits.append(wait)
            clock.now += wait
            assert attempts.begin("a") == 0
    assert waits[:4] == [4, 8, 16, 32]
    assert waits[-1] == LONGEST_S
    assert attempts.begin("b") == 0


def test_many_addresses_are_one_guesser() -> None:
    attempts = Attempts(Clock())
    assert all(attempts.begin(f"10.0.0.{number}") == 0 for number in range(FREE_OF_ALL))
    assert attempts.begin("10.1.1.1") > 0


def test_a_one_time_code_works_once(tmp_path: Path) -> None:
    known = KNOWN._replace(totp=access.new_totp())
    with serving(tmp_path, bots(), known) as served:
        client = Client(served)
        assert client.get("/api/v1/session")[2] == {"password": True, "code": True}
        assert client.sign_in_by(password=PASSWORD) == 403
        assert client.sign_in_by(password=PASSWORD, code="000000") == 403
        code = access.code(known.totp, int(time.time() // access.CODE_S))  # good for a minute and a half
        assert client.sign_in_by(password=PASSWORD, code=code) == 200
        assert client.sign_in_by(password=PASSWORD, code=code) == 403


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: f"{code[:3]} {code[3:]}",
        lambda code: "".join(chr(ord("０") + int(digit)) for digit in code),
    ],
    ids=["as programs show it", "full width"],
)
def test_a_one_time_code_is_read_however_it_is_typed(tmp_path: Path, typed: Callable[[str], str]) -> None:
    known = KNOWN._replace(totp=access.new_totp())
    with serving(tmp_path, bots(), known) as served:
        code = access.code(known.totp, int(time.time() // access.CODE_S))
        assert Client(served).sign_in_by(password=PASSWORD, code=typed(code)) == 200


def test_no_code_tells_whether_the_password_is_right(tmp_path: Path) -> None:
    """One that was not of ASCII was a bug with the right password, and a refusal with a wrong one."""
    with serving(tmp_path, bots(), KNOWN._replace(totp=access.new_totp())) as served:
        answers = [Client(served).sign_in_by(password=tried, code="é") for tried in (PASSWORD, "wrong")]
        assert answers == [403, 403]


def test_a_clock_that_was_set_back_locks_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, now = KNOWN._replace(totp=access.new_totp()), [1_800_000_000.0]
    monkeypatch.setattr(api_session, "time", SimpleNamespace(time=lambda: now[0]))

    def sign_in() -> int:
        return client.sign_in_by(
            password=PASSWORD, code=access.code(known.totp, int(now[0] // access.CODE_S))
        )

    with serving(tmp_path, bots(), known) as served:
        client = Client(served)
        assert (sign_in(), sign_in()) == (200, 403)
        now[0] -= 3600
        assert (sign_in(), sign_in()) == (200, 403)


def test_codes_are_those_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert [access.code(secret, now // 30) for now in (59, 1111111109, 20000000000)] == [
        "287082",
        "081804",
        "353130",
    ]


# ---- roles and programs


@pytest.mark.parametrize(
    ("password", "may_act", "may_halt"), [(READ, False, False), (HALT, False, True), (PASSWORD, True, True)]
)
def test_a_role_may_what_it_says(served: Served, password: str, may_act: bool, may_halt: bool) -> None:
    client = Client(served)
    assert client.sign_in_by(password=password) == 200
    assert client.get("/api/v1/fleet")[0] == 200
    acted = client.call("POST", "/api/v1/instances/bp_btc_01/actions", {"verb": "stop"})[0]
    halted = client.call("POST", "/api/v1/halt", {"confirm": "halt"})[0]
    assert (acted, halted) == (202 if may_act else 403, 202 if may_halt else 403)
    assert client.call("DELETE", "/api/v1/session", "")[0] == 204


NEEDS: dict[str, Role] = {
    "POST /api/v1/instances/{instance_id}/actions": "operate",
    "POST /api/v1/instances/{instance_id}/page": "operate",
    "POST /api/v1/halt": "halt",
    "POST /api/v1/hosts/halt": "halt",
}
"""Every other route of the document only looks."""


@pytest.mark.parametrize("role", ["read", "halt", "operate"])
@pytest.mark.parametrize("by_token", [True, False], ids=["token", "session"])
def test_every_route_asks_for_its_role(steady: Served, role: Role, by_token: bool) -> None:
    """Each request lacks what it would need to begin something, so a refused role alone is a 403."""
    client = Client(steady)
    headers = {"Authorization": f"Bearer {TOKENS[role]}"} if by_token else {}
    if not by_token:
        secrets = steady.app_state.session_store.open_session(role)
        client.cookie, client.token = f"{COOKIE}={secrets.cookie}", secrets.token
    paths = client.call("GET", "/api/v1/openapi.json", None, headers)[2]["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert {f"{method} {path}" for method, path in routes} > NEEDS.keys()
    for method, path in routes:
        if path.endswith(("/events", "/logs")):
            continue  # these do not end
        asked = path.format(instance_id="bp_sol_01", verb="stop", number=1)
        body = None if method == "GET" else {"verb": "stop"}
        status = client.call(method, asked, body, headers)[0]
        may = NEEDS.get(f"{method} {path}", "read") in access.PERMISSIONS[role]
        assert (status == 403) is not may, (method, path, status)
    assert steady.backend.actions.all() == []


@pytest.mark.parametrize(("role", "halted"), [("read", 403), ("halt", 202), ("operate", 202)])
def test_a_program_has_a_token_with_a_role(served: Served, role: Role, halted: int) -> None:
    program = {"Authorization": f"Bearer {TOKENS[role]}", "Cookie": "", "X-Botfleet-Token": ""}
    client = Client(served)
    assert client.call("GET", "/api/v1/fleet", None, program)[0] == 200
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"}, program)[0] == halted


@pytest.mark.parametrize("wrong", ["{}x", "{:.20}", "", "x", "botfleet_", "é"])
def test_a_wrong_token_is_none(steady: Served, wrong: str) -> None:
    headers = {"Authorization": f"Bearer {wrong.format(TOKENS['read'])}"}
    assert Client(steady).call("GET", "/api/v1/fleet", None, headers)[0] == 401


def test_no_password_opens_where_none_is_set(tmp_path: Path) -> None:
    with serving(tmp_path, bots()) as served:
        for password in ("", "x", PASSWORD):
            assert Client(served).sign_in_by(password=password) == 403


def test_the_file_has_no_password_and_no_token(tmp_path: Path) -> None:
    access.save(tmp_path / "access.json", KNOWN)
    content = (tmp_path / "access.json").read_text()
    assert not any(secret in content for secret in (PASSWORD, READ, HALT, *TOKENS.values()))
    assert (tmp_path / "access.json").stat().st_mode & 0o777 == 0o600
    assert access.load(tmp_path / "access.json") == KNOWN


# ---- no HTTP


def test_who_speaks_no_http_fills_no_log(capfd: pytest.CaptureFixture[str], served: Served) -> None:
    """`serve` runs for months, and its log has no limit."""
    for sent in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000):
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
            connection.sendall(sent + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while connection.recv(4096):
                    pass
    assert capfd.readouterr().err == ""


# ---- other addresses


def test_only_the_named_proxy_connects_and_says_who_asks(tmp_path: Path) -> None:
    proxies = [ipaddress.ip_network("127.0.0.1")]
    reach = Reach(False, "https", frozenset({"fleet.example"}), proxies)
    with serving(tmp_path, bots(), KNOWN, reach) as served:
        client = Client(served)
        client.host = "fleet.example"
        origin = {"Origin": "https://fleet.example", "X-Forwarded-For": "6.6.6.6, 203.0.113.7"}
        status, headers, _body = client.call("POST", "/api/v1/session", {"password": PASSWORD}, origin)
        assert status == 200
        assert "secure" in headers["set-cookie"].lower()
        assert "strict-transport-security" in headers
        plain = {"Origin": "http://fleet.example"}
        assert client.call("POST", "/api/v1/session", {"password": PASSWORD}, plain)[0] == 403
        for number in range(FREE + 1):
            forged = {"X-Forwarded-For": f"1.1.1.{number}, 203.0.113.8"}
            status, _headers, _body = client.call("POST", "/api/v1/session", {"password": "wrong"}, forged)
        assert status == 429
    reach = reach._replace(proxies=[ipaddress.ip_network("10.0.0.0/8")])
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other", bots(), KNOWN, reach) as served:
        assert Client(served).get("/")[0] == 403


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("fleet.example", True),
        ("FLEET.example:8800", True),
        ("192.168.1.4:1", True),
        ("[2001:db8::1]:1", True),
        ("localhost", True),
        ("evil.example", False),
        ("fleet.example.evil.example", False),
        ("192.168.1.4.evil.example", False),
        ("[::1].evil.example", False),
        ("[::1]x:80", False),
        ("[::1", False),
    ],
)
def test_beyond_loopback_names_are_named_and_digits_cannot_be_rebound(host: str, is_ours: bool) -> None:
    assert Reach(False, "https", frozenset({"fleet.example"})).is_ours(host) is is_ours


# ---- the socket between the sides


def asked(served: Served, raw: bytes) -> Any:
    path = f"/proc/self/fd/{served._folder}/engine.sock"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
    return json.loads(answer) if answer else None


@pytest.mark.parametrize(
    "question",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"[" * 60000 + b"\n",
        protocol.question("exec", "en", {"command": "id"}),
        protocol.question("__class__", "en", {}),
        protocol.question("fleet", "../../etc", {}),
        protocol.line({"verb": ["fleet"], "language": "en", "params": {}}),
        protocol.line({"verb": "fleet", "language": "en", "params": []}),
    ],
)
def test_the_engine_side_has_a_closed_list_of_verbs(steady: Served, question: bytes) -> None:
    assert asked(steady, question) == {"refusal": {"status": 400, "detail": ""}}


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("act", {"instance": "bp_btc_01", "verb": "down", "by": "x"}),
        ("act", {"instance": "bp_btc_01", "verb": "stop"}),
        ("act", {"instance": ["bp_btc_01"], "verb": "stop", "by": "x"}),
        ("act", {"instance": "x" * 999, "verb": "stop", "by": "x"}),
        ("question", {"instance": "bp_btc_01", "verb": "rm"}),
        ("history", {"instance": "bp_btc_01", "days": "30"}),
        ("history", {"instance": "bp_btc_01", "days": 1e999}),
        ("action", {"number": 10**400}),
        ("action", {"number": True}),
    ],
)
def test_the_engine_side_checks_every_parameter_itself(steady: Served, verb: str, params: Any) -> None:
    assert asked(steady, protocol.question(verb, "en", params))["refusal"]["status"] == 422
    assert steady.backend.actions.all() == []


def test_too_long_a_question_is_not_answered(steady: Served) -> None:
    assert asked(steady, b"x" * (protocol.MAX_QUESTION + 2)) is None


def test_another_users_process_gets_no_answer() -> None:
    """The peer is not this process's user: so this process is the stranger."""
    listener = Listener.__new__(Listener)
    listener._peer = os.geteuid() + 1
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert not listener.verify_request(ours, None)
        listener._peer = os.geteuid()
        assert listener.verify_request(ours, None)


def test_a_slow_client_holds_up_nobody(steady: Served) -> None:
    client = signed_in(steady)
    idle = [http.client.HTTPConnection("127.0.0.1", steady.port) for _ in range(20)]
    for connection in idle:
        connection.connect()
    assert client.get("/api/v1/fleet")[0] == 200
    for connection in idle:
        connection.close()


def is_ended(connection: socket.socket, within: float) -> bool:
    """Whether the server ends the connection, after what it may have answered."""
    connection.settimeout(within)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def opened(served: Served, sent: str = "") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port), 10)
    connection.sendall(sent.encode())
    return connection


HEAD = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    ["", "GET / HTTP/1.1\r\nX-a: ", f"GET /page/icon.svg HTTP/1.1\r\n{HEAD}\r\nGET / HT"],
    ids=["nothing", "half a head", "half a second head"],
)
def test_who_does_not_ask_is_not_waited_for(
    steady: Served, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)
    with opened(steady, sent) as slow:
        assert is_ended(slow, 4)


def test_a_stream_is_no_connection_that_asks_nothing(steady: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)
    client = signed_in(steady)
    sign = f"X-Botfleet-Token: {client.token}\r\nCookie: {client.cookie}\r\n"
    with opened(steady, f"GET /api/v1/events HTTP/1.1\r\n{HEAD}{sign}\r\n") as stream:
        assert not is_ended(stream, 2)


def test_a_body_that_does_not_come_is_not_waited_for(steady: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_WITHIN_S", 0.5)
    with opened(steady, f"POST /api/v1/session HTTP/1.1\r\n{HEAD}Content-Length: 60000\r\n\r\n{{") as slow:
        slow.settimeout(4)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
        assert is_ended(slow, 4)


def test_one_address_cannot_take_every_connection(steady: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ADDRESS", 10)
    client = signed_in(steady)
    held = [opened(steady) for _ in range(30)]
    try:
        assert [is_ended(connection, 0.3) for connection in held].count(False) <= 10
    finally:
        for connection in held:
            connection.close()

    def is_answered() -> bool:
        with suppress(OSError, http.client.HTTPException):
            return client.get("/api/v1/fleet")[0] == 200
        return False

    deadline = time.monotonic() + 10
    while not is_answered():
        assert time.monotonic() < deadline, "what is closed still counts"
        time.sleep(0.1)


def test_who_is_signed_in_is_answered_while_the_own_address_floods_the_page(
    steady: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some other program of the trader's machine, or of the same network behind one address."""
    monkeypatch.setattr(connections, "MOST_OF_ADDRESS", 10)
    client = signed_in(steady)
    sign = f"X-Botfleet-Token: {client.token}\r\nCookie: {client.cookie}\r\n"
    with opened(steady, f"GET /api/v1/events HTTP/1.1\r\n{HEAD}{sign}\r\n") as stream:
        assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
        slow = f"POST /api/v1/session HTTP/1.1\r\n{HEAD}Content-Length: 60000\r\n\r\n{{"
        held = [opened(steady, sent) for _ in range(15) for sent in ("", slow)]
        try:
            assert [client.get("/api/v1/fleet")[0] for _ in range(5)] == [200] * 5
            assert not is_ended(stream, 1)
            assert [is_ended(connection, 0.1) for connection in held].count(False) <= 9
        finally:
            for connection in held:
                connection.close()


def test_readers_of_streams_leave_room_for_who_may_halt(
    steady: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ROLE", 3)
    read, halt = ({"Authorization": f"Bearer {TOKENS[role]}"} for role in ("read", "halt"))

    def stream(program: dict[str, str]) -> tuple[http.client.HTTPConnection, int]:
        connection = http.client.HTTPConnection("127.0.0.1", steady.port, timeout=20)
        connection.request("GET", "/api/v1/events", headers=program)
        return connection, connection.getresponse().status

    held = [stream(read) for _ in range(5)]
    assert sorted(status for _connection, status in held) == [200, 200, 200, 503, 503]
    held.append(stream(halt))
    assert held[-1][1] == 200
    for connection, _status in held:
        connection.close()
    steady.look()  # a stream learns that its reader is gone when there is something to tell
    deadline = time.monotonic() + 15
    while (again := stream(read))[1] != 200:
        assert time.monotonic() < deadline, "what is closed still counts"
        again[0].close()
        time.sleep(0.2)
    again[0].close()


def test_streams_asked_for_at_once_are_no_more_than_one_after_the_other(
    steady: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There were twice as many: those of all roles took every answer of the engine side, a halt's as well."""
    monkeypatch.setattr(streams, "MOST_OF_ROLE", 3)
    request = f"GET /api/v1/events HTTP/1.1\r\n{HEAD}Authorization: Bearer {TOKENS['read']}\r\n\r\n"
    held = [opened(steady, "") for _ in range(60)]
    try:
        for connection in held:
            connection.sendall(request.encode())
        answers = []
        for connection in held:
            connection.settimeout(20)
            answers.append(connection.recv(12))
        assert [answers.count(b"HTTP/1.1 %d" % status) for status in (200, 503)] == [3, 57]
    finally:
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("path", "asked", "verb", "at_once"),
    [
        ("/api/v1/halt", "GET /api/v1/instances/bp_btc_01/history", "history", 40),
        ("/api/v1/hosts/halt", "GET /api/v1/instances/bp_btc_01/history", "history", 40),
        ("/api/v1/halt", "POST /api/v1/halt", "refused", 1),  # who may not halt asks for it
    ],
)
def test_a_halt_waits_for_nothing_that_others_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, asked: str, verb: str, at_once: int
) -> None:
    """With a hundred requests for a bot's history under way it took eight seconds."""
    go_on, begun, ended = threading.Event(), threading.Semaphore(0), []

    def slow(_backend: Backend, params: dict[str, Any]) -> Any:
        begun.release()
        go_on.wait(20)
        ended.append(params)
        raise protocol.Refusal(404)

    monkeypatch.setattr(verbs, "VERBS", {**verbs.VERBS, verb: slow})
    request_head = f"{asked} HTTP/1.1\r\n{HEAD}Content-Length: 0\r\n"
    with serving(tmp_path, bots(), KNOWN) as served:
        sign = {role: f"Bearer {TOKENS[role]}" for role in ("read", "halt")}
        readers = [opened(served, f"{request_head}Authorization: {sign['read']}\r\n\r\n") for _ in range(60)]
        try:
            assert all(begun.acquire(timeout=20) for _ in range(at_once))  # as many as there are threads
            halting = {"Authorization": sign["halt"]}
            answer = Client(served).call("POST", path, {"confirm": "halt"}, halting)
            assert (answer[0], ended) == (202, [])
            verdict = Client(served).call("GET", f"/api/v1/actions/{answer[2]['number']}", None, halting)
            assert (verdict[0], ended) == (200, [])
        finally:
            go_on.set()
            for reader in readers:
                reader.close()


def test_a_body_in_pieces_is_refused_also_beside_a_length(steady: Served) -> None:
    """Nobody had to be signed in: it was collected without limit, as the length beside it was believed."""
    request = (
        f"POST /api/v1/session HTTP/1.1\r\n{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with opened(steady, f"{request}5\r\n{{}}   \r\n") as connection:
        connection.settimeout(4)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "no HTTP at all\r\n\r\n",
        f"POST /api/v1/session HTTP/1.1\r\n{HEAD}Content-Length: 5\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_as_a_problem_too(steady: Served, sent: str) -> None:
    with opened(steady, sent) as connection:
        connection.settimeout(4)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.getheader("content-type")) == (400, "application/problem+json")
        assert json.loads(answer.read())["status"] == 400
        assert answer.getheader("x-frame-options") == "DENY"
        assert is_ended(connection, 4)
