"""`logs/instances.json`: readable at every moment, whoever writes, whatever breaks."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project

pytestmark = pytest.mark.engine

WRITERS, SHORT_WRITERS = 12, 6


@dataclass
class Read:
    """What a looping reader saw."""

    times: int = 0
    missing: int = 0
    broken: list[str] = field(default_factory=list)


@contextmanager
def a_looping_reader(project: Project) -> Iterator[Read]:
    """Reads the export as an old reader does, again and again."""
    read, ended = Read(), threading.Event()

    def loop() -> None:
        while not ended.is_set():
            try:
                text = project.export_file.read_text()
                if not isinstance(json.loads(text), dict):
                    read.broken.append(text)
            except FileNotFoundError:
                read.missing += 1
            except ValueError:
                read.broken.append(text)
            read.times += 1

    reader = threading.Thread(target=loop)
    reader.start()
    try:
        yield read
    finally:
        ended.set()
        reader.join()


def temporary_files(project: Project) -> list[Path]:
    return list(project.export_file.parent.glob(".instances.json*"))


def test_a_looping_reader_sees_only_whole_files(project: Project, note: Note, is_long: bool) -> None:
    bots.add(project, "one", 0)
    bots.add(project, "two", 1)
    project.manager("up")
    foreign = {"old_bot": {"pid": 1, "status": "running", "web_port": 4999, "note": "of the old system"}}
    project.export_file.write_text(json.dumps({**project.instances(), **foreign}))
    rounds = 5 if is_long else 1
    with a_looping_reader(project) as read:
        for _round in range(rounds):
            for command in (["stop", "one"], ["start", "one"], ["restart"], ["down"], ["up"]):
                project.manager(*command)
            writers = [
                project.begin("export", "--lock-wait", "60")
                for _ in range(WRITERS if is_long else SHORT_WRITERS)
            ]
            for writer in writers[:4]:
                time.sleep(0.02)
                writer.kill()
            assert {writer.wait() for writer in writers[4:]} == {0}
    assert read.broken == []
    assert read.missing == 0
    instances = project.instances()
    assert instances.keys() == {"one", "two", "old_bot"}
    assert instances["old_bot"] == foreign["old_bot"]
    for left in temporary_files(project):  # a killed writer cannot clean up; a later one does, after a while
        os.utime(left, (0, 0))
    project.manager("stop", "one")
    assert temporary_files(project) == []
    note(
        "a reader loops while the fleet changes and twelve write, four of them killed",
        "stop, start, restart, down, up; `manager export` in twelve processes, SIGKILL",
        rounds,
        f"{read.times} reads, none broken, none missing; the foreign record is kept",
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"one": ', b"\xff\xfe{}", b"\0" * 4096, b'{"a": 1, "a": 2}', b"[" * 100_000],
    ids=["empty", "cut", "list", "half", "utf16", "nul", "doubled", "deep"],
)
def test_a_broken_file_is_put_aside(offline: Project, content: bytes) -> None:
    offline.export_file.parent.mkdir(parents=True)
    offline.export_file.write_bytes(content)
    done = offline.manager("export")
    assert "could not be parsed and was moved to instances.json.unreadable-" in done.err
    aside = [path for path in offline.export_file.parent.iterdir() if ".unreadable-" in path.name]
    assert [path.read_bytes() for path in aside] == [content]
    assert offline.instances() == {}


def test_ps_says_that_it_put_a_broken_file_aside(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("up")
    project.export_file.write_text("{broken")
    assert "was moved to instances.json.unreadable-" in project.manager("ps").err
    assert project.instances().keys() == {"one"}
    note(
        "instances.json is empty, cut, foreign, binary, doubled, deep",
        "nine kinds of content",
        9,
        "put aside under another name and said; never silently replaced",
    )


def test_odd_foreign_records_are_kept_as_they_are(offline: Project) -> None:
    offline.export_file.parent.mkdir(parents=True)
    odd = {
        "a": None,
        "b": [1, 2],
        "c": {"pid": "x"},
        "d": {"pid": 10**30},
        "e": {"pid": -1, "started_at": []},
        "../f": {},
    }
    offline.export_file.write_text(json.dumps(odd))
    offline.manager("export")
    assert offline.instances() == odd
