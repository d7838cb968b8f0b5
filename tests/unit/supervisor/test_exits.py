"""Which exits a supervisor keeps, beside a bot that can write into the same folder."""

import json
from pathlib import Path

import pytest

from supervisor import exits


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
