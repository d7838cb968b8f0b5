"""Closing positions: who may be closed, what is asked before, what an answer is worth, and the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from manager.cli import argument_types, ending, main
from manager.cli.commands import close as command
from manager.engine import labels
from manager.engine.containers import observe
from manager.errors import FAILED, OK, ManagerError, UsageError
from manager.fleet import event_spool, project, state_file, supervisor_state, tombstone
from manager.fleet import observe as observing
from manager.fleet.env_file import ENV_FILE
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState
from manager.fleet.tombstone import Generation, Tombstone
from manager.ops.actions.answer import Answer
from manager.ops.exchange import close, open_orders
from manager.ops.hosts import account_looks, registry
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.accounts import HostAccounts
from manager.ops.hosts.generations import GenerationRecord
from manager.util import console, interrupts, prompt
from manager.util.interrupts import Interruptions
from manager.util.polling import wait_until
from tests.builders import FLEET_NAME, a_config, a_row, write_config

LOOK = {
    "position": "0.6",
    "base": "SOL",
    "quote": "USDC",
    "side": "sell",
    "quantity": "0.6",
    "market_price": "150",
    "price": "148.5",
    "account": "BACKPACK_KEY …k4s=",
}
DONE = {
    "position": "0",
    "base": "SOL",
    "closed": "0.6",
    "average_price": "149.97",
    "done": True,
    "why": None,
}
HELD = {"look": (0, LOOK), "close": (0, DONE)}
PROGRAM = "/venv/python /app/close_position.py"


class Answering:
    """An engine that runs one-offs: per instance, each word's exit code with what is printed."""

    def __init__(self, answers: Mapping[str, Mapping[str, tuple[int, Any]]]) -> None:
        self.answers = answers
        self.programs: list[str] = []
        self.others: list[str] = []
        self.made: dict[str, tuple[int, Any]] = {}
        self.removed: list[str] = []
        self.while_closing: Callable[[], object] = lambda: None

    def containers(self, _filters: list[str]) -> list[dict[str, Any]]:
        return []

    def inspect(self, _container: str) -> dict[str, Any]:
        return {"Image": "sha256:one", "Config": {"Env": ["A=1"]}, "HostConfig": {}}

    def create(self, name: str, definition: Mapping[str, Any]) -> str:
        program = next(entry for entry in definition["Env"] if entry.startswith("BOTFLEET_BOT_COMMAND="))
        self.programs.append(program.partition("=")[2])
        self.others.append(next((e for e in definition["Env"] if e.startswith("OTHER_BOTS_POSITION")), ""))
        instance = definition["Labels"][labels.ASKED_FOR]
        self.made[name] = self.answers[instance][program.split()[2]]
        return name

    def start(self, container: str) -> None: ...

    def wait(self, container: str, _timeout: int) -> int:
        if " close " in self.programs[-1]:
            self.while_closing()
        return self.made[container][0]

    def output(self, container: str, stream: str, _lines: int) -> str:
        code, answer = self.made[container]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return text if (stream == "stdout") == (code == 0) else ""

    def discard(self, container: str) -> None:
        self.removed.append(container)


class Sandbox(Session):
    """A project whose engine lists these rows."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]], engine: Answering) -> None:
        super().__init__(folder)
        self.rows, self.answering = rows, engine

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        return observing.assemble(self.project(), observe(self.rows, FLEET_NAME), observing.NO_IMAGE)

    def engine(self, parallelism: int = 8) -> Any:
        return self.answering


def row(folder: Path, instance: str, state: str = "exited", **own: str) -> dict[str, Any]:
    own = {
        labels.COMPOSE_WORKING_DIR: str(folder),
        labels.MODE: "live",
        labels.EXCHANGE: "backpack",
        labels.SYMBOL: "SOL_USDC_PERP",
        labels.CLOSE_POSITION: PROGRAM,
        **own,
    }
    return a_row(instance, state, Mounts=[], labels=own)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n')
    return tmp_path


def halted(folder: Path, *instances: str) -> None:
    fleet = project.read(folder).fleet
    fleet.state_file.parent.mkdir(parents=True, exist_ok=True)
    state_file.save(fleet.state_file, FleetState(FLEET_NAME).with_halted(instances, []))


def options(*ids: str, **given: Any) -> Namespace:
    return Namespace(
        **{
            "ids": list(ids),
            "config": [],
            "json": True,
            "yes": True,
            "price_bound": "1",
            "lock_wait": 0.0,
            **given,
        }
    )


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], engine: Answering, *ids: str, **given: Any
) -> tuple[int, dict[str, dict[str, Any]], str]:
    rows = given.pop("rows", None) or [row(folder, instance_id) for instance_id in engine.answers]
    code = command.close(Sandbox(folder, rows, engine), options(*ids, **given))
    output = capsys.readouterr()
    return (
        code,
        {closed["id"]: closed for closed in json.loads(output.out)} if given.get("json", True) else {},
        output.err,
    )


def test_a_second_account_has_the_name_that_its_config_has_for_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}
    config = folder / "config" / "fleet.toml"
    config.write_text(f'{config.read_text()}config_variables = ["BP2_KEY", "BP2_SECRET"]\n')
    write_config(folder, a_config("a", mode="live", exchange_config=keys), "a")
    halted(folder, "a")
    secrets = project.read(folder).fleet.secrets_dir("a")
    secrets.mkdir(parents=True)
    values = {"BACKPACK_KEY": "0k4s=", "BACKPACK_SECRET": "s", "BP2_KEY": "0k4s=", "BP2_SECRET": "s"}
    (secrets / "env.json").write_text(json.dumps(values))
    _code, outcomes, _err = run(folder, capsys, Answering({"a": HELD}), "a")
    assert outcomes["a"]["account"] == "BP2_KEY …k4s="
    (secrets / "env.json").write_text(json.dumps({**values, "BP2_KEY": "another"}))
    _code, outcomes, _err = run(folder, capsys, Answering({"a": HELD}), "a")
    assert outcomes["a"]["account"] == "BACKPACK_KEY …k4s=", "the bot's key is of an earlier config"


def test_a_position_is_looked_at_and_closed_at_the_bounds_that_were_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(folder, "a")
    engine = Answering({"a": HELD})
    code, outcomes, err = run(folder, capsys, engine, "a", price_bound="0.5")
    assert (code, err) == (OK, "")
    assert engine.programs == [f"{PROGRAM} look 0.005", f"{PROGRAM} close sell 0.6 148.5"]
    assert engine.removed == [f"{FLEET_NAME}-a-close"] * 2
    assert outcomes["a"] == {
        "id": "a",
        "mode": "live",
        "exchange": "backpack",
        "symbol": "SOL_USDC_PERP",
        "account": "BACKPACK_KEY …k4s=",
        "side": "sell",
        "quantity": "0.6",
        "price_bound": "148.5",
        "closed": "0.6",
        "average_price": "149.97",
        "done": True,
        "position": "0",
        "base": "SOL",
        "position_from": "exchange",
        "why": None,
    }
    spool = project.read(folder).fleet.event_spool_file.read_bytes().splitlines()
    [event] = [event_spool.parsed(line) for line in spool]
    assert event is not None
    assert (event.command, event.instance, event.is_done) == ("close", "a", True)
    assert event.what == "close 0.6 @ 149.97, 0 SOL left"


@pytest.mark.parametrize("is_late", [False, True])
def test_what_was_moved_away_is_not_traded_for(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_late: bool,
) -> None:
    halted(folder, "a")
    engine = Answering({"a": HELD})
    fleet = project.read(folder).fleet

    def bury(_wanted: object = None, _args: object = None) -> bool:
        tombstone.bury(fleet, "a", Tombstone(2, "tokyo", "m"))
        return True

    if is_late:
        monkeypatch.setattr(command, "_is_agreed", bury)
    else:
        bury()
    code, outcomes, err = run(folder, capsys, engine, "a", price_bound="0.5")
    assert code == FAILED
    assert engine.programs == ([f"{PROGRAM} look 0.005"] if is_late else [])
    assert "it was moved to tokyo (generation 2)" in outcomes["a"]["why"]
    assert "a: " in err


def test_an_older_copy_of_what_was_moved_trades_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds by its record is another machine's position."""
    halted(folder, "a")
    fleet = project.read(folder).fleet
    host = registry.parse("tokyo", "ssh://trader@tokyo/srv/desk")
    registry.save(folder, {"tokyo": host})
    look = HostAccounts(time.time(), "tokyo", (), frozenset(), generations={"a": GenerationRecord(1, 1, "m")})
    monkeypatch.setattr(account_looks, "recent", lambda *_more: [HostAnswer(host, look)])
    engine = Answering({"a": HELD})
    code, outcomes, _err = run(folder, capsys, engine, "a", price_bound="0.5")
    assert (code, engine.programs) == (FAILED, [])
    assert "host tokyo has generation 1 of it" in outcomes["a"]["why"]
    tombstone.settle(fleet, "a", Generation(1, "m2"))
    run(folder, capsys, engine, "a", price_bound="0.5")
    assert engine.programs


def kept(folder: Path) -> dict[str, Any]:
    """Return what the kept report of `a` says."""
    content = (project.read(folder).fleet.instance_state_dir("a") / "report.json").read_text()
    return dict(json.loads(content)["report"])


@pytest.mark.parametrize(
    ("answers", "position", "pnl"),
    [
        ({"close": (0, {**DONE, "report": {"pnl": "3.5", "realized": ["x"]}})}, "0", "3.5"),
        ({"close": (0, DONE)}, "0", None),
        ({"close": (0, {**DONE, "position": None, "done": False})}, None, None),
        ({"close": (137, "")}, None, None),
        ({"look": (0, {**LOOK, "position": "0", "quantity": "0", "report": {"pnl": 7}})}, "0", 7),
        ({"look": (1, "")}, "0.6", "1"),
        ({"look": (0, {**LOOK, "quantity": "0"})}, "0.6", "1"),
    ],
)
def test_the_kept_report_says_what_is_left_and_never_the_old_position(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, tuple[int, Any]],
    position: str | None,
    pnl: object,
) -> None:
    halted(folder, "a")
    report = {"contract": 2, "at": 5, "position": "0.6", "pnl": "1", "realized": "2", "reason": "SIGTERM"}
    report |= {"maker_share": 1.0}
    state_dir = project.read(folder).fleet.instance_state_dir("a")
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / "report.json").write_text(json.dumps({"schema": 1, "run_ended": True, "report": report}))
    run(folder, capsys, Answering({"a": {**HELD, **answers}}), "a")
    kept_report = kept(folder)
    assert (kept_report["position"], kept_report["pnl"], kept_report["reason"]) == (position, pnl, "SIGTERM")
    assert kept_report["realized"] == (None if position != "0.6" else "2")
    assert kept_report["maker_share"] == (None if position != "0.6" else 1), "closing changes it, too"


@pytest.mark.parametrize(("is_done", "left"), [(True, 0), (False, None)])
def test_nothing_is_left_to_ask_for_where_all_is_closed(
    folder: Path, capsys: pytest.CaptureFixture[str], is_done: bool, left: int | None
) -> None:
    halted(folder, "a")
    state_dir = project.read(folder).fleet.instance_state_dir("a")
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / "report.json"
    path.write_text(json.dumps({"schema": 1, "report": {"contract": 2, "at": 5, "position": "0.6"}}))
    run(folder, capsys, Answering({"a": {**HELD, "close": (0, {**DONE, "done": is_done})}}), "a")
    assert json.loads(path.read_text()).get("open_orders_left") == left


@pytest.mark.parametrize("content", ['{"schema": 1}', '{"schema": 1, "report": []}', "[]", "{"])
def test_a_kept_report_that_is_no_supervisors_copy_is_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    halted(folder, "a")
    path = project.read(folder).fleet.instance_state_dir("a") / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    engine = Answering({"a": HELD})
    run(folder, capsys, engine, "a")
    assert " close " in engine.programs[-1]
    assert path.read_text() == content


def test_what_keeps_one_from_being_closed_is_named_and_the_others_are_closed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(folder, "held", "differs", "old", "up", "half", "flat", "garbled")
    differs = "record and account differ: this bot's trades make 1 SOL, the account holds 1.4"
    engine = Answering(
        {
            "held": HELD,
            "differs": {"look": (4, differs)},
            "half": {
                "look": (0, LOOK),
                "close": (0, {**DONE, "position": "0.2", "closed": "0.4", "done": False, "why": "the book"}),
            },
            "flat": {"look": (0, {**LOOK, "position": "0", "quantity": "0"})},
            "garbled": {"look": (0, "[" * 10_000)},
        }
    )
    rows = [row(folder, name) for name in ("held", "differs", "half", "flat", "garbled", "stray")]
    rows += [row(folder, "old", **{labels.CLOSE_POSITION: ""}), row(folder, "up", "running")]
    rows += [row(folder, "paper", **{labels.MODE: "paper"})]
    names = [container["Labels"][labels.INSTANCE] for container in rows]
    code, outcomes, err = run(folder, capsys, engine, *names, rows=rows)
    assert code == FAILED
    assert {instance_id for instance_id in outcomes if outcomes[instance_id]["done"]} == {
        "held",
        "flat",
        "paper",
    }
    assert differs in outcomes["differs"]["why"]
    assert "botfleet.close-position" in outcomes["old"]["why"]
    assert "neither halted nor stopped" in outcomes["up"]["why"]
    assert "neither halted nor stopped" in outcomes["stray"]["why"]
    assert outcomes["garbled"]["why"] == "its answer cannot be parsed"
    assert (outcomes["half"]["position"], outcomes["half"]["why"]) == ("0.2", "the book")
    for name in ("differs", "old", "up", "stray", "half", "garbled"):
        assert f"{name}: its position is not closed" in err
    assert sorted(engine.programs) == [
        *[f"{PROGRAM} close sell 0.6 148.5"] * 2,
        *[f"{PROGRAM} look 0.01"] * 5,
    ]


def on_account(folder: Path, instance: str, key: str, report: Mapping[str, Any] | None) -> None:
    """Give an instance the env file and the kept report of a bot that has traded with this key."""
    fleet = project.read(folder).fleet
    secrets, state_dir = fleet.secrets_dir(instance), fleet.instance_state_dir(instance)
    secrets.mkdir(parents=True, exist_ok=True)
    state_dir.mkdir(parents=True, exist_ok=True)
    (secrets / ENV_FILE).write_text(json.dumps({"BACKPACK_KEY": key, "BACKPACK_SECRET": f"secret of {key}"}))
    if report is not None:
        content = {"schema": 1, "run_ended": True, "open_orders_left": 0, "report": {**report, "final": True}}
        (state_dir / "report.json").write_text(json.dumps(content))


def test_bots_on_one_account_are_closed_each_with_the_others_part_taken_off(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(folder, "a", "b", "elsewhere")
    for instance, key, position in (("a", "k1", "0.6"), ("b", "k1", "-0.2"), ("elsewhere", "k2", "7")):
        on_account(folder, instance, key, {"contract": 2, "position": position, "mode": "live"})
    engine = Answering({"a": HELD, "b": HELD, "elsewhere": HELD})
    rows = [row(folder, name) for name in ("a", "b", "elsewhere")]
    assert run(folder, capsys, engine, "a", rows=rows)[0] == OK
    assert engine.others == ["OTHER_BOTS_POSITION=-0.2"] * 2
    # What closing has left counts for the next one; the other account's bot has none beside it.
    engine.others.clear()
    assert run(folder, capsys, engine, "b", "elsewhere", rows=rows)[0] == OK
    assert sorted(engine.others) == ["", "", "OTHER_BOTS_POSITION=0", "OTHER_BOTS_POSITION=0"]


def test_nothing_is_closed_beside_a_bot_whose_part_of_the_account_is_unknown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(folder, "a", "b")
    on_account(folder, "a", "k1", {"contract": 2, "position": "0.6", "mode": "live"})
    for report in (None, {"contract": 2, "position": None, "mode": "live"}):
        on_account(folder, "b", "k1", report)
        engine = Answering({"a": HELD, "b": {"record": (2, "say `look SHARE` or …")}})  # an earlier image
        rows = [row(folder, "a"), row(folder, "b")]
        code, outcomes, err = run(folder, capsys, engine, "a", rows=rows)
        assert (code, engine.programs) == (FAILED, [f"{PROGRAM} record"])
        assert "b trades on the same account" in outcomes["a"]["why"]
        assert "`manager start b`" in err
    # Paper trades are no part of any account.
    on_account(folder, "b", "k1", {"contract": 2, "position": "3", "mode": "paper"})
    engine = Answering({"a": HELD})
    assert run(folder, capsys, engine, "a", rows=[row(folder, "a"), row(folder, "b")])[0] == OK
    assert engine.others == ["OTHER_BOTS_POSITION=0"] * 2


def test_a_paper_bot_of_an_unknown_position_hinders_no_close(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the same credentials, and has not reported yet: nothing of the account is its own."""
    halted(folder, "a", "b")
    on_account(folder, "a", "k1", {"contract": 2, "position": "0.6", "mode": "live"})
    on_account(folder, "b", "k1", None)
    engine = Answering({"a": HELD, "b": {"record": (2, "say `look SHARE` or …")}})
    rows = [row(folder, "a"), row(folder, "b", **{labels.MODE: "paper"})]
    assert run(folder, capsys, engine, "a", rows=rows)[0] == OK
    assert engine.others == ["", ""]


def killed(folder: Path, instance: str) -> None:
    """Give it what a bot leaves that was killed while it held something, and had orders in the market."""
    on_account(folder, instance, "k1", {"contract": 2, "position": "9", "mode": "live"})
    path = project.read(folder).fleet.instance_state_dir(instance) / "report.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "open_orders_left": None}))


def test_two_bots_of_one_account_that_were_killed_can_both_be_closed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither's last report is evidence: each one's record is settled first, and then both are closed."""
    halted(folder, "a", "b")
    for instance in ("a", "b"):
        killed(folder, instance)
    records = {"a": "0.6", "b": "-0.2"}
    engine = Answering(
        {name: {**HELD, "record": (0, {"position": own, "base": "SOL"})} for name, own in records.items()}
    )
    rows = [row(folder, "a"), row(folder, "b")]
    code, outcomes, _err = run(folder, capsys, engine, "a", "b", rows=rows)
    assert (code, {closed["done"] for closed in outcomes.values()}) == (OK, {True})
    assert engine.programs[:2] == [f"{PROGRAM} record"] * 2
    records_told = {f"OTHER_BOTS_POSITION={own}" for own in records.values()}
    first, *later = engine.others[2:]  # a look and a close of each: both are asked at once
    assert first in records_told
    assert len(later) == 3
    assert set(later) <= {*records_told, "OTHER_BOTS_POSITION=0"}, "which is so once the other is closed"
    assert len([program for program in engine.programs if " close " in program]) == 2


def test_what_keeps_a_killed_bots_record_from_being_settled_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(folder, "a", "b")
    for instance in ("a", "b"):
        killed(folder, instance)
    open_orders = "2 orders of this bot are open at backpack"
    engine = Answering({"a": {"record": (0, {"position": "1"})}, "b": {"record": (4, open_orders)}})
    code, outcomes, _err = run(folder, capsys, engine, "a", rows=[row(folder, "a"), row(folder, "b")])
    assert code == FAILED
    assert engine.programs == [f"{PROGRAM} record"], "of the other alone"
    assert outcomes["a"]["why"] == (
        f"b trades on the same account, and how much of the position is its own is not known: {open_orders}"
    )
    state_file.save(
        project.read(folder).fleet.state_file, FleetState(FLEET_NAME).with_halted(["a"], [])
    )  # b may be started by its supervisor at any moment
    engine = Answering({"a": HELD})
    assert (
        "`manager start b`"
        in run(folder, capsys, engine, "a", rows=[row(folder, "a"), row(folder, "b")])[1]["a"]["why"]
    )


def test_a_pipe_without_yes_is_refused_before_anything_is_asked(folder: Path) -> None:
    halted(folder, "a")
    engine = Answering({"a": HELD})
    with pytest.raises(UsageError, match="use --yes"):
        command.close(Sandbox(folder, [row(folder, "a")], engine), options("a", yes=False))
    assert engine.programs == []


def test_the_question_names_instance_account_amount_and_bound_and_no_means_no(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    halted(folder, "a")
    monkeypatch.setattr(prompt, "is_possible", lambda: True)
    monkeypatch.setattr(prompt, "confirm", lambda _question: False)
    engine = Answering({"a": HELD})
    sandbox = Sandbox(folder, [row(folder, "a")], engine)
    assert command.close(sandbox, options("a", yes=False, json=False)) == FAILED
    output = capsys.readouterr()
    assert (
        "a: sell 0.6 SOL at backpack, SOL_USDC_PERP (account: BACKPACK_KEY …k4s=) at 148.5 USDC or better;"
        " the market is at 150"
    ) in output.out
    assert "a: its position is not closed (it was not confirmed); left: 0.6 SOL" in output.err
    assert engine.programs == [f"{PROGRAM} look 0.01"]


@pytest.mark.parametrize(
    "bad",
    [
        {"position": None},
        {"quantity": "-1"},
        {"quantity": "0.7"},
        {"quantity": "NaN"},
        {"price": "0"},
        {"price": None},
        {"side": "sell --x"},
        {"side": None},
        {"market_price": True},
    ],
)
def test_a_look_is_believed_only_where_its_values_are_right(bad: dict[str, Any]) -> None:
    good = close.parsed_look(LOOK)
    assert good is not None
    assert (good.quantity, good.price, good.side) == (Decimal("0.6"), Decimal("148.5"), "sell")
    assert close.parsed_look({**LOOK, **bad}) is None


@pytest.mark.parametrize(
    "bad", [{"closed": None}, {"closed": "-1"}, {"done": "yes"}, {"done": True, "position": None}]
)
def test_a_result_is_believed_only_where_its_values_are_right(bad: dict[str, Any]) -> None:
    assert close.parsed_done(DONE) is not None
    assert close.parsed_done({**DONE, **bad}) is None
    unknown = close.parsed_done({**DONE, "done": False, "position": None, "why": "\x1b[2J away"})
    assert unknown is not None
    assert (unknown.position, str(unknown.why).isprintable()) == (None, True)


def test_nothing_is_asked_or_closed_beside_a_bot_that_holds_its_lock(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    halted(folder, "a")
    monkeypatch.setattr(supervisor_state, "has_bot", lambda _state_dir: True)
    engine = Answering({"a": HELD})
    code, closings, _warnings = run(folder, capsys, engine, "a")
    assert (code, engine.programs) == (FAILED, [])
    assert "it is neither halted nor stopped" in str(closings["a"])


@pytest.mark.parametrize(("left", "is_dust"), [("0.004", True), ("-0.004", True), ("0", False)])
def test_what_no_order_can_be_of_is_dust(left: str, is_dust: bool) -> None:
    seen = close.parsed_look({**LOOK, "position": left, "quantity": "0"})
    result = close.parsed_done({**DONE, "position": left})
    assert seen is not None
    assert result is not None
    assert result.position is not None
    assert (seen.position.is_dust, result.position.is_dust) == (is_dust, is_dust)
    more = close.parsed_look(LOOK)
    assert more is not None
    assert not more.position.is_dust


def test_a_price_bound_is_a_percentage() -> None:
    assert [argument_types.percentage(text) for text in ("1", "0.25", "99.5")] == ["1", "0.25", "99.5"]
    for text in ("0", "0.0", "100", "-1", "1e1", "", "nan"):
        with pytest.raises(Exception, match="percentage"):
            argument_types.percentage(text)


def test_what_trades_on_paper_has_nothing_to_close(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    halted(folder, "a")
    sandbox = Sandbox(folder, [row(folder, "a", **{labels.MODE: "paper"})], Answering({}))
    assert command.close(sandbox, options("a", json=False)) == OK
    assert capsys.readouterr().out == "nothing to close\n"


def test_what_an_account_holds_is_no_bots_own_beside_others_whose_part_is_not_known(folder: Path) -> None:
    """Both were killed: the account's position is neither's, and nothing may keep it as one's."""
    toml = folder / "config" / "fleet.toml"
    toml.write_text(f"{toml.read_text()}allow_shared_credentials = true\n")
    halted(folder, "a", "b")
    for instance in ("a", "b"):
        killed(folder, instance)
    told = (0, {"open_orders": 0, "others": 0, "position": "-0.8", "base": "SOL"})
    engine = Answering({"a": {"ask": told}})
    ask = {labels.OPEN_ORDERS: "/venv/python /app/open_orders.py ask"}
    sandbox = Sandbox(folder, [row(folder, "a", **ask), row(folder, "b", **ask)], engine)

    def answer() -> Answer:
        snapshot = sandbox.observe()
        return open_orders.ask(snapshot.observed.containers["a"], snapshot, sandbox.engine())

    assert (answer().left, answer().position) == (0, None)
    on_account(folder, "b", "k1", {"contract": 2, "position": "-0.6", "mode": "live"})
    position = answer().position
    assert position is not None
    assert position.amount == Decimal("-0.8")
    assert engine.others[-1] == "OTHER_BOTS_POSITION=-0.6", "the program takes it off, and compares"


def two_to_close(folder: Path) -> tuple[Sandbox, Answering]:
    """Two bots of one market, which are closed one after the other."""
    halted(folder, "a", "b")
    engine = Answering({"a": HELD, "b": HELD})
    return Sandbox(folder, [row(folder, "a"), row(folder, "b")], engine), engine


def events_of(folder: Path) -> list[tuple[str, str, bool]]:
    lines = project.read(folder).fleet.event_spool_file.read_bytes().splitlines()
    events = [event_spool.parsed(line) for line in lines]
    return [(event.instance, event.what, event.is_done) for event in events if event is not None]


@pytest.mark.parametrize("is_from", ["look", "close"])
@pytest.mark.parametrize("word", ["halt", "close"])
def test_what_was_agreed_is_closed_where_nothing_can_be_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, word: str, is_from: str
) -> None:
    """Into a full disk a halt closed nothing, and a disk that filled meanwhile left a market's other bots."""
    sandbox, engine = two_to_close(folder)

    def say(_line: object) -> None:
        if is_from == "look" or any(" close " in program for program in engine.programs):
            raise ManagerError("cannot write to standard output")

    monkeypatch.setattr(console, "say", say)
    with pytest.raises(ManagerError, match="cannot write to standard output"):
        command.close_positions(sandbox, sandbox.observe(), ["a", "b"], options(json=False), word)
    closed = [program for program in engine.programs if " close " in program]
    assert len(closed) == (0 if (word, is_from) == ("close", "look") else 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_halt", [False, True])
def test_a_signal_lets_what_has_begun_be_closed_and_nothing_more(
    folder: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, is_halt: bool
) -> None:
    """It ended at once, while the order was on its way, and what it had closed was unknown."""
    sandbox, engine = two_to_close(folder)

    def end() -> None:
        os.kill(os.getpid(), number)
        assert wait_until(lambda: bool(sandbox.ending.number), time.monotonic() + 20)

    engine.while_closing = end
    with Interruptions() if is_halt else contextlib.nullcontext():
        code = ending.in_order(sandbox, lambda: command.close(sandbox, options("a", "b")))
    output = capsys.readouterr()
    closed = {closing["id"]: closing for closing in json.loads(output.out)}
    assert code == 128 + number
    assert (closed["a"]["closed"], closed["a"]["done"]) == ("0.6", True)
    assert (closed["b"]["closed"], closed["b"]["why"]) == (None, "interrupted")
    assert "b: its position is not closed (interrupted); left: 0.6 SOL" in output.err
    assert "interrupted: what had begun was finished, and nothing else was begun" in output.err
    assert events_of(folder) == [("a", "close 0.6 @ 149.97, 0 SOL left", True)]


def test_a_second_signal_ends_it_and_names_what_it_has_interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "SAME_ENDING_S", 0)
    sandbox, engine = two_to_close(folder)
    is_over = Event()

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: bool(sandbox.ending.number), time.monotonic() + 20)
        os.kill(os.getpid(), signal.SIGTERM)
        is_over.wait(20)

    engine.while_closing = end
    try:
        with pytest.raises(
            ManagerError, match="in the middle of a: what was closed there is unknown"
        ) as error:
            ending.in_order(sandbox, lambda: command.close(sandbox, options("a", "b")))
        assert error.value.exit_code == 128 + signal.SIGTERM
        assert events_of(folder) == [("a", "close, ? left", False)]
    finally:
        is_over.set()


def test_one_that_is_interrupted_before_it_says_that_nothing_was_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ctrl_c(*_question: object) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)
        return True

    monkeypatch.setattr(command, "_is_agreed", ctrl_c)
    sandbox, engine = two_to_close(folder)
    with pytest.raises(ManagerError, match="interrupted before anything was closed") as error:
        ending.in_order(sandbox, lambda: command.close(sandbox, options("a")))
    assert error.value.exit_code == 130
    assert engine.programs == [f"{PROGRAM} look 0.01"]
    assert "close" in main.ENDS_IN_ORDER


@pytest.mark.parametrize(
    ("answer", "is_unsure"),
    [
        ((4, "the order is refused"), False),
        ((137, ""), True),
        ((247, ""), True),
        ((124, ""), True),
        ((0, "garbled"), True),
    ],
)
def test_a_program_that_was_killed_in_the_middle_may_have_closed_something(
    folder: Path, capsys: pytest.CaptureFixture[str], answer: tuple[int, Any], is_unsure: bool
) -> None:
    """It was said that the position is not closed, which a filled order may have done."""
    halted(folder, "a")
    code, outcomes, err = run(folder, capsys, Answering({"a": {"look": (0, LOOK), "close": answer}}), "a")
    assert (code, outcomes["a"]["done"], outcomes["a"]["position"]) == (FAILED, False, None)
    assert ("a: how much of its position was closed is unknown" in err) is is_unsure
    assert ("a: its position is not closed" in err) is not is_unsure
    assert ("`manager close a` asks the exchange" in err) is is_unsure
