"""What the world does to a fleet: ports, images, names, configs.

Each a clear error that names what to do, nothing lost.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine


@pytest.mark.long_form
def test_a_port_is_taken_and_freed(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    bots.add(project, "two", 1)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", project.first_port))
        taken.listen()
        done = project.manager("up", code=1)
        assert f"cannot start one: port {project.first_port} is in use by " in done.err
        assert "change daemon_config.web_port in config/active/one.json" in done.err
        assert project.ps()["one"]["word"] == "created"
    project.manager("up", "--wait")
    bots.until(project, "running", "one", "two")
    note(
        "the port is taken by another program",
        "a listening socket",
        1,
        "the program and the setting are named; the others start",
    )


@pytest.mark.long_form
def test_images_that_cannot_be_used(project: Project, fault_image: str, note: Note) -> None:
    bots.add(project, "one", 0)
    tag = f"{project.name}-bot:local"
    project.docker("rmi", tag)
    settings = project.folder / "config" / "fleet.toml"  # an image of somebody's own is never built by `up`
    settings.write_text(f'image = "{tag}"\n{settings.read_text()}')
    assert "does not exist; build it with `manager build`" in project.manager("up", code=1).err
    project.docker("tag", "botfleet-base:bookworm", tag)
    assert "has no botfleet supervisor (label botfleet.supervisor=1)" in project.manager("up", code=1).err
    assert project.ids() == {}
    project.docker("rmi", tag)
    (project.folder / "broken").mkdir()
    (project.folder / "broken" / "Dockerfile").write_text(
        f'FROM {fault_image}\nENTRYPOINT ["/bin/sh", "-c", "echo broken >&2; exit 42"]\n'
    )
    project.docker("build", "-q", "-t", tag, str(project.folder / "broken"))
    project.manager("up")
    row = eventually(
        lambda: (now := project.ps()["one"])["state"] == "restarting" and now, what="the loop is seen"
    )
    assert row["why"] == "container exit code 42"
    assert "broken" in bots.printed(project, project.container("one"))
    project.manager("stop", "one")
    assert project.states() == {"one": "stopped"}
    for fault, held in (
        ("the image is missing", "refused, with the command that builds it"),
        ("an image that is not ours bears the name", "refused by its label, nothing started"),
        ("the image exits at once", "`restarting`, with the exit code; `stop` ends it"),
    ):
        note(fault, "`docker rmi`, `tag`, `build`", 1, held)


def test_a_name_is_taken_by_a_container_that_is_not_ours(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    project.docker("create", "--name", project.container("one"), "botfleet-base:bookworm", "true")
    try:
        done = project.manager("up", code=1)
        assert (
            f"the name {project.container('one')} is used by a container outside this fleet; remove or "
            f"rename it" in done.err
        )
        project.manager("down")
        assert project.docker("inspect", "--format", "{{.Config.Image}}", project.container("one"))
    finally:
        project.docker("rm", "-f", project.container("one"))
    project.manager("up", "--wait")
    note(
        "the container's name is taken",
        "`docker create --name`",
        1,
        "refused, the foreign container untouched, also by `down`",
    )


def test_configs_edited_broken_and_deleted_while_the_bot_runs(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    bots.add(project, "two", 1)
    project.manager("up", "--wait")
    before = project.ids()
    file = project.folder / "config" / "active" / "one.json"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])  # an editor in the middle of saving
    done = project.manager("up", code=4)
    assert "config/active/one.json: is not JSON" in done.err
    assert project.manager("ps", code=4).out.count("running") == 2
    project.manager("stop", "one")
    assert "config/active/one.json: is not JSON" in project.manager("start", "one", code=4).err
    file.unlink()
    assert project.ps()["one"]["state"] == "orphan"
    assert "has no config any more" in project.manager("start", "one", code=2).err
    file.symlink_to("nowhere")
    assert "config/active/one.json: cannot be read: No such file" in project.manager("up", code=4).err
    file.unlink()
    file.write_text(whole)
    project.manager("start", "one", "--wait")
    assert project.ids() == before
    note(
        "the config is cut short, deleted, a broken link",
        "while the bot runs",
        3,
        "exit code 4 with the file; nothing is touched, nothing taken for an orphan that is only broken;"
        " the same container goes on",
    )


def test_what_two_instances_must_not_share(project: Project, note: Note) -> None:
    keys: dict[str, Any] = {
        "mode": "live",
        "exchange_config": {"api_key": "${ONE_KEY}", "secret_key": "${ONE_SECRET}"},
    }
    market: dict[str, Any] = {"metadata": {"symbol": "SOL"}}
    (project.folder / ".env").write_text("ONE_KEY=k\nONE_SECRET=s\nTWO_KEY=k\nTWO_SECRET=s\nPHRASE=p\n")
    bots.add(project, "one", 0, **keys, **market)
    for name, sections, fault in (
        (
            "the account, under other names and with more in it",
            {
                "mode": "live",
                "exchange_config": {
                    "api_key": "${TWO_KEY}",
                    "secret_key": "${TWO_SECRET}",
                    "passphrase": "${PHRASE}",
                },
                "metadata": {"symbol": "sol"},
            },
            "exchange_config: trades sol with the same credentials as config/active/one.json",
        ),
        ("the port", {"daemon_config": {"web_port": project.first_port}}, "daemon_config.web_port"),
        ("the database", {"daemon_config": {"db_path": "database/one.db"}}, "daemon_config.db_path"),
        ("the log folder", {"daemon_config": {"log_dir": "logs/one"}}, "daemon_config.log_dir"),
    ):
        bots.add(project, "two", 1, **sections)
        done = project.manager("up", code=4)
        assert f"config/active/two.json: {fault}" in done.err, name
        assert "config/active/one.json" in done.err
        assert project.ids() == {}
        note(f"two instances share {name}", "two configs", 1, "refused at plan time, both files named")


def test_an_id_given_by_hand_is_checked_before_it_is_remembered(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    bots.add(project, "two", 1)
    for wanted, code in (("../../etc", 4), ("fleet.json", 4), ("two", 2), ("TWO", 2), ("a" * 64, 4)):
        project.manager("start", "-c", "config/active/one.json", "--instance-id", wanted, code=code)
        assert project.manager("config", "--check").out == "2 configs are valid\n"
    note(
        "an unusable id by --instance-id",
        "../, a file of ours, another's, too long",
        5,
        "refused, and not remembered",
    )
