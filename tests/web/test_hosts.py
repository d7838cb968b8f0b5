"""The trader's other machines on the page: their bots, what is not known now, and one kill switch for all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.config.bot_environment import LiveContainer
from manager.fleet import tombstone
from manager.fleet.tombstone import Tombstone
from manager.ops.hosts import accounts, registry, ssh
from manager.ops.hosts.generations import GenerationRecord
from manager.ops.hosts.identity import Identity
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult, Unreachable
from manager.web.engine_side import machines
from tests.fleet import eventually
from tests.web.served import Client, Served, a_bot, serving, signed_in
from tests.web.test_actions import ended

ID = "bp_sol_01"
HOSTILE = "<script>\x1b[2J\u202e"


class Tokyo:
    """The other machine, as ssh shows it."""

    def __init__(self) -> None:
        self.is_away = False
        self.hanging: set[str] = set()
        self.go_on = threading.Event()
        self.says = ""
        self.generations: dict[str, Any] = {}
        self.same_as: dict[str, str] = {}
        self.live: list[LiveContainer] = []

    def __call__(
        self, host: Host, words: Iterable[str], _timeout: float, stdin: bytes = b""
    ) -> CommandResult:
        if host.name in self.hanging and not self.go_on.wait(60):
            raise Unreachable("host {name} did not answer", name=host.name)
        if self.is_away:
            raise Unreachable("host {name} cannot be reached", name=host.name)
        if tuple(words) == ("host", "live"):
            who = Identity(self.same_as.get(host.name, host.name), "")
            told = accounts.answer(bytes.fromhex(stdin.decode()), host.name, self.live, [], (), who)
            return CommandResult(0, json.dumps({**told, "generations": self.generations}), "")
        rows = [
            {
                "id": "bp_eth_02",
                "mode": "live",
                "state": "running",
                "doing": "trading",
                "last_pnl": "1.5",
                "why": HOSTILE,
            }
        ]
        return CommandResult(0, self.says or json.dumps(rows), "")


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Tokyo:
    made = Tokyo()
    monkeypatch.setattr(ssh, "run", made)
    monkeypatch.setattr(ssh, "lets_in", lambda _host: False)
    return made


@pytest.fixture
def served(tmp_path: Path, tokyo: Tokyo) -> Iterator[Served]:
    with serving(tmp_path, [a_bot(ID, pnl="10.5", quote="USDC", base="SOL")]) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Client:
    return signed_in(served)


def add(served: Served, *names: str) -> None:
    hosts = {name: registry.parse(name, "ssh://x@127.0.0.1:1/srv/desk") for name in names or ("tokyo",)}
    registry.save(served.fleet.project_dir, hosts)


def told(served: Served, client: Client) -> dict[str, Any]:
    wait_for(served)  # for what the page has begun by itself
    wait_for(served)
    return shown(client)


def wait_for(served: Served) -> None:
    for thread in served.backend.machines.look():
        thread.join()


def shown(client: Client) -> dict[str, Any]:
    status, _headers, body = client.get("/api/v1/hosts")
    assert status == 200
    return dict(body)


def test_what_is_left_unknown_there_is_said_here(served: Served, client: Client, tokyo: Tokyo) -> None:
    add(served)
    row = {"id": "bp_eth_02", "mode": "live", "state": "stopped", "why": "container exit code 0"}
    tokyo.says = json.dumps([{**row, "is_left_unknown": True}, row])
    [host] = told(served, client)["hosts"]
    assert [(bot["is_left_unknown"], bot["note"]) for bot in host["instances"]] == [
        (True, "unknown what is left at the exchange"),
        (False, "container exit code 0"),
    ]


def test_without_other_machines_there_is_nothing(served: Served, client: Client) -> None:
    answer = told(served, client)
    assert (answer["hosts"], answer["twins"], answer["error"]) == ([], [], None)


def test_one_that_does_not_answer_is_unreachable_and_never_stopped(
    served: Served, client: Client, tokyo: Tokyo
) -> None:
    add(served)
    tokyo.is_away = True
    [host] = told(served, client)["hosts"]
    assert (host["is_up"], host["seen_at"], host["instances"]) == (False, None, [])
    tokyo.is_away = False
    [host] = told(served, client)["hosts"]
    [bot] = host["instances"]
    assert (host["is_up"], bot["id"], bot["state"], bot["pnl"]) == (True, "bp_eth_02", "running", "1.5")
    assert "\x1b" not in bot["note"]
    tokyo.is_away = True
    [host] = told(served, client)["hosts"]
    assert "cannot be reached" in host["why"]
    assert [(instance["state"], instance["last_state_text"]) for instance in host["instances"]] == [
        ("unreachable", "running")
    ]
    assert host["seen_at"] is not None
    tokyo.is_away, tokyo.says = False, "no JSON"
    [host] = told(served, client)["hosts"]
    assert (host["is_up"], host["instances"][0]["state"]) == (False, "unreachable")


def test_one_that_hangs_delays_the_rows_of_no_other(served: Served, client: Client, tokyo: Tokyo) -> None:
    """All were shown once the last had answered, or had been given up after 20 s."""
    add(served, "osaka", "tokyo")
    tokyo.hanging = {"osaka"}

    def host(name: str) -> dict[str, Any]:
        return next(dict(host) for host in shown(client)["hosts"] if host["name"] == name)

    served.backend.machines.look()
    rows = "the rows of the one that answers"
    eventually(lambda: host("tokyo")["is_up"] and not host("tokyo")["is_asked"], timeout=30, what=rows)
    assert (host("osaka")["is_up"], host("osaka")["is_asked"]) == (False, True)
    assert "has not answered yet" in host("osaka")["why"]
    before = host("tokyo")["seen_at"]
    served.backend.machines.look()
    eventually(lambda: host("tokyo")["seen_at"] > before, timeout=30, what="its rows anew")
    assert host("osaka")["is_asked"]
    tokyo.go_on.set()
    wait_for(served)
    assert (host("osaka")["is_up"], host("osaka")["is_asked"]) == (True, False)
    tokyo.is_away = True
    wait_for(served)
    assert [host["is_up"] for host in shown(client)["hosts"]] == [False, False]
    assert host("osaka")["instances"][0]["last_state_text"] == "running"


def test_what_another_machine_says_is_in_the_readers_language(served: Served, client: Client) -> None:
    add(served)
    wait_for(served)
    answer = client.get("/api/v1/hosts", **{"Accept-Language": "zh-TW"})[2]
    [bot] = answer["hosts"][0]["instances"]
    assert (bot["doing"], bot["doing_text"], bot["mode_text"]) == ("trading", "交易中", "實盤")


def test_one_machine_under_two_names_is_shown_once(served: Served, client: Client, tokyo: Tokyo) -> None:
    add(served, "osaka", "tokyo")
    tokyo.same_as = {"osaka": "one", "tokyo": "one"}
    assert len(told(served, client)["hosts"]) == 1
    assert len(told(served, client)["hosts"]) == 1


def test_an_older_copy_here_is_told(served: Served, client: Client, tokyo: Tokyo) -> None:
    add(served)
    served.look()
    tokyo.generations = {ID: GenerationRecord(1, 1, "m")._asdict()}
    assert "knows of generation 1" in told(served, client)["twins"][0]


def test_one_that_is_not_where_it_went_is_told(served: Served, client: Client, tokyo: Tokyo) -> None:
    """`ps --hosts` said so, and the page called all well."""
    add(served)
    [row] = served.rows
    stone = Tombstone(1, "tokyo", "m")
    served.rows = [row._replace(view=row.view._replace(tombstone=stone))]
    tombstone.bury(served.fleet, ID, stone)
    served.look()
    assert told(served, client)["lost"][0].startswith(f"{ID} was moved to tokyo, which knows nothing of that")
    tokyo.generations = {ID: GenerationRecord(1, 1, "m")._asdict()}
    assert told(served, client)["lost"] == []


def test_two_bots_on_one_account_are_told(served: Served, client: Client, tokyo: Tokyo) -> None:
    add(served)
    served.look()
    values = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}
    [row] = [row for row in served.backend.snapshots.latest.rows if row.id == ID]
    tokyo.live = [LiveContainer("bp_eth_02", "x", row.view.exchange or "", row.view.symbol or "", values)]
    assert "cannot be read: it may be one account" in told(served, client)["shared_accounts"][0]
    folder = served.fleet.secrets_dir(ID)
    folder.mkdir(parents=True)
    (folder / "env.json").write_text(json.dumps(values))
    assert f"{ID} on here and bp_eth_02 on tokyo both trade" in told(served, client)["shared_accounts"][0]
    (folder / "env.json").write_text(json.dumps({**values, "BACKPACK_KEY": "another"}))
    assert told(served, client)["shared_accounts"] == []


def test_what_cannot_be_asked_is_said(served: Served, client: Client) -> None:
    (served.fleet.project_dir / "config" / "hosts.toml").write_text("tokyo = 1\n")
    assert "config/hosts.toml" in told(served, client)["error"]


def test_the_kill_switch_over_all_machines_is_the_command(served: Served, client: Client) -> None:
    add(served)
    assert client.call("POST", "/api/v1/hosts/halt", {})[0] == 422
    status, _headers, begun = client.call("POST", "/api/v1/hosts/halt", {"confirm": "halt"})
    assert status == 202
    assert begun["command"] == "manager halt --hosts"
    done = ended(client, begun["number"])
    assert done["exit_code"] != 0, "the other one does not answer"
    assert any("host tokyo" in line for line in done["lines"])


def test_a_program_or_role_that_may_not_halt_may_not_halt_all() -> None:
    from manager.web.web_side.guard import needed

    assert needed("POST", "/api/v1/hosts/halt") == needed("POST", "/api/v1/halt") == "halt"


def test_before_the_first_answers_nothing_is_known() -> None:
    assert machines.as_object(machines.Machines())["asked_at"] is None
