"""A comment behind a value of .env reaches the exchange as part of the key: the manager says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config.variables import values_with_comments
from tests.fakes.desk import Desk


@pytest.mark.parametrize(
    ("line", "is_unclear"),
    [
        ("KEY=abc=   # main", True),
        ("KEY=abc\t# main", True),
        ('KEY="abc" # main', True),
        ("KEY='abc' # my 'main'", True),
        ("export KEY=abc # main", True),
        ("KEY=abc#def", False),
        ("KEY='abc # def'", False),
        ('KEY="abc # def"', False),
        ("# KEY=abc # main", False),
        ("KEY=", False),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_value_with_a_comment_is_found(tmp_path: Path, line: str, is_unclear: bool, ending: str) -> None:
    (tmp_path / ".env").write_bytes(f"\ufeffA=1{ending}{line}{ending}".encode())
    assert values_with_comments(tmp_path / ".env") == ([(2, "KEY")] if is_unclear else [])


def test_a_key_with_its_comment_is_named_and_never_shown(desk: Desk) -> None:
    (desk.folder / ".env").write_text("BACKPACK_KEY=k1234=   # main\nBACKPACK_SECRET=s\n")
    for command in ("up", "restart bp_sol_01", "config --check"):
        printed = desk.play(command)
        assert ".env: line 1: the value of BACKPACK_KEY includes “#” and what follows" in printed
        assert "k1234" not in printed
