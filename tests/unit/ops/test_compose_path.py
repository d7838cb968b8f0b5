"""COMPOSE_FILE in .env: Compose finds the file by it, whatever the project's path contains."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config import dotenv
from manager.config.fleet import Fleet
from manager.ops.folders.bot_user import save_compose_path


def a_fleet(folder: Path) -> Fleet:
    folder.mkdir(parents=True, exist_ok=True)
    return Fleet("desk", folder, folder / "volumes")


@pytest.mark.parametrize("name", ["desk", "my bots", "交易", "100%", "a,b", "全形　空白"])
def test_a_plain_path_is_written_as_it_is(tmp_path: Path, name: str) -> None:
    fleet = a_fleet(tmp_path / name)
    save_compose_path(fleet)
    assert fleet.dotenv_file.read_text() == f"COMPOSE_FILE={fleet.compose_file}\n"


@pytest.mark.parametrize("name", ["a$HOME", 'a "b"', "a #b", "a\\b", "a`b`"])
def test_what_compose_would_expand_is_quoted(tmp_path: Path, name: str) -> None:
    fleet = a_fleet(tmp_path / name)
    save_compose_path(fleet)
    assert fleet.dotenv_file.read_text() == f"COMPOSE_FILE='{fleet.compose_file}'\n"
    parsed = dotenv.read(fleet.dotenv_file)
    assert (parsed.variables, parsed.faults) == ({"COMPOSE_FILE": str(fleet.compose_file)}, ())


def test_a_line_without_the_quotes_that_it_needs_gets_them(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path / "a$HOME")
    fleet.dotenv_file.write_text(f"A=1\nCOMPOSE_FILE={fleet.compose_file}\nB=2\n")
    save_compose_path(fleet)
    assert fleet.dotenv_file.read_text() == f"A=1\nCOMPOSE_FILE='{fleet.compose_file}'\nB=2\n"


def test_quotes_that_somebody_else_put_stay(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path / "desk")
    fleet.dotenv_file.write_text(f'COMPOSE_FILE="{fleet.compose_file}"\n')
    save_compose_path(fleet)
    assert fleet.dotenv_file.read_text() == f'COMPOSE_FILE="{fleet.compose_file}"\n'


@pytest.mark.parametrize("name", ["a:b", "it's", "a\nb", "not UTF-8 \udcff"])
def test_a_path_that_cannot_be_written_for_compose_is_not(tmp_path: Path, name: str) -> None:
    """Compose then looks for compose.yaml in the current folder."""
    fleet = a_fleet(tmp_path / name)
    save_compose_path(fleet)
    assert not fleet.dotenv_file.exists()


def test_the_users_other_lines_stay_as_they_are_to_the_byte(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path / "desk")
    before = f"A=one\u2028two\r\n# \x85\r\nCOMPOSE_FILE=/elsewhere/{fleet.compose_file.name}\r\nB=2"
    fleet.dotenv_file.write_bytes(before.encode())
    save_compose_path(fleet)
    expected = before.replace(f"/elsewhere/{fleet.compose_file.name}", str(fleet.compose_file))
    assert fleet.dotenv_file.read_bytes().decode() == expected
