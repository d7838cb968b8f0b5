"""The old Python API's registry: foreign records in the file, containers from their labels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.compat import registry as compat_registry
from manager.engine.containers import observe
from manager.engine.labels import COMPOSE_PROJECT, COMPOSE_WORKING_DIR
from manager.errors import Locked
from manager.fleet import instances_json, lock, project, state_file
from manager.fleet import observe as observing
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState, InstanceState
from manager.instance_manager import InstanceManager, InstanceRegistry
from tests.builders import a_config, a_row, write_config

DEAD = 4_194_305
"""One more than any pid can be."""


@pytest.fixture
def alive() -> Iterator[int]:
    """The pid of a process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def with_container(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretends that an engine answers, with a container of bp_sol_01 whose bot has this host pid."""

    def pretend(pid: int) -> None:
        own = {COMPOSE_PROJECT: "desk", COMPOSE_WORKING_DIR: str(sandbox)}
        row = a_row(labels=own, Names=["/desk-bp_sol_01"], Mounts=[])

        def look(_session: Session) -> observing.FleetSnapshot:
            return observing.assemble(
                project.read(sandbox), observe([row], "desk"), observing.Image("sha256:one", "1")
            )

        monkeypatch.setattr(Session, "observe", look)
        monkeypatch.setattr(
            instances_json, "find_pids", lambda _views: instances_json.Pids({"bp_sol_01": pid})
        )

    return pretend


def written(folder: Path, place: str = "volumes/logs/instances.json") -> dict[str, Any]:
    return dict(json.loads((folder / place).read_text()))


def foreign(pid: int | None, **more: Any) -> dict[str, Any]:
    return {
        "config_file": "config/active/aster_btc_01.json",
        "pid": pid,
        "log_dir": "logs/aster_btc_01",
        "web_port": 5009,
        **more,
    }


# Which file


def test_the_default_stands_for_the_fleets_file(sandbox: Path) -> None:
    assert InstanceRegistry().registry_file == sandbox / "volumes/logs/instances.json"
    assert InstanceRegistry("logs/instances.json").registry_file == sandbox / "volumes/logs/instances.json"


def test_the_default_is_found_from_a_folder_below(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sandbox / "scripts").mkdir()
    monkeypatch.chdir(sandbox / "scripts")
    assert InstanceRegistry().registry_file == sandbox / "volumes/logs/instances.json"


def test_with_the_old_paths_it_is_the_old_file(sandbox: Path) -> None:
    (sandbox / "config" / "fleet.toml").write_text('data_dir = "."\n')
    InstanceRegistry().register("aster_btc_01", foreign(None))
    assert list(written(sandbox, "logs/instances.json")) == ["aster_btc_01"]


def test_a_file_that_the_old_system_left_is_used_and_shows_containers_too(
    sandbox: Path, with_container: Callable[..., None], alive: int
) -> None:
    (sandbox / "logs").mkdir()
    (sandbox / "logs" / "instances.json").write_text(json.dumps({"aster_btc_01": foreign(DEAD)}))
    with_container(alive)
    registry = InstanceRegistry()
    assert registry.registry_file == sandbox / "logs/instances.json"
    assert sorted(registry.load()) == ["aster_btc_01", "bp_sol_01"]


def test_any_other_file_is_a_registry_of_its_own(
    sandbox: Path, with_container: Callable[..., None], alive: int
) -> None:
    with_container(alive)
    registry = InstanceRegistry(sandbox / "scratch" / "mine.json")
    registry.register("a", {"pid": alive})
    assert list(registry.load()) == ["a"]
    assert list(written(sandbox, "scratch/mine.json")) == ["a"]


def test_without_a_project_it_is_a_plain_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: int
) -> None:
    monkeypatch.chdir(tmp_path)
    registry = InstanceRegistry()
    assert registry.load() == {}
    registry.register("a", {"pid": alive})
    assert (tmp_path / "logs" / "instances.json").exists()
    assert registry.count_instances() == 1


# Foreign records, without an engine


def test_register_get_update_unregister(sandbox: Path, alive: int) -> None:
    registry = InstanceRegistry()
    assert registry.register("aster_btc_01", foreign(alive, note="mine")) is None  # type: ignore[func-returns-value]
    record = registry.get("aster_btc_01")
    assert record is not None
    assert record["note"] == "mine"
    assert record["registered_at"] == record["last_updated"]
    assert registry.exists("aster_btc_01")
    assert registry.update("aster_btc_01", {"status": "running"}) is True
    assert registry.update("nobody", {"status": "running"}) is False
    assert written(sandbox)["aster_btc_01"]["status"] == "running"
    assert registry.unregister("aster_btc_01") is True
    assert registry.unregister("aster_btc_01") is False
    assert registry.get("aster_btc_01") is None
    assert written(sandbox) == {}


def test_lists_are_sorted_and_leave_the_dead_out(sandbox: Path, alive: int) -> None:
    registry = InstanceRegistry()
    for name, pid in (
        ("c", alive),
        ("b", DEAD),
        ("a", os.getpid()),
        ("none", None),
        ("zero", 0),
        ("text", "12"),
    ):
        registry.register(name, {"pid": pid, "web_port": 5000 + len(name)})
    assert [instance["instance_id"] for instance in registry.list_instances()] == ["a", "c"]
    everything = registry.list_instances(include_dead=True)
    assert [(entry["instance_id"], entry["is_alive"]) for entry in everything] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("none", False),
        ("text", False),
        ("zero", False),
    ]
    assert registry.get_running_instances() == registry.list_instances()
    assert (registry.count_instances(), registry.count_instances(alive_only=False)) == (2, 6)


def test_a_zombie_is_dead(sandbox: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    registry = InstanceRegistry()
    registry.register("a", {"pid": process.pid})
    assert registry.list_instances() == []
    process.wait()


def test_cleanup_removes_the_dead_and_counts_them(sandbox: Path, alive: int) -> None:
    registry = InstanceRegistry()
    for name, pid in (("a", alive), ("b", DEAD), ("c", None)):
        registry.register(name, {"pid": pid})
    assert registry.cleanup_dead_instances() == 2
    assert registry.cleanup_dead_instances() == 0
    assert list(written(sandbox)) == ["a"]


def test_cleanup_without_an_engine_leaves_the_fleets_own_records(sandbox: Path) -> None:
    fleet = project.read(sandbox).fleet
    fleet.export_file.parent.mkdir(parents=True)
    fleet.state_dir.mkdir(parents=True)
    state_file.save(fleet.state_file, FleetState("desk", {"bp_sol_01": InstanceState()}))
    fleet.export_file.write_text(json.dumps({"bp_sol_01": foreign(0), "old": foreign(DEAD)}))
    assert InstanceRegistry().cleanup_dead_instances() == 1
    assert list(written(sandbox)) == ["bp_sol_01"]


def test_a_port_finds_its_instance_the_living_first(sandbox: Path, alive: int) -> None:
    registry = InstanceRegistry()
    registry.register("a", {"pid": DEAD, "web_port": 5001})
    registry.register("b", {"pid": alive, "web_port": 5001})
    record = registry.get_instance_by_port(5001)
    assert record is not None
    assert record["instance_id"] == "b"
    assert registry.get_instance_by_port(5002) is None


def test_save_and_load_as_scripts_did(sandbox: Path) -> None:
    registry = InstanceRegistry()
    registry.save({"b": {"pid": 0}, "a": {"pid": 0}})
    assert list(registry.load()) == ["a", "b"]
    registry.save({})
    assert registry.load() == {}


def test_an_unreadable_file_is_never_silently_replaced(
    sandbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = sandbox / "volumes" / "logs" / "instances.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"bp_sol_01": {')
    registry = InstanceRegistry()
    assert registry.load() == {}
    assert "cannot parse" in caplog.text
    assert file.read_text() == '{"bp_sol_01": {'
    registry.register("a", {"pid": 0})
    [aside] = file.parent.glob("instances.json.unreadable-*")
    assert aside.read_text() == '{"bp_sol_01": {'
    assert list(written(sandbox)) == ["a"]


def test_concurrent_registrations_are_all_kept(sandbox: Path) -> None:
    script = (
        "import sys; from manager.instance_manager import InstanceRegistry as R; "
        "R().register(sys.argv[1], {'pid': 0})"
    )
    root = Path(__file__).resolve().parents[3]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, f"bot{n}"], env={**os.environ, "PYTHONPATH": str(root)}
        )
        for n in range(6)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0] * 6
    assert len(written(sandbox)) == 6


def test_a_registration_waits_for_the_fleets_lock(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = project.read(sandbox).fleet
    monkeypatch.setattr(compat_registry, "LOCK_WAIT_S", 0.1)
    with lock.held(fleet.lock_file, "up"), pytest.raises(Locked, match="manager up"):
        InstanceRegistry().register("a", {"pid": 0})
    monkeypatch.setattr(compat_registry, "LOCK_WAIT_S", 30)
    with lock.held(fleet.lock_file, "up"):
        thread = threading.Thread(target=InstanceRegistry().register, args=("a", {"pid": 0}))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(30)
    assert list(written(sandbox)) == ["a"]


# Containers win


def test_containers_come_from_their_labels(
    sandbox: Path, with_container: Callable[..., None], alive: int
) -> None:
    with_container(alive)
    registry = InstanceRegistry()
    [record] = registry.list_instances()
    assert (record["instance_id"], record["is_alive"], record["pid"], record["web_port"]) == (
        "bp_sol_01",
        True,
        alive,
        5001,
    )
    assert record["config_file"] == "config/active/bp_sol_01.json"
    assert registry.exists("bp_sol_01")


def test_a_containers_record_can_only_be_added_to(
    sandbox: Path, with_container: Callable[..., None], alive: int, caplog: pytest.LogCaptureFixture
) -> None:
    with_container(alive)
    registry = InstanceRegistry()
    registry.register("bp_sol_01", {"pid": 1, "web_port": 80, "note": "mine"})
    assert "bp_sol_01 is a container" in caplog.text
    record = registry.get("bp_sol_01")
    assert record is not None
    assert (record["pid"], record["web_port"], record["note"]) == (alive, 5001, "mine")
    assert registry.update("bp_sol_01", {"note": "yours", "status": "invented"}) is True
    assert registry.load()["bp_sol_01"]["note"] == "yours"
    assert registry.load()["bp_sol_01"]["status"] != "invented"
    assert registry.unregister("bp_sol_01") is False
    assert registry.cleanup_dead_instances() == 0
    registry.save({})
    assert list(registry.load()) == ["bp_sol_01"]
    assert list(written(sandbox)) == ["bp_sol_01"]


def test_foreign_records_live_beside_containers(
    sandbox: Path, with_container: Callable[..., None], alive: int
) -> None:
    with_container(alive)
    registry = InstanceRegistry()
    registry.register("aster_btc_01", foreign(os.getpid()))
    assert [instance["instance_id"] for instance in registry.list_instances()] == [
        "aster_btc_01",
        "bp_sol_01",
    ]
    assert registry.unregister("aster_btc_01") is True


# The export keeps what is not ours


def records_after_export(
    sandbox: Path, before: dict[str, Any], remembered: FleetState | None = None
) -> dict[str, Any]:
    """What the manager writes for a fleet without containers."""
    loaded = project.read(sandbox)
    if remembered is not None:
        loaded = loaded._replace(fleet_state=remembered)
    return instances_json.records(
        observing.assemble(loaded, observe([], "desk"), observing.NO_IMAGE), instances_json.Pids({}), before
    )


def test_each_field_that_the_export_writes_is_known_as_its_own(sandbox: Path) -> None:
    """One that is not would keep the value that it had first, and a caller could overwrite it."""
    own = {COMPOSE_PROJECT: "desk", COMPOSE_WORKING_DIR: str(sandbox)}
    containers = observe([a_row(labels=own, Names=["/desk-bp_sol_01"], Mounts=[])], "desk")
    snapshot = observing.assemble(project.read(sandbox), containers, observing.Image("sha256:one", "1"))
    [record] = instances_json.records(snapshot, instances_json.Pids({}), {}).values()
    assert record.keys() == instances_json.OWN_KEYS


def test_an_old_daemons_record_of_a_configured_instance_is_kept(sandbox: Path, alive: int) -> None:
    for pid in (alive, DEAD):
        before = {"bp_sol_01": foreign(pid, started_at="2099-01-01T00:00:00")}
        assert records_after_export(sandbox, before) == before


def test_a_record_of_ours_goes_with_its_container_unless_an_old_daemon_took_over(
    sandbox: Path, alive: int
) -> None:
    ours = FleetState("desk", {"bp_sol_01": InstanceState()})
    assert records_after_export(sandbox, {"bp_sol_01": foreign(DEAD)}, ours) == {}
    taken_over = {"bp_sol_01": foreign(alive)}
    assert records_after_export(sandbox, taken_over, ours) == taken_over
    reused = {
        "bp_sol_01": foreign(alive, started_at="2020-01-01T00:00:00", last_updated="2020-01-02T00:00:00")
    }
    assert records_after_export(sandbox, reused, ours) == {}


# Statistics and validation


def test_stats_of_a_living_process(sandbox: Path, alive: int) -> None:
    manager = InstanceManager()
    manager.registry.register("aster_btc_01", foreign(alive))
    manager.registry.register("dead", foreign(DEAD))
    stats = manager.get_instance_stats("aster_btc_01")
    assert stats is not None
    assert stats["is_alive"] is True
    info = stats["process_info"]
    assert set(info) == {"name", "status", "cpu_percent", "memory_mb", "num_threads", "create_time"}
    assert isinstance(info["memory_mb"], float)
    assert info["memory_mb"] > 1
    assert manager.get_instance_stats("nobody") is None
    everything = manager.get_all_stats()
    assert [entry["instance_id"] for entry in everything] == ["aster_btc_01", "dead"]
    assert "process_info" not in everything[1]


def test_validation_of_records_and_configs(sandbox: Path, alive: int) -> None:
    manager = InstanceManager()
    assert manager.validate_instance_config("nobody") == {
        "valid": False,
        "errors": ["there is no instance nobody"],
        "warnings": [],
    }
    manager.registry.register("aster_btc_01", {"pid": DEAD, "config_file": "config/active/aster_btc_01.json"})
    result = manager.validate_instance_config("aster_btc_01")
    assert result["errors"] == ["the record has no key log_dir", "the record has no key web_port"]
    assert result["warnings"] == [
        "config/active/aster_btc_01.json does not exist",
        "aster_btc_01 is not running",
    ]

    own = {"config_file": "config/active/bp_sol_01.json", "pid": alive, "log_dir": "config", "web_port": 5001}
    manager.registry.register("bp_sol_01", own)
    assert manager.validate_instance_config("bp_sol_01") == {"valid": True, "errors": [], "warnings": []}
    write_config(sandbox, a_config(daemon_config={"web_port": 0}))
    result = manager.validate_instance_config("bp_sol_01")
    assert result["valid"] is False
    assert result["errors"] == [
        "config/active/bp_sol_01.json: daemon_config.web_port: must be 1-65535, not 0"
    ]
