"""A fleet that the manager of an earlier commit made, and both managers to work on it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.fleet import ROOT, Done, Project, eventually

COMMIT = "71b03492fc041ddd33b4dbd92306535e4ae63bb0"
"""Whose fleets have to survive. Later commits may be added beside it; this one stays."""


class Life(NamedTuple):
    """What changes when an instance is recreated or restarted, in whatever way."""

    container: str
    started_at: str
    pid: int
    restarts: int
    bot_pid: int | None
    bot_started_at: float | None


@dataclass
class OldFleet:
    """`code`: the earlier commit's tree. `states`: what its manager said last, instance → state."""

    project: Project
    code: Path
    fake: FakeExchange

    def old(self, *args: str, code: int | None = 0) -> Done:
        """Runs the earlier commit's manager in the project."""
        return self.project.manager(*args, code=code, environ=of_code(self.code))

    def new(self, *args: str, code: int | None = 0) -> Done:
        """Runs this tree's manager in the project."""
        return self.project.manager(*args, code=code)

    def use_image(self, image: str) -> None:
        """Gives the fleet another image under the name it has, as `manager build` does."""
        self.project.docker("tag", image, f"{self.project.name}-bot:local")

    def inspected(self) -> dict[str, dict[str, Any]]:
        """Instance → everything the engine knows of its container, running or not."""
        label = f"label=com.docker.compose.project={self.project.name}"
        ids = self.project.docker("ps", "-aq", "--filter", label).split()
        containers = json.loads(self.project.docker("inspect", *ids)) if ids else []
        return {facts["Config"]["Labels"]["botfleet.instance"]: facts for facts in containers}

    def lives(self) -> dict[str, Life]:
        """Instance → its present life."""
        return {name: self._life(name, facts) for name, facts in self.inspected().items()}

    def _life(self, instance: str, facts: Mapping[str, Any]) -> Life:
        supervisor = self.project.supervisor(instance)
        state = facts["State"]
        return Life(
            facts["Id"],
            state["StartedAt"],
            state["Pid"],
            facts["RestartCount"],
            supervisor["bot_pid"],
            supervisor["bot_started_at"],
        )

    @contextmanager
    def untouched(self, *but: str) -> Iterator[None]:
        """Holds that nothing inside recreates, restarts, starts, stops or removes an instance, other than
        these.
        """
        before, remembered = self.lives(), self.remembered()
        yield
        assert _without(self.lives(), but) == _without(before, but)
        assert _without(self.remembered(), but) == _without(remembered, but)

    def remembered(self) -> dict[str, dict[str, Any]]:
        """Instance → what state/fleet.json keeps of it, under the names that the earlier commit gave to
        it.
        """
        instances = self.on_disk("state/fleet.json")["instances"]
        return {name: {key: values[key] for key in REMEMBERED} for name, values in instances.items()}

    def on_disk(self, path: str) -> Any:
        """The value of a JSON file of the data folder."""
        return json.loads((self.project.folder / "volumes" / path).read_text())


REMEMBERED = ("halted", "refused", "registered_at", "taken_down_at", "web_port", "wish")


def _without(values: Mapping[str, Any], but: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in but}


def of_code(code: Path) -> dict[str, str]:
    """The variables that make `python -m manager` the one of this tree."""
    return {"PYTHONPATH": str(code)}


def check_out(commit: str, target: Path) -> Path:
    """Lays the tree of a commit out, from this repository's own history. Fails where it is not there: nothing
    else tells whether the fleets of then survive.
    """
    target.mkdir()
    try:
        # A checkout that belongs to another user is read all the same.
        tar = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "archive", "--format=tar", commit],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode(errors="replace").strip() or error
        pytest.fail(
            f"cannot read commit {commit[:7]} from the history of {ROOT}, whose fleets have to survive "
            f"({why})."
            " A shallow clone gets it by `git fetch --unshallow`; a tree without history cannot run this"
            " test.",
            pytrace=False,
        )
    assert shutil.which("tar"), "tar is missing"
    subprocess.run(["tar", "-x", "-C", str(target)], input=tar, check=True)
    return target


def trade_at(project: Project, fake: FakeExchange) -> None:
    """Lets the project's live bots trade at this exchange, two of them with one account."""
    variables = {**fake.env, "GRIDBOT_RATE_LIMIT_MS": "2", "GRIDBOT_RECV_WINDOW_MS": "1000"}
    (project.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(
        settings.read_text().replace('["GRIDBOT_*"]', '["GRIDBOT_*", "*_API_URL"]')
        + "allow_shared_credentials = true\n"
    )


MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}
MESH_BETWEEN = {**MESH, "grid_upper_price": 157, "grid_lower_price": 145}
"""No price of the first one: to the exchange the two are one account."""
ORDERS_OF_MESH = 6
PATIENT = {"bot_stop_timeout": 60, "unhealthy_probes": 60}
"""A busy machine is no reason to kill a bot, or to start it again: nothing but what is asked for may touch
it here.
"""
REFUSED_BY_THE_BOT = {"strategy": "maker_hedge"}
"""A config that is sound, and with which the bundled bot ends at once."""


def add_failing(project: Project, instance: str, port: int) -> None:
    """Adds an instance that is `failed` after its one restart."""
    budget = {"max_restart_attempts": 1, "restart_delay": 0}
    project.add(instance, port, metadata=REFUSED_BY_THE_BOT, daemon_config=budget)


def until_failed(project: Project, instance: str) -> None:
    eventually(lambda: project.supervisor(instance)["state"] == "failed", what="its budget is spent")


def until_orders(fake: FakeExchange, live_bots: int) -> None:
    count = live_bots * ORDERS_OF_MESH
    eventually(lambda: len(fake.book.own_open()) == count, what=f"{count} orders")
