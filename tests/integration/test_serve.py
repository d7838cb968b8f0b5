"""`manager serve` on a real engine: what it says of real bots, and its buttons, live on a local exchange."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import ports
from tests.fake_exchange.server import FakeExchange
from tests.integration.conftest import Project, eventually
from tests.integration.test_halt import everything, fake, live_project
from tests.web.served import Client

__all__ = ["fake", "live_project"]
pytestmark = pytest.mark.engine
LINK = re.compile(r"http://\S+#link=\S+")


class Serve:
    """A real `manager serve`."""

    def __init__(self, project: Project) -> None:
        self.port = ports.reserve()
        self.output = Path(project.folder, "serve.log")
        self.process = subprocess.Popen(
            project.command("serve", "--listen", f"127.0.0.1:{self.port}"),
            cwd=project.folder,
            stdout=self.output.open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, **project.environ, "MANAGER_LANG": "en"},
        )
        eventually(lambda: LINK.search(self.output.read_text()), what="a link")

    def client(self) -> Client:
        """A browser that has just signed in by the printed link."""
        client = Client(self)
        assert client.sign_in(LINK.findall(self.output.read_text())[-1]) == 200
        return client

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(project: Project) -> Iterator[Serve]:
    started = Serve(project)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


@pytest.fixture
def serve(live_project: Project) -> Iterator[Serve]:
    with serving(live_project) as started:
        yield started


def carried_out(client: Client, path: str, body: dict[str, str]) -> dict[str, Any]:
    status, _headers, begun = client.call("POST", path, body)
    assert status == 202, begun

    def ended() -> dict[str, Any] | None:
        action = client.get(f"/api/v1/actions/{begun['number']}")[2]
        return None if action["exit_code"] is None else dict(action)

    return dict(eventually(ended, what=f"the end of {begun['command']}"))


def test_real_bots_are_seen_stopped_and_halted(
    live_project: Project, fake: FakeExchange, serve: Serve
) -> None:
    client = serve.client()
    instances = {instance["id"]: instance for instance in client.get("/api/v1/instances")[2]["instances"]}
    live, paper = instances["live_01"], instances["paper_01"]
    assert (live["doing"], live["is_live"], live["quote"], live["open_orders"]) == (
        "trading",
        True,
        "USDC",
        6,
    )
    assert (paper["doing"], paper["is_live"]) == ("trading", False)
    assert live["range"] == {"lower": "144", "upper": "156"}
    assert client.get("/api/v1/fleet")[2]["counts"]["trading_live"] == 1

    def watched() -> bool:
        watch = client.get("/api/v1/fleet")[2]["watch"]
        return bool(watch == {"is_alive": True, "undelivered": 0, "delivered_at": None})

    eventually(watched, what="serve watches the fleet itself where nobody else does")
    assert client.get("/api/v1/instances/live_01")[2]["report"]["contract"] == 2

    done = carried_out(client, "/api/v1/instances/paper_01/actions", {"verb": "stop"})
    assert done["exit_code"] == 0, done["lines"]
    assert live_project.states()["paper_01"] == "stopped"
    done = carried_out(client, "/api/v1/instances/paper_01/actions", {"verb": "start"})
    assert done["exit_code"] == 0, done["lines"]

    done = carried_out(client, "/api/v1/halt", {"confirm": "halt"})
    assert done["exit_code"] == 0, done["lines"]
    assert fake.book.own_open() == []
    assert live_project.states() == {"live_01": "stopped", "paper_01": "stopped"}
    texts = [
        event["text"] for event in live_project.manager("history", "live_01", "--json").json[0]["events"]
    ]
    assert any(text.startswith("page: halt (asked on the page, by session 1 of ") for text in texts)
    eventually(lambda: client.get("/api/v1/fleet")[2]["counts"]["trading"] == 0, what="the halt on the page")


def test_a_command_outlives_the_server_that_started_it(
    live_project: Project, fake: FakeExchange, serve: Serve
) -> None:
    client = serve.client()
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"})[0] == 202
    serve.process.kill()
    eventually(
        lambda: live_project.states() == {"live_01": "stopped", "paper_01": "stopped"}, what="the halt"
    )
    eventually(lambda: fake.book.own_open() == [], what="no order")
    eventually(lambda: len(everything(live_project)) == 2, what="the end of what asked the exchange")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long_form)])
def test_it_ends_when_told_although_somebody_listens(project: Project, number: signal.Signals) -> None:
    project.add("bp_sol_01", 0)
    project.manager("up", "--wait")
    with serving(project) as serve:
        client = serve.client()
        event = client.get("/api/v1/instances")[2]["event"]
        listening = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=20)
        headers = {"Cookie": client.cookie, "X-Botfleet-Token": client.token, "Last-Event-ID": event}
        listening.request("GET", "/api/v1/events", headers=headers)
        answer = listening.getresponse()
        assert answer.status == 200
        assert serve.end(number) == 0
        assert serve.output.read_text().splitlines()[-1] == "serve has stopped"
        answer.read()  # to its end
        listening.close()
    assert project.states() == {"bp_sol_01": "running"}
