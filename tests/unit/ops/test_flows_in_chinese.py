"""Parts of a line that are translated each by itself are joined as the reader's language writes."""

from __future__ import annotations

from manager import i18n
from tests.fakes.sandbox import Sandbox


def test_parts_are_joined_as_each_language_writes() -> None:
    def line() -> str:
        return i18n.labelled("bp_sol_01", f"stopped{i18n.bracketed('requested', '3.9 s')}")

    assert line() == "bp_sol_01: stopped (requested, 3.9 s)"
    assert i18n.joined(["a", "b"]) == "a; b"
    with i18n.speaking("zh-TW"):
        assert line() == "bp_sol_01：stopped（requested，3.9 s）"
        assert i18n.joined(["a", "b"]) == "a；b"


def test_what_commands_do_is_told_in_full_width(sandbox: Sandbox) -> None:
    with i18n.speaking("zh-TW"):
        output = sandbox.transcript("up", "stop bp_sol_01", "plan", "halt")
    assert "bp_sol_01：已停止（依要求，" in output
    assert "bp_sol_01：不動：" in output
    assert ": 已" not in output
