"""A config that hands over what it may not: nothing is created from it, and nothing that exists is disturbed."""

from __future__ import annotations

import json
import re

import pytest

from manager.config import handover
from manager.engine import labels
from manager.errors import ManagerError
from manager.ops.egress import egress
from tests.builders import FLEET_NAME
from tests.fakes.desk import IMAGE, Desk

WHY = (
    "config/active/bp_sol_01.json: environment.LD_PRELOAD: gives LD_PRELOAD a value, which determines the loader; a"
    ' config must not: write it to .env, and add "LD_PRELOAD" to variables in config/fleet.toml'
)
SECOND = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}
UNKNOWN = (
    "config/active/bp_sol_01.json: exchange_config.api_key: references BP2_KEY, BP2_SECRET, which config/fleet.toml"
    ' does not allow; if you trust this config, write there: config_variables = ["BP2_KEY", "BP2_SECRET"]'
)
CANNOT_ASK = (
    "bp_sol_01: whether orders are left is unknown (its image has no program for this (docker/README.md:"
    " botfleet.open-orders)): check backpack, SOL_USDC_PERP"
)


def fleet_toml(desk: Desk, *lines: str) -> None:
    text = "\n".join((f'name = "{FLEET_NAME}"', f'image = "{IMAGE}"', *lines))
    (desk.folder / "config" / "fleet.toml").write_text(text)


def env_file(desk: Desk) -> dict[str, str]:
    path = desk.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def made_before(desk: Desk, mode: str = "live") -> None:
    """Have both instances run, one by a config that an older version allowed."""
    (desk.folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\nBP2_KEY=k2\nBP2_SECRET=s2\n")
    fleet_toml(desk, 'config_variables = ["BP2_*"]')
    desk.config("bp_sol_01", 5002, mode=mode, exchange_config=SECOND)
    desk.play("up")
    fleet_toml(desk)


def test_nothing_is_created_from_it_and_the_others_start(desk: Desk) -> None:
    desk.config("bp_sol_01", 5002, environment={"LD_PRELOAD": "/data/x.so"})
    desk.goes(f"""
        $ up --dry-run
        bp_eth_02: create: no container
        bp_sol_01: left alone: its config is refused: {WHY}
          exit code 4
        $ up
        bp_sol_01: left alone: its config is refused: {WHY}
        bp_eth_02: created (no container, 0.0 s)
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          exit code 4
        $ start bp_sol_01
        bp_sol_01: left alone: its config is refused: {WHY}
        nothing to do
          exit code 4
        $ config --check
        error: {WHY}
          exit code 4
    """)
    assert not (desk.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json").exists()


def test_what_runs_is_left_alone_and_named(desk: Desk) -> None:
    made_before(desk)
    desk.goes(
        f"""
        $ up
        nothing to do
        warning: {UNKNOWN}
        $ up bp_sol_01
        nothing to do
        warning: {UNKNOWN}
        $ restart bp_sol_01
        bp_sol_01: restarted (requested, 0.0 s)
        warning: {UNKNOWN}
          engine: stop bp_sol_01
          engine: start bp_sol_01
        $ stop bp_sol_01
        bp_sol_01: stopped (requested, 0.0 s), position unknown
        warning: {CANNOT_ASK}
          engine: stop bp_sol_01
        $ start bp_sol_01
        bp_sol_01: started (not running, 0.0 s)
        warning: {UNKNOWN}
          engine: start bp_sol_01
    """
    )
    assert env_file(desk)["BP2_KEY"] == "k2"


def test_what_runs_gets_nothing_new_from_it(desk: Desk) -> None:
    """Neither another value, nor another mode, nor another image."""
    made_before(desk, "paper")
    before = env_file(desk)
    desk.config("bp_sol_01", 5002, mode="live", environment={"LD_PRELOAD": "/data/x.so"})
    (desk.folder / ".env").write_text("BACKPACK_KEY=other\nBACKPACK_SECRET=s\nBP2_KEY=k3\nBP2_SECRET=s3\n")
    desk.new_image()
    stays = f"bp_sol_01: left alone: stays as it was made, because its config is refused: {WHY}"
    assert stays in desk.play("up")
    assert stays in desk.play("up --recreate bp_sol_01")
    assert stays in desk.play("upgrade --ready 0")
    assert "bp_sol_01: restarted (requested" in desk.play("restart bp_sol_01")
    desk.play("stop bp_sol_01")
    assert "bp_sol_01: started (not running" in desk.play("up bp_sol_01")
    assert env_file(desk) == before
    assert "TRADING_MODE=paper" in desk.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Env"]


def test_after_down_it_is_not_created_again_until_it_is_allowed(desk: Desk) -> None:
    made_before(desk)
    desk.play("down bp_sol_01")
    assert "  exit code 4" in desk.play("up bp_sol_01")
    fleet_toml(desk, 'config_variables = ["BP2_KEY", "BP2_SECRET"]')
    assert "bp_sol_01: created (no container, 0.0 s)" in desk.play("up bp_sol_01")


@pytest.mark.parametrize("command", ["stop", "down", "halt"])
def test_it_never_keeps_anything_from_being_stopped(desk: Desk, command: str) -> None:
    made_before(desk)
    desk.play(command)
    assert "running" not in desk.states().values()


def test_compose_creates_nothing_from_it(desk: Desk) -> None:
    made_before(desk)
    (desk.folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\nBP2_KEY=k3\nBP2_SECRET=s3\n")
    desk.play("stop bp_sol_01", "compose")
    assert desk.exit_code == 0
    assert env_file(desk)["BP2_KEY"] == "k2"
    desk.play("down bp_sol_01")
    assert UNKNOWN in desk.play("compose")
    assert desk.exit_code == 4


def test_a_plan_shows_what_a_config_gives_the_bot(desk: Desk) -> None:
    desk.config("bp_sol_01", 5002, environment={"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"})
    desk.goes("""
        $ plan
        bp_eth_02: create: no container
        bp_sol_01: create: no container
            its config gives the bot LEVEL=DEBUG 2
            its config gives the bot ID=${BACKPACK_ACCOUNT_ID:-7}
    """)
    (_eth, sol) = json.loads("\n".join(desk.run("plan --json")))
    assert sol["literals"] == {"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"}
    (_eth, sol) = json.loads("\n".join(line for line in desk.run("config") if not line.startswith("warning")))
    assert sol["literals"] == {"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"}


def test_what_the_image_records_is_allowed_at_once_and_no_longer_with_another_image(desk: Desk) -> None:
    fleet_toml(desk)
    desk.config("bp_sol_01", 5002, exchange_config={"phrase": "${WALLET_WORDS}"})
    assert "config_variables = [" in desk.play("config --check")
    labels_of = {labels.SUPERVISOR: "1", labels.VARIABLES: "WALLET_WORDS,LD_PRELOAD"}
    desk.engine.add_image(IMAGE, labels_of)
    said = desk.play("up")
    assert "bp_sol_01: created" in said, said
    assert "refused" not in desk.play("config --check")
    desk.engine.add_image(IMAGE, {labels.SUPERVISOR: "1"})
    said = desk.play("up")
    assert "nothing to do" in said, "what runs is left alone"
    assert "WALLET_WORDS, which config/fleet.toml does not allow" in said


@pytest.mark.parametrize(("bot", "refused"), [("", True), ('bot_dir = "its-own"', False)])
def test_an_image_from_elsewhere_does_not_choose_which_keys_it_is_given(
    desk: Desk, bot: str, *, refused: bool
) -> None:
    if bot:
        (desk.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n{bot}\n')
    else:
        fleet_toml(desk)
    desk.config("bp_sol_01", 5002, exchange_config={"token": "${GITHUB_PAT}"})
    image = f"{FLEET_NAME}-bot:local" if bot else IMAGE
    desk.engine.add_image(image, {labels.SUPERVISOR: "1", labels.VARIABLES: "GITHUB_PAT"})
    desk.play("up")
    assert ("GITHUB_PAT, which config/fleet.toml does not allow" in desk.play("config --check")) is refused


def test_where_egress_cannot_be_limited_nothing_is_started(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_engine: object, _project: object) -> bool:
        raise ManagerError("cannot limit what bots reach")

    monkeypatch.setattr(egress, "settle", refuse)
    fleet_toml(desk, "[container]", "egress = true")
    for words in ("up", "start bp_sol_01"):
        said = desk.play(words)
        assert "cannot limit what bots reach" in said
        assert "engine: start" not in said
        assert "exit code 1" in said
    monkeypatch.undo()


NAMES = {
    "symbol": "SOL\u202e\x9b2J\u3164",
    "strategy": "perp_grid\u2800",
    "tags": ["a\x1b[2J"],
    "name": "\x1bc\u202e",
}
PLACES = {"log_dir": "logs/a\u202e\u3164", "db_path": "database/a\u034f.db"}
READERS = (
    *(
        "ps",
        "ps --json",
        "ps --sort worst",
        "ps --format github",
        "list",
        "status bp_sol_01",
    ),
    *(
        "plan",
        "up",
        "upgrade --ready 0",
        "config",
        "config --check",
        "doctor",
        "history",
        "orders",
        "orders --json",
    ),
    *(
        "restart bp_sol_01",
        "alert list",
        "export",
        "halt",
        "halt --json",
        "ps",
        "resume",
        "stop bp_sol_01",
        "ps",
        "down",
    ),
)


def test_what_runs_by_a_name_that_is_not_seen_goes_on_is_stopped_and_is_shown_without_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version made it: its labels have the name, and its folders are where it says."""
    with monkeypatch.context() as before:
        before.setattr(handover, "hidden_in", lambda _text, *, is_sentence=False: None)
        fleet_toml(desk, 'bot_dir = "bot"')
        desk.config(
            "bp_sol_01", 5002, mode="live", metadata=NAMES, daemon_config={**PLACES, "web_port": 5002}
        )
        desk.play("up")
    made = desk.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Labels"]
    assert made[labels.SYMBOL] == NAMES["symbol"]
    assert made[labels.LOG_DIR] == PLACES["log_dir"]
    (desk.folder / "config" / "active" / "bp_sol_01.json").touch()
    for command in READERS:
        told = desk.play(command)
        assert not re.search("[\x1b\x9b\u202e\u3164\u2800\u034f]", told), (command, told)
        if command == "up":
            assert "U+202E" in told
            assert desk.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Labels"] == made
        if command.startswith("stop"):
            assert desk.states()["bp_sol_01"] == "exited"
    assert desk.states() == {}
