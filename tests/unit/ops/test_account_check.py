"""A live bot and the other machines: what is asked, what is compared, and what silence means."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from manager.config.bot_environment import LiveContainer, account_in, is_same
from manager.errors import BAD_CONFIG, OK, USAGE
from manager.ops.hosts import accounts, registry, ssh
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import Done, Unreachable
from manager.util import prompt
from tests.builders import FLEET_NAME
from tests.fakes.desk import Desk

KEYS = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}
OTHERS = {"BACKPACK_KEY": "another", "BACKPACK_SECRET": "one"}
SYMBOL = "SOL_USDC_PERP"


class Tokyo:
    """The other machine, as ssh shows it. `values`: what its `.env` has."""

    def __init__(self) -> None:
        self.live: list[LiveContainer] = []
        self.values: Iterable[str] = ()
        self.is_away = False
        self.asked = 0

    def runs(self, values: Mapping[str, str] | None, symbol: str = SYMBOL) -> None:
        self.live = [LiveContainer("bp_tokyo_01", "x", "backpack", symbol, values)]
        self.values = [*(values or {}).values()]

    def __call__(self, host: Host, words: Iterable[str], _timeout: float, stdin: bytes = b"") -> Done:
        self.asked += 1
        assert tuple(words) == ("host", "live")
        if self.is_away:
            raise Unreachable("host {name} did not answer", name=host.name)
        key = bytes.fromhex(stdin.decode())
        return Done(0, json.dumps(accounts.answer(key, "tokyo", self.live, self.values)), "")


@pytest.fixture
def tokyo(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Tokyo:
    made = Tokyo()
    monkeypatch.setattr(ssh, "run", made)
    desk.config("bp_sol_01", 5002, mode="live")
    (desk.folder / "config" / "fleet.toml").write_text(
        f'name = "{FLEET_NAME}"\nimage = "desk-bot:local"\nhost = "osaka"\n'
    )
    registry.save(
        desk.folder,
        {name: registry.parse(name, f"ssh://trader@{name}/srv/desk") for name in ("osaka", "tokyo")},
    )
    return made


def test_an_account_that_is_traded_on_there_starts_no_bot_here(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS)
    said = desk.play("up")
    assert f"bp_sol_01: left alone: bp_tokyo_01 of host tokyo trades {SYMBOL} live" in said
    assert "`manager --host tokyo down bp_tokyo_01`" in said
    assert desk.exit_code == BAD_CONFIG
    assert desk.states() == {"bp_eth_02": "running"}, "the other one is on paper"
    assert tokyo.asked == 1, "this machine's own name is not asked"
    assert "left alone" in desk.play("plan")
    assert "left alone" in desk.play("start bp_sol_01")
    tokyo.live = []
    assert "bp_sol_01: created" in desk.play("up")
    assert desk.exit_code == OK


@pytest.mark.parametrize("values", [OTHERS, {**KEYS, "BACKPACK_KEY": "another"}])
def test_another_account_is_no_hindrance(desk: Desk, tokyo: Tokyo, values: Mapping[str, str]) -> None:
    tokyo.runs(values)
    assert "bp_sol_01: created" in desk.play("up")


def test_neither_is_another_market(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS, "ETH_USDC_PERP")
    assert "bp_sol_01: created" in desk.play("up")


def test_what_cannot_be_read_there_may_be_the_same(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(None)
    assert "bp_sol_01: left alone" in desk.play("up")


def test_a_host_that_was_never_seen_may_trade_on_anything(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.is_away = True
    said = desk.play("up")
    assert "bp_sol_01: left alone: host tokyo does not answer and was never seen" in said
    assert "add --host-is-dead tokyo" in said
    assert "bp_sol_01: created" in desk.play("up --host-is-dead tokyo")
    assert "there is no host paris" in desk.play("start bp_sol_01 --host-is-dead paris")
    assert desk.exit_code == USAGE


@pytest.mark.parametrize(("typed", "code"), [("tokyo", OK), ("yes", USAGE), ("", USAGE)])
def test_at_a_terminal_its_name_is_typed_again(
    desk: Desk, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    tokyo.is_away = True
    monkeypatch.setattr(prompt, "is_possible", lambda: True)
    monkeypatch.setattr(prompt, "ask", lambda _question: typed)
    desk.play("up --host-is-dead tokyo")
    assert desk.exit_code == code
    assert ("bp_sol_01" in desk.states()) is (code == OK)


def test_the_last_look_counts(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    desk.play("up", "stop bp_sol_01")
    tokyo.is_away = True
    said = desk.play("start bp_sol_01")
    assert "host tokyo does not answer; what it had" in said
    assert "bp_sol_01: started" in said, "tokyo did not have these credentials"
    desk.play("stop bp_sol_01")
    tokyo.is_away, tokyo.live, tokyo.values = False, [], KEYS.values()
    desk.play("start bp_sol_01", "stop bp_sol_01")
    tokyo.is_away = True
    assert "it had the same credentials: it may trade with them" in desk.play("start bp_sol_01")
    tokyo.is_away = False
    tokyo.runs(KEYS)
    desk.play("start bp_sol_01")
    tokyo.is_away = True
    assert "its bp_tokyo_01 traded SOL_USDC_PERP live" in desk.play("start bp_sol_01")
    assert "bp_sol_01: started" in desk.play("start bp_sol_01 --host-is-dead tokyo")


def test_another_address_under_the_same_name_is_another_machine(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    desk.play("up", "stop bp_sol_01")
    tokyo.is_away = True
    registry.save(desk.folder, {"tokyo": registry.parse("tokyo", "ssh://trader@elsewhere/srv/desk")})
    assert "was never seen" in desk.play("start bp_sol_01")


def test_a_host_that_answers_is_not_dead(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS)
    said = desk.play("up --host-is-dead tokyo")
    assert "host tokyo answers: --host-is-dead tokyo counts for nothing" in said
    assert "bp_sol_01: left alone" in said


def test_what_runs_is_restarted_whoever_is_away(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.values = KEYS.values()
    desk.play("up")
    tokyo.is_away, tokyo.asked = True, 0
    assert "bp_sol_01: restarted" in desk.play("restart bp_sol_01")
    desk.new_image()
    assert "bp_sol_01: recreated" in desk.play("up --recreate")
    assert "left alone" in desk.play("halt", "resume")
    assert tokyo.asked == 1, "only for the start of what was stopped"


def test_a_running_bot_does_not_change_to_an_account_of_another_machine(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    desk.play("up")
    (desk.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in OTHERS.items()))
    assert "bp_sol_01: left alone" in desk.play("restart bp_sol_01")
    assert "bp_tokyo_01 of host tokyo" in desk.play("upgrade")


def test_paper_and_a_fleet_that_shares_accounts_ask_nobody(desk: Desk, tokyo: Tokyo) -> None:
    desk.play("up bp_eth_02")
    settings = desk.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + "allow_shared_credentials = true\n")
    tokyo.runs(KEYS)
    assert "bp_sol_01: created" in desk.play("up")
    assert tokyo.asked == 0


def test_without_other_machines_nothing_is_loaded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("manager.ops.hosts")]:
        monkeypatch.delitem(sys.modules, name)
    desk.config("bp_sol_01", 5002, mode="live")
    assert "bp_sol_01: created" in desk.play("up")
    assert not [name for name in sys.modules if name.startswith("manager.ops.hosts")]


def test_no_credential_is_in_what_is_told_or_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / ".env").write_text("BACKPACK_KEY=telltale-key\nBACKPACK_SECRET=telltale-secret\n")
    desk.config("bp_sol_01", 5002, mode="live")
    desk.play("up")
    key = bytes(range(accounts.KEY_BYTES))
    monkeypatch.setattr(sys, "stdin", io.StringIO(key.hex()))
    told = "\n".join(desk.run("host live"))
    assert "telltale" not in told
    look = accounts.look(json.loads(told), 0)
    assert [other.instance for other in look.live] == ["bp_sol_01"]
    mine = account_in(
        LiveContainer(
            "x",
            "x",
            "backpack",
            SYMBOL,
            {"BACKPACK_KEY": "telltale-key", "BACKPACK_SECRET": "telltale-secret"},
        )
    )
    assert is_same(accounts.as_fingerprints(key, mine), look.live[0].account)
    assert not is_same(accounts.as_fingerprints(bytes(32), mine), look.live[0].account), "another key"
    monkeypatch.setattr(sys, "stdin", io.StringIO("short"))
    assert "for the managers of other machines" in "\n".join(desk.run("host live"))


def test_what_is_kept_of_the_last_look_is_nobody_elses_to_read(desk: Desk, tokyo: Tokyo) -> None:
    tokyo.runs({"BACKPACK_KEY": "telltale", "BACKPACK_SECRET": "telltale"})
    desk.play("up")
    kept = list((desk.folder / "volumes" / "state" / ".hosts").iterdir())
    assert sorted(path.name for path in kept) == ["fingerprint.key", "tokyo.accounts.json"]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert not [path for path in kept if b"telltale" in path.read_bytes()]


@pytest.mark.parametrize("content", [None, [], {}, {"host": 1}, {"host": "x", "live": [{}], "known": []}])
def test_what_is_no_answer_is_no_look(content: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        accounts.look(content, 0)
