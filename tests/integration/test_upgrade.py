"""Roll-outs on a real engine: new images good and bad, changed configs, a manager that is killed in the
middle.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Project, eventually

pytestmark = pytest.mark.engine

BAD = 'ENV BOTFLEET_BOT_COMMAND="/bin/false"'
GOOD = "LABEL test.number="


def new_image(project: Project, line: str) -> str:
    """Gives the fleet an image that differs from the one it has by this line; its id."""
    name = f"{project.name}-bot:local"
    subprocess.run(
        ["docker", "build", "-q", "-t", name, "-"],
        input=f"FROM {name}\n{line}\n",
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    return project.docker("image", "inspect", "-f", "{{.Id}}", name).strip()


def facts(project: Project, instance: str) -> dict[str, Any]:
    """The container's id, image and memory limit."""
    (container,) = json.loads(project.docker("inspect", project.container(instance)))
    return {
        "id": container["Id"],
        "image": container["Image"],
        "memory": container["HostConfig"]["Memory"] >> 20,
    }


def image_of(project: Project, instance: str) -> str:
    """The image of the container; nothing at the moment at which it is being recreated."""
    return project.docker("inspect", "-f", "{{.Image}}", project.container(instance), check=False)


def results(project: Project, code: int, *args: str) -> dict[str, str]:
    done = project.manager("upgrade", "--ready", "0.5", "--json", *args, code=code)
    return {result["id"]: result["result"] for result in done.json}


def test_a_good_image_goes_out_one_by_one_and_comes_back(project: Project) -> None:
    for number, name in enumerate("abc"):
        project.add(name, number)
    project.manager("up", "--wait")
    project.manager("stop", "c")
    before = {name: facts(project, name) for name in "abc"}
    new = new_image(project, f"{GOOD}2")
    assert "`manager upgrade` upgrades them: a, b\n" in project.manager("up").out
    assert project.manager("upgrade", "--canary", "b", "--dry-run").out.splitlines()[:2] == [
        "canary: b: new image",
        "batch 2: a: new image",
    ]
    assert results(project, 0, "--canary", "b") == {"a": "upgraded", "b": "upgraded", "c": "left"}
    assert {name: facts(project, name)["image"] for name in "ab"} == {"a": new, "b": new}
    assert facts(project, "c") == before["c"], "an upgrade starts nothing"
    assert results(project, 0) == {"c": "left"}

    kept = project.folder / "volumes" / "secrets" / ".rollback"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o400}
    project.manager("rollback", "a")
    assert facts(project, "a")["image"] == before["a"]["image"]
    assert "a: left alone: rolled back (" in project.manager("up", "--recreate", "a").out
    project.manager("restart", "a", "--wait")
    assert facts(project, "a")["image"] == before["a"]["image"]
    assert "already rolled back" in project.manager("rollback", "a").out
    project.manager("stop", "b")
    project.manager("rollback", "b")
    assert project.states()["b"] == "stopped"
    assert results(project, 0, "a") == {"a": "upgraded"}


def test_a_bad_one_is_put_back_with_image_and_config_and_stops_the_roll_out(project: Project) -> None:
    for number, name in enumerate("ab"):
        project.add(name, number)
    project.manager("up", "--wait")
    before = {name: facts(project, name) for name in "ab"}
    new_image(project, BAD)
    project.change("a", daemon_config={"memory_limit_mb": 300})
    done = project.manager("upgrade", "--ready", "0.5", code=1)
    assert "not reached: b" in done.out
    assert "error: a: rolled back: it is restarting (exit code 1)" in done.err
    assert facts(project, "b") == before["b"]
    assert facts(project, "a") == {**before["a"], "id": facts(project, "a")["id"]}
    assert project.states() == {"a": "running", "b": "running"}
    output = project.manager("up", "--recreate").out
    assert "a: left alone: rolled back (" in output
    assert "b: left alone: the new image was rejected on a (" in output
    assert set(results(project, 0).values()) == {"left"}

    project.docker("tag", before["a"]["image"], f"{project.name}-bot:local")
    project.change("a", daemon_config={"memory_limit_mb": 310})
    assert "a: recreated (config changed" in project.manager("up", "--wait").out
    assert facts(project, "a")["memory"] == 310
    project.manager("upgrade")
    tags = project.docker("images", "-q", f"{project.name}-bot:rollback-*")
    assert tags == "", "nobody needs the kept image any more"


@pytest.mark.parametrize("way_on", ["upgrade", pytest.param("rollback", marks=pytest.mark.long_form)])
def test_a_killed_upgrade_is_finished_or_undone(project: Project, way_on: str) -> None:
    for number, name in enumerate("ab"):
        project.add(name, number)
    project.manager("up", "--wait")
    old = facts(project, "a")["image"]
    new = new_image(project, f"{GOOD}3")
    history = Path(project.folder, "volumes", "state", "history.json")
    upgrade = project.begin("upgrade", "--ready", "60")
    eventually(lambda: '"going"' in history.read_text() and new in image_of(project, "a"))
    upgrade.kill()
    upgrade.wait()
    project.manager(way_on, *(["--ready", "0.5"] if way_on == "upgrade" else []))
    assert project.states() == {"a": "running", "b": "running"}
    wanted = {"a": new, "b": new} if way_on == "upgrade" else {"a": old, "b": old}
    assert {name: facts(project, name)["image"] for name in "ab"} == wanted
