"""Two live bots of two machines on one account that run already: each place that shows machines says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from manager.config.bot_environment import Account
from manager.errors import FAILED, OK
from manager.fleet.session import Session
from manager.monitor.doctor import checks_machines
from manager.monitor.watch import twin_keeper
from manager.monitor.watch.alert_rules import MACHINE
from manager.monitor.watch.twin_keeper import TwinKeeper
from manager.ops.hosts import account_looks, everywhere, registry, shared_accounts, ssh
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.accounts import Trading
from manager.ops.hosts.generations import GenerationRecord
from manager.ops.hosts.registry import Host
from manager.ops.hosts.shared_accounts import SharedAccount, Side
from manager.ops.hosts.ssh import CommandResult
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_account_check import KEYS, OTHERS, SYMBOL, Tokyo, fleet_of, tokyo

__all__ = ["tokyo"]

ID, THERE = "bp_sol_01", "bp_tokyo_01"


def an_account(*credentials: str, given: tuple[str, ...] = (), symbol: str = SYMBOL) -> Account:
    return Account("backpack", symbol, frozenset(credentials), frozenset((*credentials, *given)))


UNREAD = Account("backpack", SYMBOL, None, None)
MINE = an_account("k", "s")


def shared_by(*accounts: Account, up: bool = True) -> list[SharedAccount]:
    machines = {f"m{index}": (Trading("bot", account, up),) for index, account in enumerate(accounts)}
    return list(shared_accounts.find(machines))


def test_only_bots_of_different_machines_on_one_account_and_market_are_found() -> None:
    assert len(shared_by(MINE, MINE)) == 1
    assert len(shared_by(MINE, MINE, MINE)) == 3
    assert not shared_by(MINE, an_account("k", "another"))
    assert not shared_by(MINE, an_account("k", "s", symbol="ETH"))
    assert not list(shared_accounts.find({"m0": (Trading("one", MINE), Trading("two", MINE))}))
    assert not shared_by(MINE, MINE, up=False), "neither runs"


def test_a_credential_whose_name_tells_nothing_is_found_from_the_other_side() -> None:
    unnamed = Account("backpack", SYMBOL, frozenset(), MINE.given)
    assert shared_by(unnamed, MINE)
    assert shared_by(MINE, unnamed)


def test_what_cannot_be_compared_is_said_to_be_unknown() -> None:
    [account] = shared_by(MINE, UNREAD)
    assert not account.is_certain
    assert "cannot be read: it may be one account" in str(account.text)
    sides = Side("here", "one"), Side("tokyo", "two", is_up=False, is_old=True)
    text = str(SharedAccount(*sides, "backpack", SYMBOL).text)
    assert "one of them is down, and may start again by itself" in text
    assert "`manager halt one` or `manager --host tokyo halt two`" in text
    assert text.endswith("(as last seen: tokyo)")


@pytest.fixture
def both(sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch) -> Tokyo:
    """A bot runs here, and one that was started there meanwhile."""
    sandbox.transcript("up")
    tokyo.runs(KEYS)

    def run(_hosts: Any, _here: Any, _words: Any, _timeout: float) -> list[everywhere.Answer]:
        ids = {"here": ID, "tokyo": THERE}
        return [
            everywhere.Answer(
                name,
                CommandResult(0, json.dumps([{"id": one, "mode": "live", "state": "running"}]), ""),
                url=registry.get(sandbox.folder, "tokyo").url,
            )
            for name, one in ids.items()
        ]

    monkeypatch.setattr(everywhere, "run", run)
    return tokyo


def test_ps_names_both_and_ends_with_1(sandbox: Sandbox, both: Tokyo) -> None:
    output = sandbox.transcript("ps --hosts")
    assert f"one account with {THERE} (tokyo)" in output
    assert f"one account with {ID} (here)" in output
    assert f"{ID} on here and {THERE} on tokyo both trade {SYMBOL} live" in output
    assert f"`manager halt {ID}` or `manager --host tokyo halt {THERE}`" in output
    assert sandbox.exit_code == FAILED
    rows = json.loads("\n".join(sandbox.run("ps --hosts --json")).partition("\n]")[0] + "]")
    assert {row["id"]: row["shared_account"] for row in rows} == {
        ID: f"{THERE} (tokyo)",
        THERE: f"{ID} (here)",
    }
    both.runs(OTHERS)
    assert "one account" not in sandbox.transcript("ps --hosts")
    assert sandbox.exit_code == OK


def looked(sandbox: Sandbox, tokyo: Tokyo) -> tuple[list[HostAnswer], list[SharedAccount]]:
    fleet, hosts = fleet_of(sandbox), list(registry.load(sandbox.folder).values())
    answers = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
    live = Session(sandbox.folder).observe().trading(())
    twins = account_looks.twins(fleet, [container.instance for container in live], answers)
    return answers, account_looks.shared(fleet, live, answers, twins)


def test_it_is_a_failure_of_doctor(sandbox: Sandbox, both: Tokyo) -> None:
    answers, shared = looked(sandbox, both)
    levels = {finding.check: finding.level for finding in checks_machines.check_all(answers, [], shared)}
    assert levels == {"host": "ok", "twin": "ok", "shared-account": "fail"}
    assert f"{ID} on here and {THERE} on tokyo" in "\n".join(sandbox.run("doctor"))
    both.live = []
    answers, shared = looked(sandbox, both)
    assert [finding.level for finding in checks_machines.check_all(answers, [], shared)][-1] == "ok"


def test_a_machine_that_is_away_counts_as_it_was_last_seen(sandbox: Sandbox, both: Tokyo) -> None:
    looked(sandbox, both)
    both.is_away = True
    [account] = looked(sandbox, both)[1]
    assert str(account.text).endswith("(as last seen: tokyo)")


def test_a_fleet_that_allows_it_is_told_nothing(sandbox: Sandbox, both: Tokyo) -> None:
    settings = sandbox.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + "allow_shared_credentials = true\n")
    assert not looked(sandbox, both)[1]


def test_one_machine_under_two_names_is_no_second_bot(sandbox: Sandbox, both: Tokyo) -> None:
    answers = looked(sandbox, both)[0]
    twice = [*answers, *(answer._replace(host=answer.host._replace(name="again")) for answer in answers)]
    assert len(account_looks.shared(fleet_of(sandbox), [], twice, [])) == 0


@pytest.fixture
def twice(sandbox: Sandbox, both: Tokyo, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A second name for tokyo, before or behind it; either may lead to an address that is dead."""

    def add(name: str, *dead: str) -> None:
        hosts = registry.load(sandbox.folder)
        again = registry.parse(name, "ssh://trader@tokyo-by-vpn/srv/desk")
        registry.save(sandbox.folder, {**hosts, name: again})

        def run(host: Host, *words: Any) -> CommandResult:
            if host.name in dead:
                raise ssh.Unreachable("host {name} did not answer", name=host.name)
            return both(host, *words)

        monkeypatch.setattr(ssh, "run", run)

    return add


@pytest.mark.parametrize(("name", "left_out"), [("again", "tokyo"), ("zz", "zz")])
def test_one_machine_under_two_names_is_shown_once(
    sandbox: Sandbox, twice: Callable[..., None], name: str, left_out: str
) -> None:
    twice(name)
    fleet, hosts = fleet_of(sandbox), list(registry.load(sandbox.folder).values())
    first = {"again": "again", "zz": "tokyo"}[name]
    answers = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
    assert {answer.host.name: answer.same_as for answer in answers if answer.same_as} == {left_out: first}
    told = [str(finding.text) for finding in checks_machines.check_all(answers, [], [])]
    assert f"{left_out}: is {first} under another name" in told
    [osaka, *_others] = [answer for answer in answers if answer.host.name == "osaka"]
    assert osaka.is_repeated, "this machine itself"
    [added] = [answer for answer in answers if answer.host.name == name]
    assert account_looks.other_name(fleet, added) == "tokyo"


@pytest.mark.parametrize("name", ["again", "zz"])
@pytest.mark.parametrize("dead", ["tokyo", "added"])
def test_of_two_names_that_one_is_shown_which_answers(
    sandbox: Sandbox, twice: Callable[..., None], name: str, dead: str
) -> None:
    twice(name)
    fleet, hosts = fleet_of(sandbox), list(registry.load(sandbox.folder).values())
    account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
    dead = name if dead == "added" else dead
    twice(name, dead)
    answers = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
    [alive] = {"tokyo", name} - {dead}
    assert {answer.host.name for answer in answers if answer.same_as} == {dead}
    assert [answer.same_as for answer in answers if answer.host.name == dead] == [alive]


def test_an_older_copy_is_said_once_and_as_such(sandbox: Sandbox, both: Tokyo) -> None:
    both.live = [both.live[0]._replace(instance=ID)]
    assert len(looked(sandbox, both)[1]) == 1, "two of one name that were never moved"
    both.generations = {ID: GenerationRecord(1, 1, "m")._asdict()}
    assert not looked(sandbox, both)[1]


def test_watch_asks_again_before_it_tells(
    sandbox: Sandbox, both: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twin_keeper, "Thread", Inline)
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    looked(sandbox, both)
    snapshot, fleet, keeper = Session(sandbox.folder).observe(), fleet_of(sandbox), TwinKeeper()
    keeper.look_if_due(fleet, snapshot)
    [condition] = keeper.conditions()
    assert (condition.subject, condition.kind, condition.after) == (MACHINE, "shared_account", 30.0)
    both.live, asked = [], both.asked
    clock[0] += twin_keeper.AGAIN_S
    keeper.look_if_due(fleet, snapshot)
    assert both.asked == asked + 1, "what others were told a moment ago does not count"
    assert keeper.conditions() == []
    both.runs(KEYS)
    clock[0] += twin_keeper.EVERY_S
    keeper.look_if_due(fleet, snapshot)
    assert keeper.conditions() == [], "asked a moment ago"


class Inline:
    """A thread whose work is done where it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
        assert daemon
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)

    def is_alive(self) -> bool:
        return False
