"""A mistyped command or instance had its suggestion; a mistyped option had none."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.fakes.sandbox import Sandbox


@pytest.mark.parametrize(
    ("typed", "message"),
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
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], typed: str, message: str
) -> None:
    printed = ""
    with suppress(SystemExit):
        printed = sandbox.transcript(typed)
    printed += capsys.readouterr().err
    assert message in printed


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("config schmea", "there is no instance schmea; did you mean `manager config schema`?"),
        ("backup lsit", "there is no instance lsit; did you mean `manager backup list`?"),
        ("alert tset", "there is no alert tset; did you mean alert test?"),
        ("host lst", "there is no host lst; did you mean host list?"),
        ("config bp_sol_1", "there is no instance bp_sol_1; did you mean bp_sol_01?"),
        ("config zzz", "there is no instance zzz; `manager ps` lists them"),
        ("alert zzz", "there is no alert"),
    ],
)
def test_a_second_word_of_a_command_is_one_too(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], typed: str, message: str
) -> None:
    test_is_answered_by_the_nearest(sandbox, capsys, typed, message)


@pytest.mark.parametrize(
    ("language", "end"),
    [
        ("en", "did you mean stop? See `manager --help`\n"),
        ("zh_TW", "是不是 stop？用法請看 `manager --help`\n"),
    ],
)
def test_a_question_ends_with_its_own_mark_alone(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], language: str, end: str
) -> None:
    with suppress(SystemExit):
        sandbox.transcript(f"--lang {language} stpo")
    assert capsys.readouterr().err.endswith(end)
