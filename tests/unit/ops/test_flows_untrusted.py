"""A config that hands over what it may not: nothing is created from it, and nothing that exists is disturbed."""

from __future__ import annotations

import json
import re

import pytest

from manager.config import handover
from manager.engine import labels
from manager.errors import ManagerError
from manager.fleet.session import Session
from manager.ops.egress import egress
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import IMAGE, Sandbox

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


def fleet_toml(sandbox: Sandbox, *lines: str) -> None:
    text = "\n".join((f'name = "{FLEET_NAME}"', f'image = "{IMAGE}"', *lines))
    (sandbox.folder / "config" / "fleet.toml").write_text(text)


def env_file(sandbox: Sandbox) -> dict[str, str]:
    path = sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def made_before(sandbox: Sandbox, mode: str = "live") -> None:
    """Have both instances run, one by a config that an older version allowed."""
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\nBP2_KEY=k2\nBP2_SECRET=s2\n")
    fleet_toml(sandbox, 'config_variables = ["BP2_*"]')
    sandbox.config("bp_sol_01", 5002, mode=mode, exchange_config=SECOND)
    sandbox.transcript("up")
    fleet_toml(sandbox)


def test_nothing_is_created_from_it_and_the_others_start(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, environment={"LD_PRELOAD": "/data/x.so"})
    sandbox.assert_transcript(f"""
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
    assert not (sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json").exists()


def test_what_runs_is_left_alone_and_named(sandbox: Sandbox) -> None:
    made_before(sandbox)
    sandbox.assert_transcript(
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
    assert env_file(sandbox)["BP2_KEY"] == "k2"


def test_what_runs_gets_nothing_new_from_it(sandbox: Sandbox) -> None:
    """Neither another value, nor another mode, nor another image."""
    made_before(sandbox, "paper")
    before = env_file(sandbox)
    sandbox.config("bp_sol_01", 5002, mode="live", environment={"LD_PRELOAD": "/data/x.so"})
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=other\nBACKPACK_SECRET=s\nBP2_KEY=k3\nBP2_SECRET=s3\n")
    sandbox.new_image()
    stays = f"bp_sol_01: left alone: stays as it was made, because its config is refused: {WHY}"
    assert stays in sandbox.transcript("up")
    assert stays in sandbox.transcript("up --recreate bp_sol_01")
    assert stays in sandbox.transcript("upgrade --ready 0")
    assert "bp_sol_01: restarted (requested" in sandbox.transcript("restart bp_sol_01")
    sandbox.transcript("stop bp_sol_01")
    assert "bp_sol_01: started (not running" in sandbox.transcript("up bp_sol_01")
    assert env_file(sandbox) == before
    assert "TRADING_MODE=paper" in sandbox.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Env"]


def test_after_down_it_is_not_created_again_until_it_is_allowed(sandbox: Sandbox) -> None:
    made_before(sandbox)
    sandbox.transcript("down bp_sol_01")
    assert "  exit code 4" in sandbox.transcript("up bp_sol_01")
    fleet_toml(sandbox, 'config_variables = ["BP2_KEY", "BP2_SECRET"]')
    assert "bp_sol_01: created (no container, 0.0 s)" in sandbox.transcript("up bp_sol_01")


@pytest.mark.parametrize("command", ["stop", "down", "halt"])
def test_it_never_keeps_anything_from_being_stopped(sandbox: Sandbox, command: str) -> None:
    made_before(sandbox)
    sandbox.transcript(command)
    assert "running" not in sandbox.states().values()


def test_compose_creates_nothing_from_it(sandbox: Sandbox) -> None:
    made_before(sandbox)
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\nBP2_KEY=k3\nBP2_SECRET=s3\n")
    sandbox.transcript("stop bp_sol_01", "compose")
    assert sandbox.exit_code == 0
    assert env_file(sandbox)["BP2_KEY"] == "k2"
    sandbox.transcript("down bp_sol_01")
    assert UNKNOWN in sandbox.transcript("compose")
    assert sandbox.exit_code == 4


def test_a_plan_shows_what_a_config_gives_the_bot(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, environment={"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"})
    sandbox.assert_transcript("""
        $ plan
        bp_eth_02: create: no container
        bp_sol_01: create: no container
            its config gives the bot LEVEL=DEBUG 2
            its config gives the bot ID=${BACKPACK_ACCOUNT_ID:-7}
    """)
    (_eth, sol) = json.loads("\n".join(sandbox.run("plan --json")))
    assert sol["literals"] == {"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"}
    (_eth, sol) = json.loads(
        "\n".join(line for line in sandbox.run("config") if not line.startswith("warning"))
    )
    assert sol["literals"] == {"LEVEL": "DEBUG\n2", "ID": "${BACKPACK_ACCOUNT_ID:-7}"}


def test_a_plan_shows_arguments_that_no_key_of_a_config_becomes(sandbox: Sandbox) -> None:
    usual = ["--exchange", "backpack", "--symbol=SOL_USDC_PERP", "--strategy", "standard", "--quantity", "1"]
    sandbox.config("bp_sol_01", 5002, bot_args=[*usual, "--api", "https://x.example", "--exclusive-account"])
    sandbox.assert_transcript("""
        $ plan
        bp_eth_02: create: no container
        bp_sol_01: create: no container
            its config gives the bot the arguments --api https://x.example
    """)
    (eth, sol) = json.loads("\n".join(sandbox.run("plan --json")))
    assert eth["arguments"] == []
    assert sol["arguments"] == ["--api", "https://x.example"]


def test_what_the_image_records_is_allowed_at_once_and_no_longer_with_another_image(sandbox: Sandbox) -> None:
    fleet_toml(sandbox)
    sandbox.config("bp_sol_01", 5002, exchange_config={"phrase": "${WALLET_WORDS}"})
    assert "config_variables = [" in sandbox.transcript("config --check")
    labels_of = {labels.SUPERVISOR: "1", labels.VARIABLES: "WALLET_WORDS,LD_PRELOAD"}
    sandbox.engine.add_image(IMAGE, labels_of)
    output = sandbox.transcript("up")
    assert "bp_sol_01: created" in output, output
    assert "refused" not in sandbox.transcript("config --check")
    sandbox.engine.add_image(IMAGE, {labels.SUPERVISOR: "1"})
    output = sandbox.transcript("up")
    assert "nothing to do" in output, "what runs is left alone"
    assert "WALLET_WORDS, which config/fleet.toml does not allow" in output


@pytest.mark.parametrize(("bot", "refused"), [("", True), ('bot_dir = "its-own"', False)])
def test_an_image_from_elsewhere_does_not_choose_which_keys_it_is_given(
    sandbox: Sandbox, bot: str, *, refused: bool
) -> None:
    if bot:
        (sandbox.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n{bot}\n')
    else:
        fleet_toml(sandbox)
    sandbox.config("bp_sol_01", 5002, exchange_config={"token": "${GITHUB_PAT}"})
    image = f"{FLEET_NAME}-bot:local" if bot else IMAGE
    sandbox.engine.add_image(image, {labels.SUPERVISOR: "1", labels.VARIABLES: "GITHUB_PAT"})
    sandbox.transcript("up")
    assert (
        "GITHUB_PAT, which config/fleet.toml does not allow" in sandbox.transcript("config --check")
    ) is refused


@pytest.mark.parametrize(
    ("line", "names"),
    [(f'image = "{IMAGE}"', ("LEVEL",)), ('bot_dir = "its-own"', ("GITHUB_PAT", "LEVEL"))],
    ids=["built elsewhere", "built here"],
)
def test_of_what_an_image_from_elsewhere_reads_no_key_is_kept(
    sandbox: Sandbox, line: str, names: tuple[str, ...]
) -> None:
    """What is kept of it is what later commands allow its configs to reference."""
    (sandbox.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n{line}\n')
    sandbox.engine.add_image(
        IMAGE if "image" in line else f"{FLEET_NAME}-bot:local", {labels.VARIABLES: "GITHUB_PAT,LEVEL"}
    )
    assert Session(sandbox.folder).observe().image.variables == names


def test_where_egress_cannot_be_limited_nothing_is_started(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_engine: object, _project: object) -> bool:
        raise ManagerError("cannot limit what bots reach")

    monkeypatch.setattr(egress, "settle", refuse)
    fleet_toml(sandbox, "[container]", "egress = true")
    for words in ("up", "start bp_sol_01"):
        output = sandbox.transcript(words)
        assert "cannot limit what bots reach" in output
        assert "engine: start" not in output
        assert "exit code 1" in output
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
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version made it: its labels have the name, and its folders are where it says."""
    with monkeypatch.context() as before:
        before.setattr(handover, "hidden_in", lambda _text, *, is_sentence=False: None)
        fleet_toml(sandbox, 'bot_dir = "bot"')
        sandbox.config(
            "bp_sol_01", 5002, mode="live", metadata=NAMES, daemon_config={**PLACES, "web_port": 5002}
        )
        sandbox.transcript("up")
    made = sandbox.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Labels"]
    assert made[labels.SYMBOL] == NAMES["symbol"]
    assert made[labels.LOG_DIR] == PLACES["log_dir"]
    (sandbox.folder / "config" / "active" / "bp_sol_01.json").touch()
    for command in READERS:
        told = sandbox.transcript(command)
        assert not re.search("[\x1b\x9b\u202e\u3164\u2800\u034f]", told), (command, told)
        if command == "up":
            assert "U+202E" in told
            assert sandbox.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]["Labels"] == made
        if command.startswith("stop"):
            assert sandbox.states()["bp_sol_01"] == "exited"
    assert sandbox.states() == {}


def bundled_image(sandbox: Sandbox, program: str = "/opt/venv/bin/python -I -u /app/open_orders.py") -> None:
    """Have the fleet run the bundled bot, whose image is known by its isolated interpreter."""
    (sandbox.folder / "config" / "fleet.toml").write_text(
        f'name = "{FLEET_NAME}"\naccept_unverified = true\n'
    )
    sandbox.engine.add_image(f"{FLEET_NAME}-bot:local", {labels.SUPERVISOR: "1", labels.OPEN_ORDERS: program})


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_bundled_bot_is_given_what_it_reads_and_what_runs_keeps_what_it_has(
    sandbox: Sandbox, mode: str
) -> None:
    unread = {"SOME_RUNTIMES_LEVER": "x", "BACKPACK_ACCOUNT_ID": "7"}
    bundled_image(sandbox, "")  # nothing tells of it which bot it has
    sandbox.config("bp_sol_01", 5002, mode=mode, environment=unread)
    sandbox.transcript("up")
    before = env_file(sandbox)
    assert before["SOME_RUNTIMES_LEVER"] == "x"
    bundled_image(sandbox)
    assert "restart" not in (planned := sandbox.transcript("up")), planned
    assert "environment" not in sandbox.transcript("ps")
    assert env_file(sandbox) == before
    checked = sandbox.transcript("config --check")
    assert (
        "environment: the bundled bot does not get the variables that it does not read: SOME_RUNTIMES_LEVER;"
        in checked
    )
    sandbox.transcript("restart bp_sol_01")
    after = env_file(sandbox)
    assert "SOME_RUNTIMES_LEVER" not in after
    assert after == {name: value for name, value in before.items() if name != "SOME_RUNTIMES_LEVER"}
    assert "nothing to do" in sandbox.transcript("up")


def test_a_plan_shows_only_what_the_bundled_bot_is_given(sandbox: Sandbox) -> None:
    bundled_image(sandbox)
    sandbox.config("bp_sol_01", 5002, environment={"LEVEL": "DEBUG", "BACKPACK_ACCOUNT_ID": "7"})
    planned = sandbox.transcript("plan")
    assert "its config gives the bot BACKPACK_ACCOUNT_ID=7" in planned
    assert "LEVEL" not in planned


def test_another_bot_in_an_image_of_the_fleet_s_name_gets_all_that_its_config_gives(sandbox: Sandbox) -> None:
    """`manager build --bot DIR` without bot_dir in fleet.toml: its label says what that bot reads."""
    bundled_image(sandbox)
    program = "/opt/venv/bin/python -I -u /app/open_orders.py"
    built = {labels.SUPERVISOR: "1", labels.OPEN_ORDERS: program, labels.VARIABLES: ""}
    sandbox.engine.add_image(f"{FLEET_NAME}-bot:local", built)
    sandbox.config("bp_sol_01", 5002, environment={"LEVEL": "DEBUG"})
    sandbox.transcript("up")
    assert env_file(sandbox)["LEVEL"] == "DEBUG"
