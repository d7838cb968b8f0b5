"""A mistyped command or instance had its suggestion; a mistyped option had none."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.fakes.desk import Desk


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("up --wiat", "there is no --wiat; did you mean --wait?"),
        ("logs --folow bp_sol_01", "there is no --folow; did you mean --follow?"),
        ("ps --jsno", "there is no --jsno; did you mean --json?"),
        ("up --zzz", "unrecognized arguments: --zzz"),
        ("stpo", "there is no stpo; did you mean stop?"),
        ("stop bp_sol_1", "there is no instance bp_sol_1; did you mean bp_sol_01?"),
    ],
)
def test_is_answered_by_the_nearest(
    desk: Desk, capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    printed = ""
    with suppress(SystemExit):
        printed = desk.play(typed)
    printed += capsys.readouterr().err
    assert said in printed
