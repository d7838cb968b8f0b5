"""Which exits a supervisor keeps, beside a bot that can write into the same folder."""

import json
import os
from pathlib import Path

import pytest

from supervisor import exits, paths


def add(path: Path, number: float) -> None:
    exits.add(str(path), {"at": number, "why": "exit code 1", "reason": None, "code": 1}, number - 1)


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "exits.json"
    for number in range(exits.MAX_EXITS + 3):
        add(path, float(number))
    kept = json.loads(path.read_bytes())["exits"]
    assert [entry["at"] for entry in kept] == [float(number) for number in range(3, exits.MAX_EXITS + 3)]
    assert kept[0] == {"began": 2.0, "at": 3.0, "why": "exit code 1", "reason": None}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"exits": 3}', b"[" * 60_000, b'{"exits": [' + b"9," * 40_000 + b"9]}"]
)
def test_what_is_none_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "exits.json"
    path.write_bytes(content)
    add(path, 5.0)
    assert [entry["at"] for entry in json.loads(path.read_bytes())["exits"]] == [5.0]


def test_what_is_too_much_for_the_file_goes_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "exits.json"
    for number in range(3):
        exits.add(str(path), {"at": number, "why": "x" * 30_000, "reason": None}, None)
    assert [entry["at"] for entry in json.loads(path.read_bytes())["exits"]] == [1, 2]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "exits.json"
    other.write_text('{"exits": [1]}')
    path.symlink_to(other)
    add(path, 5.0)
    assert not path.is_symlink()
    assert other.read_text() == '{"exits": [1]}'


@pytest.mark.parametrize(
    ("running_since", "updated_at", "reported_at", "ended_at"),
    [
        (50.0, 80.0, 90.0, 90.0),
        (50.0, 80.0, 40.0, 80.0),  # the report is of the run before
        (50.0, 3000.0, None, 50.0),  # the clock was set back since
        (50.0, None, None, 50.0),  # a user's start has removed the state file
        (3000.0, 80.0, 90.0, None),
        (None, 80.0, 90.0, None),
        (True, 80.0, 90.0, None),
    ],
)
def test_the_end_that_no_supervisor_has_seen_is_after_the_last_sign_of_life(
    tmp_path: Path,
    running_since: float | None,
    updated_at: float | None,
    reported_at: float | None,
    ended_at: float | None,
) -> None:
    folders = paths.Paths(state=str(tmp_path))
    if updated_at is not None:
        Path(folders.state_file).write_text(json.dumps({"updated_at": updated_at}))
    if reported_at is not None:
        Path(folders.report_copy).touch()
        os.utime(folders.report_copy, (reported_at, reported_at))
    add(Path(folders.exits_file), 5.0)
    if running_since is not None:
        exits.begin(folders.exits_file, running_since)
    assert exits.add_unseen(folders, 100.0) is (ended_at is not None)
    assert not exits.add_unseen(folders, 100.0), "once"
    kept = json.loads(Path(folders.exits_file).read_bytes())["exits"]
    ends = [(entry["began"], entry["at"]) for entry in kept]
    assert ends == [(4.0, 5.0), *([(running_since, ended_at)] if ended_at is not None else [])]
    assert ended_at is None or kept[-1]["reason"]["code"] == "container_ended"
