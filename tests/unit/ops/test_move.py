"""What a move refuses before it does anything, what it writes to .env, and what it remembers."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from manager import i18n
from manager.config import dotenv
from manager.config.fleet import Fleet
from manager.engine.containers import observe
from manager.errors import FAILED, Locked, ManagerError
from manager.fleet import observe as observing
from manager.fleet import project as projects
from manager.fleet import tombstone
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState, InstanceState
from manager.fleet.tombstone import UNKNOWN, Tombstone
from manager.ops.backup.manifest import Manifest
from manager.ops.hosts import registry, ssh
from manager.ops.hosts.registry import Host
from manager.ops.move import bound, dotenv_lines, fitting, journal, moving, refusals, staging, steps
from manager.ops.move.bound import Move
from manager.ops.move.journal import Journal
from manager.ops.move.sides import Side
from tests.builders import a_config, write_config
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.backup.test_restore import a_project, backup_of, database, remember

ID = "bp_sol_01"
TOKYO = Side(Path("/srv/desk"), Host("tokyo", "tokyo.example", None, None, "/srv/desk"))
HERE: dict[str, Any] = {
    "here": 0,
    "newest": 0,
    "is_known": True,
    "problems": [],
    "lacks": None,
    "pinned": None,
    "config": "config/active/a.json",
    "port": 5001,
    "bytes": 1 << 20,
}
THERE: dict[str, Any] = {
    "here": 0,
    "newest": 0,
    "stone": None,
    "config_of": None,
    "is_up": False,
    "is_known": False,
    "bytes": 0,
    "has_image": True,
    "unlike": [],
    "ports": {"5002": "other"},
    "free": 1 << 40,
}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet("desk", tmp_path, tmp_path / "volumes")


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        ({}, {}, None),
        ({"is_known": False}, {}, "no valid config"),
        ({"problems": ["a.json: web_port: bad"]}, {}, "web_port: bad"),
        ({"pinned": "osaka"}, {}, "pins it to osaka"),
        ({"pinned": "osaka", "is_known": False}, {}, "pins it to osaka"),
        ({"lacks": "is the disk mounted?"}, {}, "here: is the disk mounted?"),
        ({}, {"config_of": "other"}, "a.json belongs to another instance on tokyo (other)"),
        ({}, {"is_up": True}, "it runs on tokyo"),
        ({}, {"is_known": True}, "of its own (generation 0)"),
        ({}, {"bytes": 7}, "of its own (generation 0)"),
        ({"here": 3}, {"here": 3, "newest": 3}, "of its own (generation 3)"),
        ({"here": 3}, {"here": 2, "newest": 2, "bytes": 7}, "an older copy of it (generation 2)"),
        (
            {"here": 2},
            {"here": 3, "newest": 3, "bytes": 7},
            "knows of generation 3, and here has generation 2",
        ),
        ({"here": 3}, {"here": 2, "newest": 2}, None),
        # It became the newest one, as generation 9007199254740993.
        ({"here": UNKNOWN, "newest": UNKNOWN}, {"newest": 1, "stone": {}}, "on here, volumes/secrets"),
        ({"here": 1}, {"newest": UNKNOWN, "stone": {}}, "what tokyo knows of it cannot be read"),
        ({"here": 2}, {"here": 1, "newest": 3, "stone": {}}, "knows of generation 3"),
        ({"here": 3}, {"here": 1, "newest": 3, "stone": {}, "bytes": 7, "is_known": True}, None),
        ({}, {"has_image": False}, "no image"),
        ({}, {"unlike": ["BACKPACK_KEY"]}, "BACKPACK_KEY in .env of tokyo"),
        ({}, {"account_of": "other"}, "other on tokyo trades on its account and symbol"),
        ({}, {"ports": {"5001": "other"}}, "port 5001 belongs to other"),
        ({}, {"free": 1 << 20}, "of disk space"),
        ({}, {"free": (68 << 20) - 1}, "of disk space"),  # its copies, and what any backup leaves
        ({}, {"free": 68 << 20}, None),
        ({}, {"free": None}, None),
        ({"free": (65 << 20) - 1, "databases": 1 << 20}, {}, "here has "),
        ({"free": 65 << 20, "databases": 1 << 20, "bytes": 1 << 40}, {"free": None}, None),
        ({}, {"inodes": 63}, "has 63 inodes left"),
        ({}, {"inodes": 64}, None),
        ({}, {"inodes": None}, None),
        ({}, {"blocking": [".env: line 1: bad"]}, "nothing starts on tokyo: .env: line 1: bad"),
        ({"own": "x"}, {"own": "x", "is_up": True}, "here and tokyo are one project folder of one machine"),
        ({"own": "x"}, {"own": "y"}, None),
        ({"own": ""}, {"own": ""}, None),
    ],
)
def test_it_is_refused_before_anything_is_done(
    fleet: Fleet, here: dict[str, Any], there: dict[str, Any], why: str | None
) -> None:
    move = Move(fleet, ID, Side(fleet.project_dir), TOKYO, lambda _text: None)
    refusal = refusals.why_not(move, {**HERE, **here}, {**THERE, **there}, None)
    assert (refusal is None) if why is None else (why in str(refusal))


@pytest.mark.parametrize("code", sorted(ssh.NOT_RUN))
def test_a_side_without_a_manager_is_told_with_what_to_do(code: int) -> None:
    told = str(TOKYO._error(code, "sh: 1: exec: manager: not found\n", None))
    assert "has no manager that can be run in" in told
    assert "(sh: 1: exec: manager: not found): `manager host check tokyo`" in told
    assert str(Side(Path("/srv/desk"))._error(code, "sh: broken\n", None)) == "here: sh: broken"


@pytest.mark.parametrize(("language", "label"), [("en", "error: "), ("zh_TW", "錯誤：")])
def test_a_sides_error_is_told_whole_and_without_its_label(
    monkeypatch: pytest.MonkeyPatch, language: str, label: str
) -> None:
    monkeypatch.setattr(i18n, "_language", language)
    message = "cannot write /srv/desk/a: No space left on device"
    told = str(TOKYO._error(FAILED, f"warning\n{label}{message}\n", None))
    assert message in told
    assert label not in told


def test_what_went_away_is_not_moved_again(fleet: Fleet) -> None:
    move = Move(fleet, ID, Side(fleet.project_dir), TOKYO, lambda _text: None)
    refusal = refusals.why_not(move, HERE, THERE, Tombstone(2, "osaka", "m"))
    assert "moved to osaka (generation 2)" in str(refusal)


def test_env_keeps_what_is_there_and_gets_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nA=1\nEMPTY=\nLAST='x y'")
    path.chmod(0o644)
    added = dotenv_lines.add(path, {"A": "1", "KEY": "a$b 'c' # d", "EMPTY": "now"})
    assert added == ["EMPTY", "KEY"]
    assert path.read_text().startswith("# mine\nA=1\nEMPTY=\nLAST='x y'\n")
    assert dotenv.read(path).variables == {"A": "1", "LAST": "x y", "KEY": "a$b 'c' # d", "EMPTY": "now"}
    assert not dotenv.read(path).faults
    assert path.stat().st_mode & 0o777 == 0o600
    assert dotenv_lines.add(path, {"A": "1"}) == []
    with pytest.raises(ManagerError, match="no quoting"):
        dotenv_lines.add(path, {"BAD": "a\0b"})


def test_other_values_are_found_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nB=2\n")
    prints = {
        name: dotenv_lines.fingerprint("s", value) for name, value in {"A": "1", "B": "3", "C": "4"}.items()
    }
    assert dotenv_lines.unlike(path, "s", prints) == ["B"]
    assert prints["B"] != "3"
    assert dotenv_lines.unlike(path, "another salt", prints) == ["A", "B"]


def test_a_journal_comes_back_as_it_was_written_and_a_broken_one_is_not_passed_over(fleet: Fleet) -> None:
    assert journal.load(fleet, ID) is None
    kept = Journal("m", "here", "tokyo", 2, did_run=True, step="put")
    journal.save(fleet, ID, kept)
    assert journal.load(fleet, ID) == kept
    assert kept.has_reached("bury")
    assert kept.has_reached("put"), "it may have been begun"
    assert not kept.has_reached("arrive")
    path = staging.folder(fleet, ID).with_name(f"{ID}.json")
    for broken in ("", "{}", '{"step": "jump"}', "[]"):
        path.write_text(broken)
        with pytest.raises(ManagerError, match="cannot read") as error:
            journal.load(fleet, ID)
        assert "{" not in str(error.value), "it said `is not JSON: {why} (line {line}`"


def test_two_moves_of_one_instance_are_refused(fleet: Fleet) -> None:
    with staging.locked(fleet, ID, "caller", 0.0):
        with pytest.raises(Locked), staging.locked(fleet, ID, "caller", 0.0):
            pass
        with staging.locked(fleet, "another", "caller", 0.0):
            pass


def test_a_config_file_of_another_instance_is_not_replaced(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("y", 5001), "sol")
    write_config(tmp_path, a_config("own", 5002), "own")
    write_config(tmp_path, "{", "broken")
    (tmp_path / "config" / "fleet.toml").write_text('name = "desk"\n')
    project = projects.read(tmp_path)
    project = project._replace(fleet_state=FleetState("desk").with_id("config/active/given.json", "z"))
    owners = {
        name: fitting.other_owner(project, "own", f"config/active/{name}.json")
        for name in ("sol", "own", "broken", "given", "free", "../fleet", "a/b")
    }
    assert owners == {
        "sol": "y",
        "own": None,
        "broken": "?",
        "given": "z",
        "free": None,
        "../fleet": "?",
        "a/b": "?",
    }


def a_backup(root: Path, *ids: str) -> tuple[Path, Manifest]:
    """Another machine's project with these instances, and a backup of them."""
    made = a_project(root / "another", *ids)
    return made, backup_of(made).manifest


def test_a_backup_of_more_or_of_another_or_without_its_database_is_not_put_into_place(tmp_path: Path) -> None:
    _made, whole = a_backup(tmp_path, "x")
    here = projects.read(a_project(tmp_path / "here", "y"))
    fitting.require_fitting(here, "x", whole)
    two = whole._replace(instances={**whole.instances, "y": whole.instances["x"]})
    for wrong, instance in ((two, "x"), (whole, "y")):
        with pytest.raises(ManagerError, match="is not of"):
            fitting.require_fitting(here, instance, wrong)
    (here.fleet.config_dir / "y.json").rename(here.fleet.config_dir / "x.json")
    with pytest.raises(ManagerError, match=r"belongs to another instance here \(y\)"):
        fitting.require_fitting(projects.read(here.fleet.project_dir), "x", whole)
    empty = whole._replace(
        files={name: facts for name, facts in whole.files.items() if "database/" not in name}
    )
    there = projects.read(a_project(tmp_path / "there", "x"))
    fitting.require_fitting(there, "x", whole)
    with pytest.raises(ManagerError, match="an older one is in"):
        fitting.require_fitting(there, "x", empty)
    database(there.fleet.project_dir, "x").unlink()
    fitting.require_fitting(there, "x", empty)


def test_put_refuses_before_anything_is_changed(tmp_path: Path) -> None:
    other, _manifest = a_backup(tmp_path, "x")
    here = a_project(tmp_path / "here", "y")
    (here / "config/active/y.json").rename(here / "config/active/x.json")
    before = (here / "config/active/x.json").read_bytes()
    session = Quiet(here)
    fleet = session.project().fleet
    staging.make(fleet, "x")
    backup_of(other).path.rename(staging.folder(fleet, "x") / staging.BACKUP)
    request = {"move": "m", "generation": 1, "from": "another", "did_run": True}
    with pytest.raises(ManagerError, match=r"belongs to another instance here \(y\)"):
        steps.put(session, "x", request, steps.Streams(io.BytesIO(), io.BytesIO()))
    assert (here / "config/active/x.json").read_bytes() == before
    assert tombstone.find(fleet, "x") is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"host": "tokyo"}, "config/active/x.json: host: pins it to tokyo"),
        ("{", "config/active/x.json: is not JSON"),
    ],
)
def test_a_config_that_keeps_an_instance_here_is_named(
    tmp_path: Path, fleet: Fleet, content: dict[str, Any] | str, why: str
) -> None:
    here = a_project(tmp_path / "here", "x", "y")
    file = here / "config/active/x.json"
    file.write_text(
        content if isinstance(content, str) else json.dumps(json.loads(file.read_text()) | content)
    )
    streams = steps.Streams(io.BytesIO(), io.BytesIO())
    told = steps.look(Quiet(here), "x", {"salt": "s"}, streams)
    move = Move(fleet, "x", Side(here), TOKYO, lambda _text: None)
    assert why in str(refusals.why_not(move, told, THERE, None))
    other = steps.look(Quiet(here), "y", {"salt": "s"}, streams)
    assert refusals.why_not(move, other, {**THERE, "ports": {}}, None) is None


def test_another_bot_on_the_account_is_found_before_anything_is_done(tmp_path: Path) -> None:
    section = {"exchange_config": {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}}
    looks: dict[str, dict[str, Any]] = {}
    streams = steps.Streams(io.BytesIO(), io.BytesIO())

    def look(name: str, instance: str, keys: str, symbol: str = "SOL_USDC_PERP", mode: str = "live") -> None:
        folder = tmp_path / name
        config = a_config(instance, 5001, mode=mode, **section)
        config["metadata"]["symbol"] = symbol
        write_config(folder, config, instance)
        (folder / "config" / "fleet.toml").write_text('name = "desk"\n')
        (folder / ".env").write_text(f"BACKPACK_KEY={keys}k\nBACKPACK_SECRET={keys}s\n")
        asked = {"salt": "a salt", "account": looks.get("here", {}).get("account")}
        looks[name] = steps.look(Quiet(folder), "x", asked, streams)

    look("here", "x", "A")
    assert "Ak" not in str(looks["here"])
    look("same", "y", "A")
    look("keys", "y", "B")
    look("symbol", "y", "A", symbol="ETH_USDC_PERP")
    look("paper", "y", "A", mode="paper")
    look("own", "x", "A")
    assert {name: told["account_of"] for name, told in looks.items() if told["account_of"]} == {"same": "y"}


class Quiet(Session):
    """A project with an engine on which nothing is."""

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        return observing.assemble(self.project(), observe([], "desk"), observing.NO_IMAGE)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"BACKPACK_KEY": "k", "BACKPACK_SECRET": "a$b 'c'"}, None),
        ({"BACKPACK_BASE_URL": "https://api.backpack.exchange"}, None),
        ({"BACKPACK_BASE_URL": "https://evil.example"}, "it determines addresses"),
        ({"HTTPS_PROXY": "http://evil.example"}, "it determines proxies"),
        ({"DOCKER_HOST": "tcp://evil.example"}, "it determines where programs"),
        ({"COMPOSE_FILE": "evil.yaml"}, "it determines where programs"),
        ({"MINE": "x"}, "config/fleet.toml does not allow"),
        ({"BACKPACK_API_KEY": "k"}, "does not name it"),
        ({"BACKPACK_KEY": "k\nDOCKER_HOST=tcp://evil.example"}, "not one line"),
        ({"BACKPACK_KEY": "k\rX=1"}, "not one line"),
        ({"BACKPACK_KEY": 7}, "not one line"),
        ({"X\nDOCKER_HOST": "tcp://evil.example"}, "does not name it"),
        ({"DOCKER_HOST=tcp://evil.example #": "x"}, "does not name it"),
    ],
)
def test_another_machine_writes_only_what_the_config_may_hand_over(
    tmp_path: Path, values: dict[str, object], why: str | None
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(
        'name = "desk"\nconfig_variables = ["DOCKER_HOST", "HTTPS_PROXY", "COMPOSE_FILE"]\n'
    )
    names = ("BACKPACK_BASE_URL", "HTTPS_PROXY", "DOCKER_HOST", "COMPOSE_FILE", "MINE")
    named = {name.lower(): f"${{{name}}}" for name in names}
    write_config(tmp_path, a_config(ID, exchange_config=named, mode="live"))
    request = {"move": "m", "generation": 1, "values": values}
    session, dotenv_file = Quiet(tmp_path), tmp_path / ".env"
    streams = steps.Streams(io.BytesIO(), io.BytesIO())
    if why is None:
        assert steps.take_keys(session, ID, request, streams) == {"added": sorted(values)}
        assert dotenv.read(dotenv_file).variables == values
        assert steps.take_keys(session, ID, request, streams) == {"added": []}
    else:
        with pytest.raises(ManagerError, match=why):
            steps.take_keys(session, ID, request, streams)
        assert not dotenv_file.exists()


def test_a_live_instance_does_not_go_without_the_database_that_it_had(tmp_path: Path) -> None:
    sandbox = a_project(tmp_path, "x")
    config = a_config("x", mode="live")
    write_config(sandbox, config, "x")
    session = Quiet(sandbox)
    streams = steps.Streams(io.BytesIO(), io.BytesIO())
    fleet = session.project().fleet
    tombstone.bury(fleet, "x", Tombstone(1, "tokyo", "m"))
    look = {"salt": "s", "config": None}
    assert steps.pack(session, "x", {"move": "m"}, streams)["rows"] == 1
    database(sandbox, "x").unlink()
    assert steps.pack(session, "x", {"move": "m"}, streams)["rows"] == 0, "it may have none yet"
    assert steps.look(session, "x", look, streams)["lacks"] is None
    remember(sandbox, x=InstanceState(registered_at="2026-01-01T00:00:00"))
    with pytest.raises(ManagerError, match="has no database of it; is the disk mounted"):
        steps.pack(session, "x", {"move": "m"}, streams)
    assert "is the disk mounted" in str(steps.look(session, "x", look, streams)["lacks"])


def test_an_instance_whose_earlier_backup_has_a_database_does_not_go_without(tmp_path: Path) -> None:
    sandbox = a_project(tmp_path, "x")
    session = Quiet(sandbox)
    fleet = session.project().fleet
    backup_of(sandbox).path.parent.rename(fleet.backup_dir)
    tombstone.bury(fleet, "x", Tombstone(1, "tokyo", "m"))
    database(sandbox, "x").unlink()
    with pytest.raises(ManagerError, match="its database was in backup-desk-"):
        steps.pack(session, "x", {"move": "m"}, steps.Streams(io.BytesIO(), io.BytesIO()))


def test_a_host_stays_while_a_move_needs_it(sandbox: Sandbox) -> None:
    fleet = Session(sandbox.folder).project().fleet
    hosts = {name: Host(name, f"{name}.example", None, None, "/srv/desk") for name in ("tokyo", "osaka")}
    registry.save(sandbox.folder, hosts)
    moved = Journal("m1", "here", "tokyo", 1, did_run=True, step="copy")
    journal.save(fleet, ID, moved)
    output = sandbox.transcript("host remove tokyo")
    assert f"the move of {ID} from here to tokyo is not finished" in output
    assert f"`manager move {ID} tokyo` finishes it, `manager move {ID} --back` calls it off" in output
    assert sandbox.exit_code == FAILED
    assert set(registry.load(sandbox.folder)) == {"tokyo", "osaka"}
    journal.save(fleet, ID, moved._replace(source="tokyo", target="here"))
    assert f"`manager move {ID} --from tokyo`" in sandbox.transcript("host remove tokyo")
    sandbox.transcript("host remove osaka")
    assert set(registry.load(sandbox.folder)) == {"tokyo"}
    sandbox.transcript("host remove tokyo --force")
    assert registry.load(sandbox.folder) == {}
    registry.save(sandbox.folder, hosts)
    journal.save(fleet, ID, moved._replace(step="clean", is_done=True))
    assert "tokyo was removed" in sandbox.transcript("host remove tokyo")


def test_a_machine_is_called_in_the_others_tombstone_as_its_settings_call_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was what `hostname` says, by which the other one's config/hosts.toml need not know it.

    The other machine then noticed nothing when this one had forgotten the instance.
    """
    moves: list[Move] = []

    def run(move: Move, **_more: object) -> int:
        moves.append(move)
        return 0

    monkeypatch.setattr(moving, "run", run)
    with (sandbox.folder / "config" / "fleet.toml").open("a") as settings:
        settings.write('host = "osaka"\n')
    (sandbox.folder / "config" / "hosts.toml").write_text('tokyo = "ssh://tokyo/srv/desk"\n')
    sandbox.run("move bp_sol_01 --from tokyo")
    [move] = moves
    assert (move.source.label, move.target.label) == ("tokyo", "osaka")
    for to in ("osaka", platform.node()):
        stone = Tombstone(1, to, "m1", did_run=True)
        there = {"stone": None, "newest": 0, "here": 0}
        assert bound.has_lost_journal(move, stone, there, None), "also of an earlier version's move"
