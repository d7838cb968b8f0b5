"""What a snapshot is put together from, and in which order."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from manager.config.loaded import LoadedFile
from manager.config.spec import config_hash
from manager.engine import labels
from manager.engine.containers import observe
from manager.fleet import observe as observing
from manager.fleet import project as projects
from manager.fleet import supervisor_state
from manager.i18n import Text
from tests.builders import FLEET_NAME, a_config, a_container, a_row, a_supervisor_file, write_config


def test_the_clock_is_read_after_the_supervisors_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written between the two would seem to be of an earlier boot, and its bot to be
    starting.
    """
    calls: list[str] = []
    real_read, real_uptime = supervisor_state.read, supervisor_state.uptime

    def read(folder: Path) -> supervisor_state.SupervisorState | None:
        calls.append("read")
        return real_read(folder)

    def uptime() -> float:
        calls.append("uptime")
        return real_uptime()

    monkeypatch.setattr(supervisor_state, "read", read)
    monkeypatch.setattr(supervisor_state, "uptime", uptime)
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    write_config(tmp_path, a_config("bp_eth_02", 5002))
    rows = [a_row("bp_sol_01"), a_row("bp_eth_02")]
    observing.assemble(projects.read(tmp_path), observe(rows, FLEET_NAME), observing.NO_IMAGE)
    assert calls.index("uptime") > max(index for index, call in enumerate(calls) if call == "read")
    assert calls.count("read") >= 2


def test_twice_the_configs_are_twice_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of a look at 200 instances went through all configs again for each of them."""
    visits, visit_counts = 0, []
    own_spec = LoadedFile.own_spec.__get__

    def counted(loaded: LoadedFile) -> object:
        nonlocal visits
        visits += 1
        return own_spec(loaded)

    monkeypatch.setattr(LoadedFile, "own_spec", property(counted))
    for number in range(20):
        write_config(tmp_path, a_config(f"bot_{number:02}", 5001 + number), f"bot_{number:02}")
        if number in {9, 19}:
            project, visits = projects.read(tmp_path), 0
            observing.assemble(project, observe([], FLEET_NAME), observing.NO_IMAGE)
            visit_counts.append(visits)
    assert visit_counts[1] == 2 * visit_counts[0] > 0


def test_nothing_is_hashed_where_the_cache_has_the_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hash loads OpenSSL, which takes 3 ms of each `ps`."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    project = projects.read(tmp_path)
    own_hash = config_hash(project.specs["bp_sol_01"], project.fleet)
    made_here = {labels.COMPOSE_WORKING_DIR: str(tmp_path), labels.CONFIG_HASH: own_hash}
    row = a_row("bp_sol_01", labels={**made_here, labels.MODE: "live"}, Mounts=[])
    monkeypatch.delattr(hashlib, "sha256")
    snapshot = observing.assemble(projects.read(tmp_path), observe([row], FLEET_NAME), observing.NO_IMAGE)
    assert "settings" in snapshot.views["bp_sol_01"].drift


@pytest.mark.parametrize(("container", "idle"), [("id-of-bp_sol_01", {"bp_sol_01"}), ("another", set())])
def test_only_its_own_supervisor_tells_that_a_container_is_idle(
    tmp_path: Path, container: str, idle: set[str]
) -> None:
    """What a container before it wrote at a halt is no reason to call a bot that trades down."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    project = projects.read(tmp_path)
    halted = a_supervisor_file("stopped", container=container, reason={"code": "halted"}, bot_pid=None)
    state_dir = project.fleet.instance_state_dir("bp_sol_01")
    state_dir.mkdir(parents=True)
    (state_dir / supervisor_state.STATE_FILE).write_text(json.dumps(halted))
    rows = observe([a_row("bp_sol_01", labels={labels.MODE: "live"})], FLEET_NAME)
    snapshot = observing.assemble(project, rows, observing.NO_IMAGE)
    assert snapshot.plan_input.idle == idle
    assert [one.instance for one in snapshot.trading([])] == ([] if idle else ["bp_sol_01"])


def test_only_who_holds_its_lock_runs_it_in_another_container(tmp_path: Path) -> None:
    """The file of a container that was killed stays: it would keep the instance from ever being started."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    project = projects.read(tmp_path)
    state_dir = project.fleet.instance_state_dir("bp_sol_01")
    state_dir.mkdir(parents=True)
    (state_dir / supervisor_state.STATE_FILE).write_text(json.dumps(a_supervisor_file(container="another")))

    def is_elsewhere() -> bool:
        snapshot = observing.assemble(project, observe([], FLEET_NAME), observing.NO_IMAGE)
        return snapshot.plan_input.runs_in_other_container("bp_sol_01")

    assert not is_elsewhere()
    with (state_dir / supervisor_state.LOCK_FILE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_elsewhere()


def test_who_trades_is_up_and_live_and_none_of_those_that_are_asked_for(tmp_path: Path) -> None:
    modes = {"bp_sol_01": "live", "bp_eth_02": "paper", "bp_btc_03": "live", "bp_ada_04": "live"}
    for number, name in enumerate(modes, start=5001):
        write_config(tmp_path, a_config(name, number), name)
    rows = [
        a_row(name, "exited" if name == "bp_btc_03" else "running", labels={labels.MODE: mode})
        for name, mode in modes.items()
    ]
    rows.append({**a_row("bp_sol_01", labels={labels.MODE: "live"}), "Id": "copy", "Names": ["/a-copy"]})
    observed = observe(rows, FLEET_NAME)
    snapshot = observing.assemble(projects.read(tmp_path), observed, observing.NO_IMAGE)

    def trading(*excepted: str) -> list[str]:
        return [one.container for one in snapshot.trading(excepted)]

    assert trading() == [f"{FLEET_NAME}-bp_ada_04", f"{FLEET_NAME}-bp_sol_01", "a-copy"]
    assert trading("bp_sol_01") == [f"{FLEET_NAME}-bp_ada_04"]


def test_one_that_trades_on_paper_as_it_was_keeps_no_other_from_its_account(tmp_path: Path) -> None:
    """Its config, which is refused, says live by now; what is put back is the paper bot of before."""
    (tmp_path / ".env").write_text("BACKPACK_KEY=k1\nBACKPACK_SECRET=s1\n")
    for number, name in enumerate(("bp_sol_01", "bp_eth_02"), start=5001):
        write_config(tmp_path, a_config(name, number, mode="live"), name)
    market = {labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    project = projects.read(tmp_path)
    env = project.fleet.secrets_dir("bp_eth_02") / "env.json"
    env.parent.mkdir(parents=True)
    env.write_text(json.dumps({"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}))

    def conflicts(mode: str) -> list[str]:
        rows = observe([a_row("bp_eth_02", "exited", labels={**market, labels.MODE: mode})], FLEET_NAME)
        snapshot = observing.assemble(project, rows, observing.NO_IMAGE)
        refused = snapshot.plan_input._replace(untrusted={"bp_eth_02": Text("{problem}", problem="x")})
        return [str(problem) for problem in snapshot._replace(plan_input=refused).conflicts(None)]

    assert conflicts("paper") == []
    assert f"container {FLEET_NAME}-bp_eth_02 already trades" in "".join(conflicts("live"))


def test_what_the_fleets_image_gives_is_not_compared_with_a_container_of_another(tmp_path: Path) -> None:
    """Each entry that a new image adds would else be a setting that somebody took away by hand."""
    image = observing.Image("sha256:one", "2", config={"Env": ["A=1"]})
    assert image.config_of(a_container()) == {"Env": ["A=1"]}
    assert image.config_of(a_container(ImageID="sha256:two")) is None
    assert observing.Image("sha256:one", "2").config_of(a_container()) is None


def test_in_a_folder_that_was_moved_the_place_of_before_is_no_drift(tmp_path: Path) -> None:
    """Each container would else be called different from its config, and `compose.yaml` made anew."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    project = projects.read(tmp_path)
    state_dir = project.fleet.instance_state_dir("bp_sol_01")
    state_dir.mkdir(parents=True)
    (state_dir / supervisor_state.STATE_FILE).write_text(json.dumps(a_supervisor_file()))
    rows = observe([a_row("bp_sol_01", "exited")], FLEET_NAME)
    plan_input = observing.assemble(project, rows, observing.NO_IMAGE).plan_input
    assert plan_input.moved == {"bp_sol_01"}
    assert dict(plan_input.made) == {}


def test_of_those_that_were_touched_only_what_is_still_there_is_kept(tmp_path: Path) -> None:
    names = ("bp_sol_01", "bp_eth_02", "bp_btc_03")
    for number, name in enumerate(names, start=5001):
        write_config(tmp_path, a_config(name, number), name)
    observed = observe([a_row(name) for name in names], FLEET_NAME)
    before = observing.assemble(projects.read(tmp_path), observed, observing.NO_IMAGE)

    class Listing:
        """An engine that lists what is left: one of the two that were touched, and it has ended."""

        def containers(self, _filter: object, ids: Collection[str]) -> list[dict[str, Any]]:
            assert sorted(ids) == ["id-of-bp_btc_03", "id-of-bp_sol_01"]
            return [a_row("bp_btc_03", "exited")]

    again = observing.observed_again(before, Listing(), ["bp_sol_01", "bp_btc_03"])  # type: ignore[arg-type]
    states = {name: container.engine_state for name, container in again.containers.items()}
    assert states == {"bp_eth_02": "running", "bp_btc_03": "exited"}


def test_what_drifted_before_is_known_of_those_that_were_not_touched(tmp_path: Path) -> None:
    names = ("bp_sol_01", "bp_eth_02", "bp_btc_03")
    for number, name in enumerate(names, start=5001):
        write_config(tmp_path, a_config(name, number), name)
    observed = observe([a_row("bp_sol_01"), a_row("bp_eth_02")], FLEET_NAME)
    again = observing.assemble(
        projects.read(tmp_path),
        observed,
        observing.NO_IMAGE,
        made_before={"bp_sol_01": ("limits",), "bp_eth_02": (), "bp_btc_03": ("user",)},
    )
    assert again.plan_input.made == {"bp_sol_01": ("limits",)}
