"""`--format`: which commands have it, what it refuses, and that it draws whole rows."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from manager import i18n
from manager.cli import completion, parsers
from manager.cli.command_options import FORMAT
from manager.cli.command_table import COMMANDS
from manager.cli.main import main
from manager.errors import OK, USAGE
from manager.fleet import display, list_table
from manager.util import drawn_table, text_table
from tests.builders import a_config, write_config
from tests.fleet import ROOT


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one config and one template, as the current folder."""
    write_config(tmp_path, a_config("bp_sol_01", 5001))
    template = tmp_path / "config" / "templates" / "perp_grid.json"
    template.parent.mkdir()
    template.write_bytes((ROOT / "config" / "templates" / "perp_grid.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_table_has_it() -> None:
    assert [name for name, command in COMMANDS.items() if FORMAT in command.options] == [
        "ps",
        "list",
        "stats",
        "history",
        "doctor",
        "backup list",
        "host list",
        "new",
    ]


def test_an_unknown_format_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ps", "--format", "word"])
    assert ended.value.code == USAGE
    assert f"must be one of {', '.join(drawn_table.formats())}, not “word”" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["ps", "list", "stats", "history", "doctor", "backup list", "host list", "new --list"]
)
def test_a_table_is_no_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--format", "tsv", "--json"]) == USAGE
    assert "--format cannot be used with --json" in capsys.readouterr().err


def test_a_screen_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--format", "tsv", "--watch"]) == USAGE
    assert "--format cannot be used with --watch" in capsys.readouterr().err


def test_templates_as_tsv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--list", "--format", "tsv"]) == OK
    head, row = capsys.readouterr().out.splitlines()
    assert head == "TEMPLATE\tEXCHANGE\tSYMBOL\tSTRATEGY\tDESCRIPTION"
    assert row.startswith("perp_grid\tbackpack\tSOL_USDC_PERP\tperp_grid\tA grid")


def test_no_backups_are_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "list", "--format", "tsv"]) == OK
    assert capsys.readouterr().out == "FILE\tAGE\tSIZE\tNOTE\n"


def test_heads_are_in_the_language_in_use() -> None:
    i18n.use("zh-TW")
    try:
        assert text_table.headings(display.PS_COLUMNS)[:3] == ["ID", "模式", "狀態"]
        assert text_table.headings(list_table.LIST_COLUMNS)[:3] == ["實例ID", "狀態", "PID"]
    finally:
        i18n.use("en")


def test_the_shell_offers_the_formats() -> None:
    offered = {word for word, _text in completion.offers(["ps", "--format"], "g")}
    assert offered == {"github", "grid"}


def test_no_command_loads_tabulate_before_it_is_asked_to() -> None:
    """`ps` and `list` are as quick as before: tabulate takes as long as all the rest of them."""
    import subprocess
    import sys

    code = (
        "import sys; from manager.cli import parsers; parsers.parser().parse_args(['ps']);"
        "import manager.cli.commands.ps, manager.cli.commands.list, manager.cli.commands.up;"
        "print([name for name in ('tabulate', 'wcwidth', 'docker') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_the_format_is_none_where_nobody_asks() -> None:
    args: argparse.Namespace = parsers.parser("list").parse_args(["list"])
    assert args.format is None
