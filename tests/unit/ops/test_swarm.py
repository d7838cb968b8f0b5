"""Services of a Swarm: what is known of them, and what halt, up and down make of what cannot be known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from manager.engine import labels
from manager.engine.swarm_calls import NoLeader, NotManaged, SwarmCalls, _meant
from manager.engine.swarm_stack import MACHINE, NODE
from manager.errors import ConfigError, EngineError, ManagerError, NotFound, UsageError
from manager.fleet import project as projects
from manager.fleet.observe import Image
from manager.ops.swarm import changes, checks, places, refusals, stack, state
from manager.ops.swarm.places import Place
from manager.ops.swarm.state import Service
from tests.builders import a_config, a_fleet, a_spec


def a_service(instance: str = "one", node: str = "n1", replicas: int = 1, **own: str) -> dict[str, Any]:
    return {
        "ID": f"id-{instance}",
        "Version": {"Index": 7},
        "Spec": {
            "Name": f"desk_{instance}",
            "Labels": {
                labels.INSTANCE: instance,
                labels.MODE: "paper",
                labels.STOP_TIMEOUT: "50",
                NODE: node,
                MACHINE: f"machine-{node}",
                **own,
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
        },
        "Endpoint": {"Spec": {}},
    }


def a_task(
    actual: str = "running", wanted: str = "running", node: str = "n1", at: int = 1, **more: Any
) -> dict[str, Any]:
    return {
        "ID": f"t{at}",
        "ServiceID": "id-one",
        "NodeID": node,
        "DesiredState": wanted,
        "Status": {"State": actual, "Timestamp": f"2026-11-29T00:00:0{at}.5Z", **more},
    }


def a_node(name: str = "n1", status: str = "ready", **own: str) -> dict[str, Any]:
    return {
        "ID": name,
        "Version": {"Index": 3},
        "Description": {"Hostname": name},
        "Status": {"State": status},
        "Spec": {"Labels": dict(own), "Availability": "active"},
    }


def seen(*tasks: dict[str, Any], node: dict[str, Any] | None = None, **service: Any) -> Service:
    nodes = state.nodes([node or a_node()])
    [seen_service] = state.services("desk", [a_service(**service)], tasks, nodes)
    return seen_service


HALTED = {"botfleet-halted.desk.one": "yes"}


@pytest.mark.parametrize(
    ("service", "word", "may_run"),
    [
        (seen(a_task()), "running", True),
        (seen(a_task(wanted="shutdown")), "stopping", True),
        (seen(a_task("preparing")), "starting", True),
        (seen(a_task("pending", node="")), "waiting", False),
        (seen(a_task("rejected", Err="no such image")), "failing", False),
        (seen(replicas=0), "stopped", False),
        (seen(a_task("shutdown", "shutdown"), replicas=0), "stopped", False),
        (seen(a_task("pending", node=""), node=a_node(**HALTED)), "halted", False),
        (seen(a_task(), node=a_node(**HALTED)), "running", True),
        (seen(a_task(), node=a_node(status="down")), "unreachable", True),
        (seen(a_task("running", "shutdown"), node=a_node(status="down"), replicas=0), "unreachable", True),
        (seen(a_task("orphaned", "shutdown"), node=a_node(status="down"), replicas=0), "unreachable", True),
        (seen(a_task("running"), node=a_node(status="unknown")), "unreachable", True),
        (seen(node=a_node("n2"), replicas=0), "unreachable", True),
        (seen(a_task("shutdown", "shutdown"), node=a_node(status="down"), replicas=0), "stopped", False),
    ],
)
def test_what_a_service_does(service: Service, word: str, may_run: bool) -> None:
    assert (service.state, service.may_run) == (word, may_run)


def test_what_cannot_be_known_is_said() -> None:
    assert "last seen: running" in str(seen(a_task(), node=a_node(status="down")).note)
    assert "not in the Swarm any more" in str(seen(node=a_node("n2")).note)
    assert "2 tasks" in str(seen(a_task("running", "shutdown"), a_task(at=2)).note)
    assert "no such image" in str(seen(a_task("rejected", Err="no such image")).note)
    assert seen(a_task()).note is None


def test_a_published_port_is_said_first() -> None:
    published = a_service()
    published["Endpoint"]["Ports"] = [{"PublishedPort": 5001}]
    [service] = state.services("desk", [published], [a_task()], state.nodes([a_node(status="down")]))
    assert "PUBLISHED PORT" in str(service.note)


@pytest.mark.parametrize(("text", "at"), [("", 0.0), ("yesterday", 0.0), ("1970-01-01T00:00:09.25Z", 9.25)])
def test_the_engines_times(text: str, at: float) -> None:
    assert state.moment(text) == at


class FakeSwarm:
    """A Swarm of a few rows. `obeys`: whether its nodes end what they are told to."""

    def __init__(
        self, *rows: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]]
    ) -> None:
        self.rows, self.task_rows, self.machines = list(rows), tasks, nodes
        self.exit_code = 0
        self.removed: list[str] = []

    @property
    def calls(self) -> SwarmCalls:
        return cast(SwarmCalls, self)

    def services(self, fleet: str) -> list[dict[str, Any]]:
        assert fleet == "desk"
        return self.rows

    def tasks(self, fleet: str) -> list[dict[str, Any]]:
        assert fleet == "desk"
        return self.task_rows

    def nodes(self) -> list[dict[str, Any]]:
        return self.machines

    def set_replicas(self, service: str, count: int) -> None:
        [row] = [row for row in self.rows if row["ID"] == service]
        row["Spec"]["Mode"]["Replicated"]["Replicas"] = count
        self._settle(service, count)

    def _settle(self, service: str, count: int) -> None:
        ready = {node["ID"] for node in self.machines if node["Status"]["State"] == "ready"}
        for task in self.task_rows:
            if task["ServiceID"] != service or count:
                continue
            task["DesiredState"] = "shutdown"
            if task["NodeID"] in ready and task["Status"]["State"] == "running":
                ended = {"State": "shutdown", "ContainerStatus": {"ExitCode": self.exit_code}}
                task["Status"] = {**task["Status"], **ended}
        if count and not any(task["DesiredState"] == "running" for task in self.task_rows):
            self.task_rows.append(a_task(at=9))

    def set_node_labels(self, node: str, wanted: Mapping[str, str | None]) -> None:
        for row in self.machines:
            if row["ID"] == node:
                after = {**row["Spec"]["Labels"], **wanted}
                row["Spec"]["Labels"] = {name: value for name, value in after.items() if value is not None}
                return
        raise NotFound("{why}", why=f"node {node} not found")

    def remove_service(self, service: str) -> None:
        self.removed.append(service)

    def remove_secrets(self, fleet: str, instance: str) -> None:
        self.removed.append(f"secrets of {fleet} {instance}")

    def remove_network(self, name: str) -> None:
        self.removed.append(name)


def halted(swarm: FakeSwarm) -> changes.Stopped:
    [result] = changes.halt(swarm.calls, "desk", changes.look(swarm.calls, "desk"))
    return result


def test_a_halt_stops_and_stays_whoever_deploys_again() -> None:
    swarm = FakeSwarm(a_service(), tasks=[a_task()], nodes=[a_node()])
    assert halted(swarm).how == "stopped"
    swarm.rows[0]["Spec"]["Mode"]["Replicated"]["Replicas"] = 1  # `docker stack deploy`
    [after] = changes.look(swarm.calls, "desk")
    assert (after.is_halted, after.state) == (True, "halted")
    assert halted(swarm).how == "was down"


@pytest.mark.parametrize("code", [1, 137])
def test_a_bot_that_had_to_be_killed_is_said(code: int) -> None:
    swarm = FakeSwarm(a_service(), tasks=[a_task()], nodes=[a_node()])
    swarm.exit_code = code
    assert halted(swarm).how == "killed"


def test_a_node_that_does_not_answer_may_run_its_bot() -> None:
    swarm = FakeSwarm(a_service(), tasks=[a_task()], nodes=[a_node(status="down")])
    result = halted(swarm)
    assert (result.how, result.is_down) == ("unreachable", False)
    assert swarm.rows[0]["Spec"]["Mode"]["Replicated"]["Replicas"] == 0
    assert swarm.machines[0]["Spec"]["Labels"] == HALTED


def test_a_node_that_left_the_swarm_may_run_its_bot() -> None:
    swarm = FakeSwarm(a_service(), tasks=[], nodes=[a_node("n2")])
    result = halted(swarm)
    assert (result.how, result.is_down) == ("unreachable", False)
    assert "not found" in str(result.error)


def test_down_keeps_the_service_of_a_bot_that_may_run() -> None:
    away = FakeSwarm(a_service(), tasks=[a_task()], nodes=[a_node(status="down")])
    changes.remove(away.calls, "desk", changes.stop(away.calls, "desk", changes.look(away.calls, "desk")))
    assert away.removed == []
    here = FakeSwarm(a_service(), tasks=[a_task()], nodes=[a_node()])
    changes.remove(here.calls, "desk", changes.stop(here.calls, "desk", changes.look(here.calls, "desk")))
    assert here.removed == ["id-one", "secrets of desk one", "desk_one"]
    assert here.machines[0]["Spec"]["Labels"] == {}


def test_a_start_lifts_the_halt() -> None:
    swarm = FakeSwarm(a_service(replicas=0), tasks=[], nodes=[a_node(**HALTED)])
    [started] = changes.start(swarm.calls, "desk", changes.look(swarm.calls, "desk"), 5)
    assert (started.state, started.is_halted) == ("running", False)


def test_a_service_that_another_removed_meanwhile_is_not_taken_for_stopped() -> None:
    before = seen(a_task(), node=a_node(status="down"))
    assert changes._stopped(before, None, None).how == "unreachable"
    assert changes._stopped(seen(a_task()), None, None).how == "still runs"


def test_a_name_that_the_swarm_does_not_have() -> None:
    with pytest.raises(UsageError, match="no service of two"):
        changes.chosen([seen()], ["one", "two"])


def test_services_without_a_config_are_named() -> None:
    assert "go on: one" in str(changes.left_behind([seen()], frozenset()))
    assert changes.left_behind([seen()], frozenset({"one"})) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("This node is not a swarm manager. Use docker swarm init", NotManaged),
        ("rpc error: The swarm does not have a leader. It's possible that", NoLeader),
        ("something else", EngineError),
    ],
)
def test_what_the_engine_says_of_its_swarm(text: str, kind: type[EngineError]) -> None:
    assert type(_meant(EngineError("the engine says: {why}", why=text))) is kind


def test_what_swarm_cannot_do_is_refused() -> None:
    assert refusals.of([a_spec()], a_fleet()) == []
    [name] = refusals.of([a_spec("bp.sol")], a_fleet())
    assert "no service named desk_bp.sol" in str(name)
    [egress] = refusals.of([a_spec()], a_fleet(egress=True))
    assert str(egress).startswith("config/fleet.toml: container.egress: ")


TOLD = "halted four\nnode n1\nimage yes\nuid 1000\ngid 1001\ndata /srv/desk/volumes\nplain two\nmoved three\n"


@pytest.mark.parametrize(
    ("service", "place", "why"),
    [
        (seen(a_task()), ("n1", "machine-n1"), None),
        (seen(a_task()), ("n1", "renamed"), None),
        (seen(a_task()), ("n2", "machine-n2"), "down one` first"),
        (seen(replicas=0), ("n2", "machine-n2"), "machine-n1, which has its data"),
        (seen(a_task(), node=a_node(status="down")), ("n2", "machine-n2"), "docker service rm desk_one"),
        (seen(a_task(), node=a_node(status="down")), ("n2", "machine-n1"), "docker service rm desk_one"),
        (seen(node=a_node("n2")), ("n2", "machine-n1"), None),
        (seen(node=a_node("n2")), ("n2", "machine-n2"), "docker service rm desk_one"),
    ],
)
def test_a_service_stays_where_its_data_are(
    service: Service, place: tuple[str, str], why: str | None
) -> None:
    places = {"one": place, "new": ("n9", "machine-n9")}
    if why is None:
        refusals.require_stay([service], places)
        return
    with pytest.raises(ManagerError, match=why):
        refusals.require_stay([service], places)
    refusals.require_stay([service], {})


def test_a_halt_counts_on_whichever_node_the_instance_is_to_run() -> None:
    swarm = FakeSwarm(tasks=[], nodes=[a_node(**HALTED), a_node("n2"), a_node("n3")])
    changes.carry_halts(swarm.calls, "desk", {"one": "n2", "two": "n3"})
    assert [node["Spec"]["Labels"] for node in swarm.machines] == [HALTED, HALTED, {}]
    swarm.rows = [a_service(node="n2", replicas=0)]
    changes.start(swarm.calls, "desk", changes.look(swarm.calls, "desk"), 0)
    assert [node["Spec"]["Labels"] for node in swarm.machines] == [{}, {}, {}]


def test_what_a_machine_tells() -> None:
    place = places.told("tokyo", TOLD)
    assert place == places.Place(
        "n1", "/srv/desk/volumes", 1000, 1001, True, *map(frozenset, (["three"], ["two"], ["four"]))
    )


def test_a_machine_in_no_swarm() -> None:
    with pytest.raises(ManagerError, match="node tokyo: its engine is in no Swarm"):
        places.told("tokyo", TOLD.replace("node n1", "node "))


@pytest.mark.parametrize(
    ("ids", "changed", "why"),
    [
        (["two"], TOLD, "two run there as containers"),
        (["three"], TOLD, "three were moved away"),
        (["one"], TOLD.replace("image yes\n", ""), "`manager build`"),
    ],
)
def test_where_an_instance_may_not_run_as_a_service(ids: list[str], changed: str, why: str) -> None:
    place = places.told("tokyo", changed)
    with pytest.raises(ManagerError, match=why):
        stack._require_free("tokyo", place, ids, "sha256:ab", {})
    stack._require_free("tokyo", places.told("tokyo", TOLD), ["one"], "sha256:ab", {})


def test_a_secrets_name_changes_with_its_values_and_needs_the_key_to_be_guessed() -> None:
    names = {
        stack.secret_name(key, fleet, instance, content)
        for key in (b"k" * 32, b"l" * 32)
        for fleet in ("desk", "other")
        for instance in ("one", "two")
        for content in (b"{}", b'{"a": 1}')
    }
    assert len(names) == 16
    assert all(len(name) <= 64 for name in names)


def findings_of(
    *nodes: dict[str, Any], service: dict[str, Any] | None = None, heartbeat_s: int = 30
) -> list[str]:
    settings = {"Spec": {"Dispatcher": {"HeartbeatPeriod": heartbeat_s * checks.NANO}}}
    findings = checks.findings("desk", [service or a_sound_service()], nodes or three_managers(), settings)
    return [f"{line.level}: {line.text}" for line in findings]


def three_managers() -> list[dict[str, Any]]:
    return [
        {**a_node(name), "Spec": {"Role": "manager", "Availability": "active"}} for name in ("n1", "n2", "n3")
    ]


def a_sound_service(**changed: Any) -> dict[str, Any]:
    service = a_service()
    service["Spec"]["TaskTemplate"] = {
        "Placement": {"Constraints": ["node.id == n1", "node.labels.botfleet-halted.desk.one != yes"]}
    }
    service["Spec"].update(changed)
    return service


def test_a_sound_swarm_has_one_finding_that_says_so() -> None:
    assert findings_of() == ["ok: nothing to complain about"]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"TaskTemplate": {}}, "not pinned"),
        ({"TaskTemplate": {"Placement": {"Constraints": ["node.id==n1"]}}}, "would not last"),
        ({"Mode": {"Replicated": {"Replicas": 2}}}, "to run 2 times"),
        ({"Mode": {"Global": {}}}, "to run ? times"),
        ({"UpdateConfig": {"Order": "start-first"}}, "start before it stops"),
        ({"EndpointSpec": {"Ports": [{"PublishedPort": 80}]}}, "published port"),
    ],
)
def test_a_service_that_somebody_changed(changed: dict[str, Any], what: str) -> None:
    lines = findings_of(service=a_sound_service(**changed))
    assert all(line.startswith("failed: one") for line in lines)
    assert any(what in line for line in lines)


def test_nodes_that_endanger_a_fleet() -> None:
    down, drained, old = three_managers()
    down["Status"]["State"] = "down"
    drained["Spec"]["Availability"] = "drain"
    old["Description"]["Engine"] = {"EngineVersion": "19.03.15"}
    lines = findings_of(down, drained, old)
    assert [line.partition(" (")[0].partition(",")[0] for line in lines] == [
        "failed: node n1 does not answer: its bots may trade",
        "warning: node n2 takes no tasks",
        "failed: node n3 has engine 19.03.15",
    ]
    assert "2 managers: with 1 of them lost" in findings_of(*three_managers()[:2])[0]
    assert "1 manager: with 1 of them lost" in findings_of(*three_managers()[:1])[0]


def test_a_heartbeat_that_makes_a_short_cut_a_restart() -> None:
    assert "every 5 s" in findings_of(heartbeat_s=5)[0]


def a_project(folder: Path, settings: str = "", **configs: dict[str, Any]) -> projects.Project:
    (folder / "config" / "active").mkdir(parents=True)
    (folder / "config" / "fleet.toml").write_text(f'name = "desk"\nhost = "home"\n{settings}')
    for name, config in configs.items():
        (folder / "config" / "active" / f"{name}.json").write_text(json.dumps(config))
    return projects.read(folder)


def test_each_instance_belongs_to_the_machine_that_its_config_names(tmp_path: Path) -> None:
    project = a_project(tmp_path, one=a_config("one"), two={**a_config("two", None), "host": "tokyo"})
    choice = stack.choose(project)
    assert [(pinned.spec.id, pinned.machine) for pinned in choice.chosen] == [
        ("one", "home"),
        ("two", "tokyo"),
    ]
    assert all(pinned.spec.web_port for pinned in choice.chosen)
    assert choice.problems == ()


def test_a_bad_config_holds_back_only_itself(tmp_path: Path) -> None:
    unset = a_config("two", mode="live")
    dotted = a_config("th.ree", 5003)
    choice = stack.choose(
        a_project(tmp_path, one=a_config("one"), two={**unset, "host": "tokyo"}, three=dotted, four={})
    )
    assert choice.ids == {"one"}
    problems = "\n".join(map(str, choice.problems))
    for what in (
        "two.json: exchange_config: BACKPACK_KEY is not set",
        "no service named desk_th.ree",
        "four",
    ):
        assert what in problems


@pytest.mark.parametrize(("is_isolated", "given"), [(True, ["TZ"]), (False, ["SOME_RUNTIME", "TZ"])])
def test_the_bundled_bots_secret_has_what_it_reads(
    tmp_path: Path, is_isolated: bool, given: list[str]
) -> None:
    steering = {"environment": {"TZ": "UTC", "SOME_RUNTIME": "x"}}
    project = a_project(tmp_path, one={**a_config("one"), **steering})
    asks = f"python3 {'-I ' if is_isolated else ''}open_orders.py"
    image = Image("sha256:f00", "5", config={"Labels": {labels.OPEN_ORDERS: asks}})
    place = Place("n1", "/data", 1000, 1000, True, frozenset(), frozenset())
    text, secrets = stack._assembled(project, stack.choose(project).chosen, {"home": place}, image, tmp_path)
    [content] = secrets.values()
    assert sorted(set(json.loads(content)) & {"TZ", "SOME_RUNTIME"}) == given
    assert "image: sha256:f00" in text


def test_what_concerns_the_whole_fleet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"container\.egress"):
        stack.choose(a_project(tmp_path, "[container]\negress = true\n", one=a_config("one")))
