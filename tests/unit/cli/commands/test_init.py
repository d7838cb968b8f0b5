"""`init` makes a folder that loads, and changes nothing that is there."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import OK, USAGE
from manager.fleet import project

EVERYTHING = {
    ".env.example",
    ".gitignore",
    "config/active/bp_sol_01.json",
    "config/fleet.toml",
    "config/schema.json",
    "config/templates/perp_grid.json",
    "config/templates/spot_grid.json",
}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_empty_folder_becomes_a_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "desk/main"]) == OK
    out = capsys.readouterr().out
    assert "  cd desk/main\n  manager up --wait" in out
    folder = tmp_path / "desk" / "main"
    assert set(files_of(folder)) == EVERYTHING
    new_project = project.read(folder)
    assert (new_project.fleet.name, new_project.problems) == ("main", ())
    assert [(spec.id, spec.mode) for spec in new_project.specs.values()] == [("bp_sol_01", "paper")]


def test_a_second_time_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", str(tmp_path)])
    before = files_of(tmp_path)
    capsys.readouterr()
    assert main(["init", str(tmp_path)]) == OK
    assert "nothing to do" in capsys.readouterr().out
    assert files_of(tmp_path) == before


def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config" / "active").mkdir(parents=True)
    own = {
        "config/active/mine.json": b"{}",
        "config/fleet.toml": b'name = "desk"\n',
        ".gitignore": b"*.pyc\n",
    }
    for path, content in own.items():
        (tmp_path / path).write_bytes(content)
    assert main(["init", str(tmp_path)]) == OK
    files = files_of(tmp_path)
    assert {path: files[path] for path in own} == own
    assert set(files) == (EVERYTHING | set(own)) - {"config/active/bp_sol_01.json"}
    out = capsys.readouterr().out
    assert "config/fleet.toml exists and was left unchanged" in out
    assert "make sure that it contains .env, /volumes/" in out


@pytest.mark.parametrize("folder", ["file", "file/below/it", "link", "link/below", "desk"])
def test_what_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "desk" / "config").mkdir(parents=True)
    (tmp_path / "desk" / "config" / "active").touch()
    named = "desk/config/active" if folder == "desk" else folder.partition("/")[0]
    assert main(["init", str(tmp_path / folder)]) == USAGE
    assert capsys.readouterr().err == f"error: {tmp_path / named} is not a folder\n"
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "desk" / "config" / "fleet.toml").exists()


def test_folders_named_in_other_letters_become_fleets_of_different_names(tmp_path: Path) -> None:
    names = set()
    for folder in ("交易", "機器人", "甲 bot", "乙 bot", "Боты"):
        main(["init", str(tmp_path / folder)])
        new_project = project.read(tmp_path / folder)
        assert new_project.problems == ()
        names.add(new_project.fleet.name)
    assert len(names) == 5
    assert {name.rpartition("-")[0] for name in names} == {"fleet", "bot"}


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Desk 1", "desk-1"), ("_x_", "x"), ("---", "botfleet"), ("a.b", "a-b"), ("9lives", "9lives")],
)
def test_the_fleet_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    main(["init", str(tmp_path / folder)])
    assert tomllib.loads((tmp_path / folder / "config" / "fleet.toml").read_text()) == {"name": name}


def test_the_example_takes_whichever_port_is_free(tmp_path: Path) -> None:
    main(["init", str(tmp_path)])
    example = json.loads((tmp_path / "config" / "active" / "bp_sol_01.json").read_text())
    assert "web_port" not in example["daemon_config"]
