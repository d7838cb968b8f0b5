"""doctor --live and plan --live: a one-off asks for each live instance, also before its first start."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from manager.engine import labels
from manager.engine.container_config import HostContext, body
from manager.fleet import closing_messages
from manager.i18n import speaking
from manager.ops.exchange import live_checks, oneoff
from manager.ops.folders import instance_folders
from tests.builders import a_fleet, a_spec
from tests.fakes.sandbox import IMAGE, Sandbox

OK = {"level": "ok", "code": "keys_trade", "params": {}, "text": "x", "remedy": ""}
BAD = {
    "level": "fail",
    "code": "profit_below_fees",
    "params": {"gross": "0.013", "fees": "0.04", "net": "-0.027"},
    "text": "x",
    "remedy": "y",
}


def test_the_one_off_is_the_instance_without_port_restart_and_logs_and_only_reads() -> None:
    spec, fleet = a_spec(mode="live"), a_fleet()
    made = body(spec, fleet, HostContext(10001, 10001, (10001, 10001), "sha256:one", ""))
    folders = {"/data": "/records", "/botfleet/secrets": "/keys"}
    asking = live_checks.body(made, spec.id, fleet.name, "/check it", folders)
    assert asking["Cmd"] == list(spec.command)
    assert set(asking["Env"]) - set(made["Env"]) == {"BOTFLEET_ONCE=60", "BOTFLEET_BOT_COMMAND=/check it"}
    assert "botfleet.instance" not in asking["Labels"]
    assert asking["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/records", "Target": "/data", "ReadOnly": True},
        {"Type": "bind", "Source": "/keys", "Target": "/botfleet/secrets", "ReadOnly": True},
    ]
    assert asking["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert not asking["HostConfig"]["PortBindings"]
    kept = ("ReadonlyRootfs", "CapDrop", "SecurityOpt", "NetworkMode", "Memory", "PidsLimit")
    assert all(asking["HostConfig"][key] == made["HostConfig"][key] for key in kept)


def test_one_line_that_cannot_be_parsed_makes_the_answer_unknown() -> None:
    assert [line.code for line in live_checks.decoded(f"{json.dumps(OK)}\n{json.dumps(BAD)}")] == [
        "keys_trade",
        "profit_below_fees",
    ]
    for bad in ("1", "[]", "{", json.dumps({**BAD, "level": "fine"}), "[" * 100_000):
        assert live_checks.decoded(f"{json.dumps(OK)}\n{bad}") == (), bad
    assert live_checks.decoded("") == ()


@pytest.fixture
def asked(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the one-offs are given: their definition and the env file that they find. The answer is BAD."""
    seen: list[dict[str, Any]] = []

    def run(_engine: object, name: str, definition: dict[str, Any], *_limits: int) -> oneoff.Ended:
        places = {mount["Target"]: mount["Source"] for mount in definition["HostConfig"]["Mounts"]}
        path = Path(places["/botfleet/secrets"]) / "env.json"
        asked = {"name": name, "env": json.loads(path.read_text()), "mode": path.stat().st_mode & 0o777}
        seen.append({**asked, "data": places.get("/data")})
        return oneoff.Ended(0, f"{json.dumps(OK)}\n{json.dumps(BAD)}", "")

    monkeypatch.setattr(oneoff, "run_defined", run)
    sandbox.engine.add_image(
        IMAGE, {labels.SUPERVISOR: str(labels.NEWEST_CONTRACT), labels.PREFLIGHT: "/check it"}
    )
    return seen


def test_plan_asks_only_when_told_to_and_only_for_what_it_starts(
    sandbox: Sandbox, asked: list[dict[str, Any]]
) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    assert "exit code" not in sandbox.transcript("plan")
    assert asked == []
    told = sandbox.transcript("plan --live")
    assert "fail: a grid earns 0.013 % and pays 0.04 % in fees: -0.027 % is left" in told
    assert told.endswith("exit code 1")
    assert [(request["name"][-19:], request["mode"]) for request in asked] == [("bp_sol_01-preflight", 0o400)]
    assert asked[0]["env"]["BACKPACK_KEY"] == "k"
    assert not (sandbox.folder / "volumes" / "secrets" / ".preflight").exists(), "its keys are gone again"
    assert not sandbox.states(), "a plan starts nothing"
    sandbox.transcript("up")
    asked.clear()
    assert "exit code" not in sandbox.transcript("plan --live"), "it is there already"
    assert asked == []


def test_plan_asks_with_the_keys_that_a_restart_would_bring(
    sandbox: Sandbox, asked: list[dict[str, Any]]
) -> None:
    """Of new keys it said "restart: environment changed" and no word on whether they can trade."""
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    asked.clear()
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=other\nBACKPACK_SECRET=s\n")
    told = sandbox.transcript("plan --live")
    assert "bp_sol_01: restart: environment changed" in told
    assert "fail: a grid earns 0.013 %" in told
    assert [request["env"]["BACKPACK_KEY"] for request in asked] == ["other"]
    sandbox.transcript("up", "stop bp_sol_01")
    asked.clear()
    sandbox.transcript("plan --live")
    assert asked == [], "`up` would not start what a person has stopped"


def test_a_query_that_failed_is_no_answer_whatever_it_has_printed(
    sandbox: Sandbox, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    monkeypatch.setattr(oneoff, "run_defined", lambda *_: oneoff.Ended(3, json.dumps(OK), ""))
    told = sandbox.transcript("plan --live")
    assert "the query exited with code 3" in told
    assert told.endswith("exit code 1")


@pytest.mark.parametrize(
    ("code", "remedy"), [(2, "do what it says"), (3, "do what it says"), (1, "check that")]
)
def test_the_remedy_is_that_of_what_was_said(
    sandbox: Sandbox, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    """That a signing library is missing is not put right by looking whether the exchange can be reached."""
    sandbox.config("bp_sol_01", 5002, mode="live")
    monkeypatch.setattr(oneoff, "run_defined", lambda *_: oneoff.Ended(code, "", "its words"))
    told = sandbox.transcript("doctor --live")
    assert f"bp_sol_01: cannot be checked: its words\n        → {remedy}" in told


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_what_the_bot_is_refused_for_is_said_in_the_users_language(
    language: str, sandbox: Sandbox, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"exchange": "apex", "kind": "perp", "version": "4.9.1", "what": "a sale: sent price is 1"}
    refused = oneoff.Ended(2, json.dumps({"code": "read_wrongly", "params": params}), "its words")
    monkeypatch.setattr(oneoff, "run_defined", lambda *_: refused)
    sandbox.config("bp_sol_01", 5002, mode="live")
    with speaking(language):
        output = sandbox.transcript("doctor --live")
    assert "its words" not in output
    assert "a sale: sent price is 1" in output
    assert ("拒絕" if language == "zh-TW" else "live trading on apex perp is refused") in output


@pytest.mark.parametrize("code", closing_messages.OF_PREFLIGHT)
def test_no_remedy_of_a_preflight_is_that_of_a_closing(code: str) -> None:
    assert "close it" not in closing_messages.OF_PREFLIGHT[code]


def test_plan_has_the_checks_as_json(sandbox: Sandbox, asked: list[dict[str, Any]]) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    actions = {action["id"]: action for action in json.loads("\n".join(sandbox.run("plan --live --json")))}
    assert "live" not in actions["bp_eth_02"], "it trades on paper"
    assert [check["code"] for check in actions["bp_sol_01"]["live"]["checks"]] == [
        "keys_trade",
        "profit_below_fees",
    ]
    assert len(asked) == 1


def test_doctor_asks_for_every_live_instance_and_fails(sandbox: Sandbox, asked: list[dict[str, Any]]) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    assert "live instances" not in sandbox.transcript("doctor")
    lines = {
        finding["check"]: finding for finding in json.loads("\n".join(sandbox.run("doctor --live --json")))
    }
    assert sandbox.exit_code == 1
    assert lines["live.profit_below_fees"]["level"] == "fail"
    assert lines["live.profit_below_fees"]["text"].startswith("bp_sol_01: a grid earns 0.013 %")
    assert lines["live.profit_below_fees"]["remedy"]
    assert len(asked) == 1
    assert asked[0]["data"] == str(sandbox.folder / "volumes" / "database" / "bp_sol_01")


def test_an_image_without_the_program_is_said(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    lines = [
        finding
        for finding in json.loads("\n".join(sandbox.run("doctor --live --json")))
        if finding["check"] == "live"
    ]
    assert [finding["level"] for finding in lines] == ["fail"]
    assert "has no program for this (docker/README.md: botfleet.preflight)" in lines[0]["text"]
    assert "manager build" in sandbox.transcript("plan --live")
    assert sandbox.exit_code != 0


def test_the_scratch_folder_is_removed_when_the_query_fails(sandbox: Sandbox) -> None:
    from manager.fleet import project

    spec = project.read(sandbox.folder).specs["bp_sol_01"]
    fleet = project.read(sandbox.folder).fleet
    owner = (sandbox.folder.stat().st_uid, sandbox.folder.stat().st_gid)
    with suppress(ZeroDivisionError), instance_folders.scratch_env(spec, fleet, owner, {"A": "b"}) as folder:
        assert json.loads((Path(folder) / "env.json").read_text()) == {"A": "b"}
        raise ZeroDivisionError
    assert not Path(folder).exists()
