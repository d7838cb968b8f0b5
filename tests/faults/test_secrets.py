"""Marker keys are planted, every command is run, and everything anybody can look at is searched for them."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project

pytestmark = pytest.mark.engine

COMMON = f"mark3r{os.getpid()}"
"""Each worker has its own, because the processes of all are looked at."""
MARKERS = {
    "FAULT_KEY": f"{COMMON}-key-7d1f",
    "FAULT_SECRET": f"{COMMON}-secret-9a2c",
    "FAULT_PHRASE": f"{COMMON}-phrase-55e0",
}
LOOKED_FOR = "this-line-is-in-the-image"
COMMANDS = (
    ["up", "--wait"],
    ["ps"],
    ["list"],
    ["status", "one"],
    ["config"],
    ["config", "--check"],
    ["plan"],
    ["plan", "--recreate"],
    ["logs", "one"],
    ["logs", "-t", "--tail", "5"],
    ["export"],
    ["compose"],
    ["compose", "--stdout"],
    ["restart", "one"],
    ["stop", "one"],
    ["start", "one", "--wait"],
    ["up", "--dry-run"],
    ["backup"],
    ["doctor"],
)
JSON = frozenset(
    {"up", "ps", "list", "status", "config", "plan", "export", "restart", "stop", "start", "backup", "doctor"}
)


@pytest.fixture
def live(project: Project) -> Project:
    """A live instance whose keys come from .env, from the environment, and into a legacy environment
    section.
    """
    (project.folder / ".env").write_text(f"FAULT_KEY={MARKERS['FAULT_KEY']}\n")
    (project.folder / ".env").chmod(0o600)
    project.environ |= {name: MARKERS[name] for name in ("FAULT_SECRET", "FAULT_PHRASE")}
    bots.add(
        project,
        "one",
        0,
        mode="live",
        exchange_config={
            "api_key": "${FAULT_KEY}",
            "secret_key": "${FAULT_SECRET}",
            "passphrase": "${FAULT_PHRASE}",
        },
    )
    return project


def test_marker_keys_are_nowhere(live: Project, note: Note) -> None:
    outputs = []
    for command in COMMANDS:
        for args in (command, [*command, "--json"]) if command[0] in JSON else (command,):
            done = live.manager(*args)
            outputs.append(done.out + done.err)
    assert "key given" in bots.printed(live, live.container("one"))
    # faults are where values leak: a broken config beside, a failing start, an account that two share
    bots.add(live, "two", 1, mode="live", exchange_config={"api_key": MARKERS["FAULT_KEY"]})
    outputs += [text for done in [live.manager("up", code=4)] for text in (done.out, done.err)]
    bots.add(
        live,
        "two",
        1,
        mode="live",
        metadata={"symbol": bots.symbol(live, "one")},
        exchange_config={
            "api_key": "${FAULT_KEY}",
            "secret_key": "${FAULT_SECRET}",
            "passphrase": "${FAULT_PHRASE}",
        },
    )
    done = live.manager("up", code=4)
    assert "trades" in done.err
    outputs += [done.out, done.err]
    (live.folder / "config" / "active" / "two.json").unlink()

    assert not [text for text in outputs if COMMON in text]
    container = live.container("one")
    places = {
        "docker inspect": live.docker("inspect", container),
        "docker logs": bots.printed(live, container),
        "image": live.docker("inspect", f"{live.name}-bot:local"),
        "history": live.docker("history", "--no-trunc", f"{live.name}-bot:local"),
        "network": live.docker("network", "inspect", f"{live.name}_default"),
        "docker config": live.compose("config"),
        "exec env": live.docker("exec", container, "env"),
        "instances.json": json.dumps(live.instances()),
    }
    assert {name for name, text in places.items() if COMMON in text} == set()
    assert files_with_a_key(live) == {
        "project/.env",
        "project/volumes/secrets/one/env.json",
    }
    kept = live.folder / "volumes" / "secrets" / "one"
    assert (kept.stat().st_mode & 0o777, (kept / "env.json").stat().st_mode & 0o777) == (0o700, 0o400)
    bot = bots.pids(live, "one")[0]
    assert set(processes_with_a_marker()) <= {bot}
    live.manager("down")
    note(
        "three marker keys, in .env and the environment, live mode",
        f"{len(outputs)} runs of every command, with and without --json, and three that fail",
        1,
        "in none of: output, inspect, labels, logs, every file but .env and the 0400 env.json, /proc of all"
        " processes but the bot",
    )


@pytest.mark.long_form
def test_the_image_holds_no_key(live: Project, tmp_path: Path, note: Note) -> None:
    """Built with the markers in the environment and in files beside the bot."""
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "run.py").write_text(f"# {LOOKED_FOR}\nraise SystemExit(0)\n")
    (folder / ".env").write_text(f"FAULT_KEY={MARKERS['FAULT_KEY']}\n")
    (folder / ".env.local").write_text(f"FAULT_SECRET={MARKERS['FAULT_SECRET']}\n")
    tag = f"{live.name}-leak:local"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*live.command("build"), "--bot", str(folder), "--tag", tag],
        cwd=root,
        env={**os.environ, **live.environ},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stderr
        assert COMMON not in done.stdout + done.stderr
        assert "not copied into the image, because it may contain keys" in done.stdout
        assert COMMON not in live.docker("history", "--no-trunc", tag)
        saved = tmp_path / "image.tar"
        live.docker("save", "-o", str(saved), tag)
        inside = dict(layers(saved))
        assert [name for name, data in inside.items() if LOOKED_FOR.encode() in data], (
            "no layer is looked into"
        )
        assert not [name for name, data in inside.items() if COMMON.encode() in data]
    finally:
        live.docker("rmi", tag, check=False)
    note(
        "marker keys while an image is built",
        "environment, .env beside the bot",
        1,
        "in no layer, no history, no output",
    )


def files_with_a_key(project: Project) -> set[str]:
    """Every file of the project, and of the folder above, that holds a marker."""
    top = project.folder.parent
    return {
        str(path.relative_to(top))
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and COMMON.encode() in path.read_bytes()
    }


def processes_with_a_marker() -> Iterator[int]:
    """Pids whose command line or environment shows one; not of this test, whose own they are."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if COMMON.encode() in (process / name).read_bytes():
                    yield int(process.name)
            except OSError:
                continue


def layers(archive: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of everything in a saved image: its files, and the files of its layers."""
    with tarfile.open(archive) as image:
        for entry in image:
            opened = image.extractfile(entry) if entry.isfile() else None
            if opened is None:
                continue
            head = opened.read(512)
            opened.seek(0)
            if len(head) == 512 and head[257:262] == b"ustar":
                with tarfile.open(fileobj=opened) as layer:
                    for file in layer:
                        inner = layer.extractfile(file) if file.isfile() else None
                        yield f"{entry.name}/{file.name}", inner.read() if inner else file.linkname.encode()
            else:
                yield entry.name, opened.read()
