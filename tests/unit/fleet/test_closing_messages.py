"""Why a position is not closed, as the image's program tells it, by code."""

from __future__ import annotations

import ast
import string
from pathlib import Path
from typing import Any

import pytest

from manager import i18n
from manager.fleet import closing_messages
from manager.ops.exchange import close

DIFFER = {"code": "differ", "params": {"own": "0.6", "base": "SOL", "account": "0"}}
BOT = Path("docker/bot/gridbot")
PROGRAM = (
    "trading/close.py",
    "cli/close_position.py",
    "exchanges/verification.py",
    "exchanges/answer_check.py",
    "exchanges/signing_library.py",
)


def test_a_reason_is_told_in_the_users_language() -> None:
    text = closing_messages.sentence(DIFFER)
    assert str(text) == "record and account differ: this bot's trades make 0.6 SOL, the account holds 0"
    one = {"code": "orders_open", "params": {"count": "1", "exchange": "aster"}}
    assert str(closing_messages.sentence(one)) == "aster has 1 open order of this bot"
    with i18n.speaking("zh-TW"):
        assert str(text) == "紀錄與帳戶不符：這個機器人的成交合計 0.6 SOL，帳戶持有 0"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"code": "of_tomorrow", "params": {}},
        {"code": ["differ"], "params": {}},
        {"code": "differ"},
        {"code": "differ", "params": {"own": "1"}},
        {"code": "differ", "params": "own"},
    ],
)
def test_of_any_other_answer_the_programs_own_words_are_shown(answer: dict[str, Any]) -> None:
    assert closing_messages.sentence(answer) is None
    done = {"position": "0.6", "base": "SOL", "closed": "0", "done": False, "why": "own words", **answer}
    result = close.parsed_done(done)
    assert result is not None
    assert result.why == "own words"


def test_the_program_and_the_sentences_have_the_same_codes_and_parameters() -> None:
    told = dict[str, set[str]]()
    for file in PROGRAM:
        for call in ast.walk(ast.parse((BOT / file).read_text())):
            if isinstance(call, ast.Call) and len(call.args) == 2 and "Error" in ast.unparse(call.func):
                names = {keyword.arg or "" for keyword in call.keywords}
                codes = [node for node in ast.walk(call.args[1]) if isinstance(node, ast.Constant)]
                told.update({str(code.value): names for code in codes})
    assert told.keys() == closing_messages.SENTENCES.keys()
    for code, template in closing_messages.SENTENCES.items():
        fields = {field for _text, field, _spec, _how in string.Formatter().parse(template) if field}
        assert fields <= told[code], code
