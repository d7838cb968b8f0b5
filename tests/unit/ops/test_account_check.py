"""A live bot and the other machines: what is asked, what is compared, and what silence means."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from manager.config.bot_environment import LiveContainer, account_in, is_same
from manager.config.fleet import Fleet
from manager.errors import BAD_CONFIG, OK, USAGE, EngineError
from manager.fleet import lock
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Action
from manager.ops.checks import account_check
from manager.ops.hosts import account_looks, accounts, check, identity, registry, ssh
from manager.ops.hosts.accounts import NOBODY
from manager.ops.hosts.identity import Identity
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult, Silent, Unreachable
from manager.ops.planning import changes
from manager.util import moment, prompt
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import SOL, Sandbox

KEYS = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}
OTHERS = {"BACKPACK_KEY": "another", "BACKPACK_SECRET": "one"}
SYMBOL = "SOL_USDC_PERP"
LIVE = LiveContainer("bp_sol_01", "x", "backpack", SYMBOL, KEYS)


class Tokyo:
    """The other machine, as ssh shows it. `values`: what its `.env` has."""

    def __init__(self) -> None:
        self.live: list[LiveContainer] = []
        self.values: Iterable[str] = ()
        self.is_away = False
        self.says = ""
        """What its manager says instead of an answer."""
        self.lets_in = False
        self.returning: list[LiveContainer] = []
        self.asked = 0
        self.osaka: Identity = NOBODY
        """What this machine's entry answers, under its own name."""
        self.generations: dict[str, dict[str, Any]] | None = {}
        self.another: Identity | None = None
        """Who answers under its name, if that means another machine by now."""
        self.own_generations: dict[str, dict[str, Any]] = {}
        """Those that this machine's entry answers."""

    def runs(self, values: Mapping[str, str] | None, symbol: str = SYMBOL) -> None:
        self.live = [LiveContainer("bp_tokyo_01", "x", "backpack", symbol, values)]
        self.values = [*(values or {}).values()]

    def __call__(
        self, host: Host, words: Iterable[str], _timeout: float, stdin: bytes = b""
    ) -> CommandResult:
        assert tuple(words) == ("host", "live")
        key = bytes.fromhex(stdin.decode())
        if host.name == "osaka":
            told = {**accounts.answer(key, "osaka", [LIVE], [], (), self.osaka)}
            told["generations"] = self.own_generations
            return CommandResult(0, json.dumps(told), "")
        if host.name == "tokyo" and self.another:
            told = accounts.answer(key, "tokyo", [], [], (), self.another)
            return CommandResult(0, json.dumps({**told, "generations": {}}), "")
        self.asked += 1
        if self.is_away:
            raise (Silent if self.lets_in else Unreachable)("host {name} did not answer", name=host.name)
        if self.says:
            return CommandResult(2, "", f"usage: manager\n{self.says}\n")
        told = accounts.answer(key, "tokyo", self.live, self.values, self.returning, Identity("tokyo's", "x"))
        if self.generations is not None:
            told["generations"] = self.generations
        return CommandResult(0, json.dumps(told), "")


@pytest.fixture
def tokyo(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Tokyo:
    made = Tokyo()
    monkeypatch.setattr(ssh, "run", made)
    monkeypatch.setattr(ssh, "lets_in", lambda _host: made.lets_in)
    sandbox.config("bp_sol_01", 5002, mode="live")
    (sandbox.folder / "config" / "fleet.toml").write_text(
        f'name = "{FLEET_NAME}"\nimage = "desk-bot:local"\nhost = "osaka"\n'
    )
    registry.save(
        sandbox.folder,
        {name: registry.parse(name, f"ssh://trader@{name}/srv/desk") for name in ("osaka", "tokyo")},
    )
    made.osaka = identity.of(fleet_of(sandbox))
    return made


def fleet_of(sandbox: Sandbox) -> Fleet:
    return Session(sandbox.folder).project().fleet


def test_an_account_that_is_traded_on_there_starts_no_bot_here(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS)
    output = sandbox.transcript("up")
    assert f"bp_sol_01: left alone: bp_tokyo_01 of host tokyo trades {SYMBOL} live" in output
    assert "`manager --host tokyo down bp_tokyo_01`" in output
    assert sandbox.exit_code == BAD_CONFIG
    assert sandbox.states() == {"bp_eth_02": "running"}, "the other one is on paper"
    assert tokyo.asked == 1
    assert "left alone" in sandbox.transcript("plan")
    assert "left alone" in sandbox.transcript("start bp_sol_01")
    tokyo.live = []
    assert "bp_sol_01: created" in sandbox.transcript("up")
    assert sandbox.exit_code == OK


@pytest.mark.parametrize("values", [OTHERS, {**KEYS, "BACKPACK_KEY": "another"}])
def test_another_account_is_no_hindrance(sandbox: Sandbox, tokyo: Tokyo, values: Mapping[str, str]) -> None:
    tokyo.runs(values)
    assert "bp_sol_01: created" in sandbox.transcript("up")


def test_neither_is_another_market(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS, "ETH_USDC_PERP")
    assert "bp_sol_01: created" in sandbox.transcript("up")


def test_what_cannot_be_read_there_may_be_the_same(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(None)
    assert "bp_sol_01: left alone" in sandbox.transcript("up")


def test_a_host_that_was_never_seen_may_trade_on_anything(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.is_away = True
    output = sandbox.transcript("up")
    assert "bp_sol_01: left alone: host tokyo does not answer (" in output
    assert "and was never seen: it may trade on the same account" in output
    assert "add --host-is-dead tokyo" in output
    assert "bp_sol_01: created" in sandbox.transcript("up --host-is-dead tokyo")
    assert "there is no host paris" in sandbox.transcript("start bp_sol_01 --host-is-dead paris")
    assert sandbox.exit_code == USAGE


@pytest.mark.parametrize(("typed", "code"), [("tokyo", OK), ("yes", USAGE), ("", USAGE)])
def test_at_a_terminal_its_name_is_typed_again(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    tokyo.is_away = True
    monkeypatch.setattr(prompt, "is_possible", lambda: True)
    monkeypatch.setattr(prompt, "ask", lambda _question: typed)
    sandbox.transcript("up --host-is-dead tokyo")
    assert sandbox.exit_code == code
    assert ("bp_sol_01" in sandbox.states()) is (code == OK)


def test_the_last_look_counts(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    sandbox.transcript("up", "stop bp_sol_01")
    tokyo.is_away = True
    output = sandbox.transcript("start bp_sol_01")
    assert "host tokyo does not answer; what it reported" in output
    assert "bp_sol_01: started" in output, "tokyo did not have these credentials"
    sandbox.transcript("stop bp_sol_01")
    tokyo.is_away, tokyo.live, tokyo.values = False, [], KEYS.values()
    sandbox.transcript("start bp_sol_01", "stop bp_sol_01")
    tokyo.is_away = True
    assert "it had the same credentials: it may trade with them" in sandbox.transcript("start bp_sol_01")
    tokyo.is_away = False
    tokyo.runs(KEYS)
    sandbox.transcript("start bp_sol_01")
    tokyo.is_away = True
    assert "its bp_tokyo_01 traded SOL_USDC_PERP live" in sandbox.transcript("start bp_sol_01")
    assert "bp_sol_01: started" in sandbox.transcript("start bp_sol_01 --host-is-dead tokyo")


def test_another_address_under_the_same_name_is_another_machine(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    sandbox.transcript("up", "stop bp_sol_01")
    tokyo.is_away = True
    registry.save(sandbox.folder, {"tokyo": registry.parse("tokyo", "ssh://trader@elsewhere/srv/desk")})
    assert "was never seen" in sandbox.transcript("start bp_sol_01")


def test_a_host_that_answers_is_not_dead(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(KEYS)
    output = sandbox.transcript("up --host-is-dead tokyo")
    assert "host tokyo answers: --host-is-dead tokyo is ignored" in output
    assert "bp_sol_01: left alone" in output


def test_what_runs_is_restarted_whoever_is_away(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.values = KEYS.values()
    sandbox.transcript("up")
    tokyo.is_away, tokyo.asked = True, 0
    assert "bp_sol_01: restarted" in sandbox.transcript("restart bp_sol_01")
    sandbox.new_image()
    assert "bp_sol_01: recreated" in sandbox.transcript("up --recreate")
    assert "left alone" in sandbox.transcript("halt", "resume")
    assert tokyo.asked == 1, "only for the start of what was stopped"


def test_a_running_bot_does_not_change_to_an_account_of_another_machine(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    tokyo.runs(OTHERS)
    sandbox.transcript("up")
    (sandbox.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in OTHERS.items()))
    assert "bp_sol_01: left alone" in sandbox.transcript("restart bp_sol_01")
    assert "bp_tokyo_01 of host tokyo" in sandbox.transcript("upgrade")


def test_paper_asks_nobody_and_a_fleet_that_shares_accounts_no_account(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    sandbox.transcript("up bp_eth_02")
    settings = sandbox.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + "allow_shared_credentials = true\n")
    tokyo.runs(KEYS)
    assert tokyo.asked == 0, "a bot on paper"
    assert "bp_sol_01: created" in sandbox.transcript("up")
    assert tokyo.asked == 1, "of generations alone"
    sandbox.transcript("stop bp_sol_01")
    tokyo.is_away = True
    assert "bp_sol_01: started" in sandbox.transcript("start bp_sol_01")


def test_without_other_machines_nothing_is_loaded(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("manager.ops.hosts")]:
        monkeypatch.delitem(sys.modules, name)
    sandbox.config("bp_sol_01", 5002, mode="live")
    assert "bp_sol_01: created" in sandbox.transcript("up")
    assert not [name for name in sys.modules if name.startswith("manager.ops.hosts")]


def test_no_credential_is_in_what_is_told_or_kept(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=telltale-key\nBACKPACK_SECRET=telltale-secret\n")
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    key = bytes(range(accounts.KEY_BYTES))
    monkeypatch.setattr(sys, "stdin", io.StringIO(key.hex()))
    told = "\n".join(sandbox.run("host live"))
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
    assert "for the managers of other machines" in "\n".join(sandbox.run("host live"))


def test_what_is_kept_of_the_last_look_is_nobody_elses_to_read(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs({"BACKPACK_KEY": "telltale", "BACKPACK_SECRET": "telltale"})
    sandbox.transcript("up")
    kept = list((sandbox.folder / "volumes" / "state" / ".hosts").iterdir())
    assert sorted(path.name for path in kept) == [
        "fingerprint.key",
        "machine.id",
        "osaka.accounts.json",
        "tokyo.accounts.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert not [path for path in kept if b"telltale" in path.read_bytes()]


@pytest.mark.parametrize("content", [None, [], {}, {"host": 1}, {"host": "x", "live": [{}], "known": []}])
def test_what_is_no_answer_is_no_look(content: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        accounts.look(content, 0)


def test_a_host_with_this_machines_name_is_asked_and_skipped_only_if_it_is_this_one(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    sandbox.transcript("up", "down bp_sol_01")
    assert sandbox.exit_code == OK, "its own entry says that bp_sol_01 trades"
    tokyo.osaka = Identity("another machine's", tokyo.osaka.boot)
    assert f"bp_sol_01 of host osaka trades {SYMBOL} live" in sandbox.transcript("up")
    tokyo.osaka = NOBODY
    assert f"bp_sol_01 of host osaka trades {SYMBOL} live" in sandbox.transcript("up"), "an earlier manager"


def test_this_machines_own_name_is_no_hosts(sandbox: Sandbox, tokyo: Tokyo) -> None:
    for command in ("host add osaka", "host deploy osaka --url"):
        assert "osaka is this machine's own name" in sandbox.transcript(
            f"{command} ssh://trader@elsewhere/srv/desk"
        )
        assert sandbox.exit_code == USAGE
    assert tokyo.asked == 0


@pytest.mark.parametrize(
    ("who", "is_ok", "says"),
    [
        (Identity("another's", "another"), False, "calls itself osaka, as this machine does"),
        (NOBODY, False, "calls itself osaka, as this machine does"),
        (None, None, "is this machine itself"),
    ],
)
def test_two_machines_that_call_themselves_the_same_fail_the_check(
    sandbox: Sandbox, tokyo: Tokyo, who: Identity | None, is_ok: bool | None, says: str
) -> None:
    if who is not None:
        tokyo.osaka = who
    host = registry.get(sandbox.folder, "osaka")
    [finding] = check._told(host, fleet_of(sandbox))
    assert finding.is_ok is is_ok
    assert says in str(finding.text)


def test_another_project_of_this_system_may_have_its_name(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.osaka = tokyo.osaka._replace(own="another project's")
    [finding] = check._told(registry.get(sandbox.folder, "osaka"), fleet_of(sandbox))
    assert finding.is_ok is None


def test_a_copy_of_the_disk_is_another_machine(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = fleet_of(sandbox)
    mine = identity.of(fleet)
    assert mine == identity.of(fleet)
    assert mine.own
    (boot := sandbox.folder / "boot_id").write_text("another\n")
    monkeypatch.setattr(moment, "BOOT_ID", boot)
    assert identity.of(fleet).own not in {"", mine.own}


def test_a_rollback_asks_too(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, mode="paper")
    assert "bp_sol_01: ready" in sandbox.transcript("upgrade")
    tokyo.runs(KEYS)
    output = sandbox.transcript("rollback bp_sol_01")
    assert "bp_sol_01: cannot be rolled back: bp_tokyo_01 of host tokyo trades" in output
    assert sandbox.exit_code == BAD_CONFIG
    assert "engine:" not in output
    tokyo.is_away = True
    assert "add --host-is-dead tokyo" in sandbox.transcript("rollback bp_sol_01")
    assert "bp_sol_01: rolled back" in sandbox.transcript("rollback bp_sol_01 --host-is-dead tokyo")


def test_a_rollback_on_the_account_that_it_trades_on_asks_nobody(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade bp_sol_01")
    tokyo.asked, tokyo.is_away = 0, True
    assert "bp_sol_01: rolled back" in sandbox.transcript("rollback bp_sol_01")
    assert tokyo.asked == 0


@pytest.mark.parametrize(("mode", "goes_back"), [("paper", False), ("live", True)])
def test_what_a_roll_out_takes_back_is_asked_for_if_it_left_its_account(
    sandbox: Sandbox, tokyo: Tokyo, mode: str, goes_back: bool
) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.config("bp_sol_01", 5002, mode=mode)
    sandbox.engine.after("create", lambda: tokyo.runs(KEYS), of=SOL)
    sandbox.engine.fails("start", EngineError("no"), of=SOL)
    output = sandbox.transcript("upgrade bp_sol_01")
    assert ("bp_sol_01: rolled back" in output) is goes_back, output
    assert ("cannot be rolled back: bp_tokyo_01 of host tokyo" in output) is not goes_back


@pytest.mark.parametrize(
    ("values", "may_go_on"), [(KEYS, True), (OTHERS, False), ({"BACKPACK_KEY": "k"}, True), (None, False)]
)
def test_an_account_that_cannot_be_read_is_asked_for(
    values: Mapping[str, str] | None, may_go_on: bool
) -> None:
    """It may be another one than before, on which another machine trades."""
    assert account_check._is_unchanged(account_in(LIVE), LIVE._replace(values=values)) is may_go_on


def test_a_rollback_to_an_account_that_cannot_be_read_asks(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    tokyo.runs(KEYS)
    snapshot = Session(sandbox.folder).observe()
    monkeypatch.setattr(account_check, "_goes_on", lambda *_arguments, **_options: True)

    def asked(values: Mapping[str, str] | None) -> list[str]:
        olds = [LIVE._replace(values=values)]
        return list(account_check.of_rollbacks(snapshot, olds, (), lambda _event: None))

    assert asked(KEYS) == []
    assert asked(None) == ["bp_sol_01"]


@pytest.mark.parametrize(
    ("mode", "state", "asks"),
    [("live", "exited", True), ("live", "running", False), ("paper", "exited", False)],
)
def test_what_starts_as_it_was_is_asked_for_if_it_trades_live(
    sandbox: Sandbox, mode: str, state: str, asks: bool
) -> None:
    sandbox.config("bp_sol_01", 5002, mode=mode)
    sandbox.transcript("up", *(["stop bp_sol_01"] if state == "exited" else []))
    snapshot = Session(sandbox.folder).observe()
    action = Action("start", "bp_sol_01", Text("x"), as_it_was=True)
    assert (account_check._begins_on(snapshot, action) is not None) is asks


def test_what_is_restarted_as_it_was_goes_on_live_whatever_its_config_says(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, mode="paper")
    snapshot, restart = Session(sandbox.folder).observe(), Action("restart", "bp_sol_01", Text("x"))
    assert account_check._goes_on_live(snapshot, restart._replace(as_it_was=True))
    assert not account_check._goes_on_live(snapshot, restart)


def test_watch_asks_nobody_about_what_fell_with_its_engine(sandbox: Sandbox, tokyo: Tokyo) -> None:
    """It traded on its account a moment ago, and a host that is away must not keep it down."""
    sandbox.transcript("up")
    sandbox.engine.die()
    sandbox.engine.start_again(SOL)
    tokyo.is_away, tokyo.asked = True, 0
    change = changes.recover(["bp_sol_01"])
    apply.apply(Session(sandbox.folder), change, lambda _event: None)
    assert sandbox.states()["bp_sol_01"] == "running"
    assert tokyo.asked == 0


def told_by(sandbox: Sandbox) -> list[tuple[str, bool]]:
    """What `host live` says of this machine's live bots: instance, and whether it runs."""
    key = account_looks.new_key()
    told = accounts.look(account_looks.answer(Session(sandbox.folder).observe(), key.hex()), 0)
    mine = accounts.as_fingerprints(key, account_in(LIVE))
    assert all(is_same(mine, other.account) for other in told.live)
    return [(other.instance, other.is_up) for other in told.live]


def test_what_fell_with_its_engine_is_told_and_what_a_person_stopped_is_not(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    assert told_by(sandbox) == [("bp_sol_01", True)]
    sandbox.engine.set_state(SOL, "exited", 137)
    assert told_by(sandbox) == [("bp_sol_01", False)]
    sandbox.transcript("stop bp_sol_01")
    assert told_by(sandbox) == []
    sandbox.transcript("start bp_sol_01", "halt bp_sol_01")
    assert told_by(sandbox) == []


def test_what_a_running_command_is_making_anew_is_told(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    with lock.held(fleet_of(sandbox).lock_file, "up"):
        assert told_by(sandbox) == [], "it was never started here"
    sandbox.transcript("up")
    sandbox.new_image()
    told: list[list[tuple[str, bool]]] = []
    sandbox.engine.after("remove", lambda: told.append(told_by(sandbox)), of=SOL)
    sandbox.transcript("up --recreate")
    assert told == [[("bp_sol_01", False)]]
    sandbox.transcript("down bp_sol_01")
    assert told_by(sandbox) == []


def test_what_may_start_again_there_starts_no_bot_here(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.returning = [LIVE]
    assert "bp_sol_01 of host tokyo is down now, but may start again by itself" in sandbox.transcript("up")
    assert sandbox.exit_code == BAD_CONFIG


@pytest.mark.parametrize("minutes", [14, 16, -16])
def test_a_last_look_without_the_credentials_counts_for_a_quarter_of_an_hour(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    tokyo.runs(OTHERS)
    sandbox.transcript("up", "stop bp_sol_01")
    tokyo.is_away = True
    present = time.time
    monkeypatch.setattr(time, "time", lambda: present() + 60 * minutes)
    output = sandbox.transcript("start bp_sol_01")
    assert ("bp_sol_01: started" in output) is (minutes == 14)
    assert ("is too old to count" in output) is (minutes != 14)
    assert "bp_sol_01: started" in sandbox.transcript("start bp_sol_01 --host-is-dead tokyo") or minutes == 14


def test_a_host_that_runs_is_not_dead_because_its_manager_cannot_answer(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    tokyo.says = "manager host: error: argument: invalid choice: 'live'"
    output = sandbox.transcript("up --host-is-dead tokyo")
    assert "host tokyo runs, but its manager does not report its accounts" in output
    assert "invalid choice: 'live'" in output
    assert "`manager host deploy tokyo`" in output
    assert "ssh reaches host tokyo: --host-is-dead tokyo is ignored" in output
    assert sandbox.exit_code == BAD_CONFIG
    tokyo.is_away, tokyo.lets_in = True, True
    assert "host tokyo runs, but" in sandbox.transcript("up --host-is-dead tokyo"), "its manager hangs"
    tokyo.lets_in = False
    assert "bp_sol_01: created" in sandbox.transcript("up --host-is-dead tokyo")


def test_without_any_host_a_name_is_not_looked_for_in_an_empty_list(sandbox: Sandbox) -> None:
    assert "there is no host paris: no hosts are configured" in sandbox.transcript("ps --host paris")
    assert sandbox.exit_code == USAGE
