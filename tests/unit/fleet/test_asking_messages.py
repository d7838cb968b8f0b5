"""Why an image's program does not say which orders are open, as it tells by code; and quotations."""

from __future__ import annotations

import ast
import json
import string
from pathlib import Path

import pytest

from manager import i18n
from manager.fleet import asking_messages, condition_messages
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text, quoted
from manager.util import kept_text

PROGRAM = Path("docker/bot/gridbot/cli/open_orders.py")
SAID = "backpack: 503 Service Unavailable (GET https://api.backpack.exchange/api/v1/orders)"


def told(cause: str) -> str:
    params = {"exchange": "backpack", "cause": cause, "error": SAID}
    return json.dumps({"code": "orders_not_said", "params": params})


@pytest.mark.parametrize(
    ("cause", "english", "chinese"),
    [
        ("unreachable", f"the exchange does not answer ({SAID})", f"交易所沒有回應（「{SAID}」）"),
        (
            "unclear",
            f"the exchange answers what makes no sense ({SAID})",
            f"交易所的回應無法解讀：「{SAID}」",
        ),
        ("of_tomorrow", SAID, f"「{SAID}」"),
    ],
)
def test_a_reason_is_told_in_the_users_language_and_what_was_said_is_quoted(
    cause: str, english: str, chinese: str
) -> None:
    text = asking_messages.why_not(told(cause))
    assert str(text) == f"backpack does not say which orders are open: {english}"
    with i18n.speaking("zh-TW"):
        assert str(text) == f"backpack 沒有說明還有哪些掛單：{chinese}"


@pytest.mark.parametrize(
    "answer",
    [
        *("", "[]", "null", "{}", "[" * 100_000, '{"code": "of_tomorrow", "params": {}}'),
        *('{"code": "orders_not_said"}', '{"code": "orders_not_said", "params": {"exchange": "x"}}'),
        '{"code": ["orders_not_said"], "params": {}}',
    ],
)
def test_of_any_other_answer_the_programs_own_words_are_shown(answer: str) -> None:
    assert asking_messages.why_not(answer) is None


def test_the_program_and_the_sentences_have_the_same_codes_and_parameters() -> None:
    program = dict[str, set[str]]()
    for call in ast.walk(ast.parse(PROGRAM.read_text())):
        if isinstance(call, ast.Call) and len(call.args) == 2 and ast.unparse(call.func).endswith("Error"):
            assert isinstance(call.args[1], ast.Constant)
            program[str(call.args[1].value)] = {keyword.arg or "facts" for keyword in call.keywords}
    assert program.keys() == asking_messages.SENTENCES.keys()
    for code, template in asking_messages.SENTENCES.items():
        fields = {field for _text, field, _spec, _how in string.Formatter().parse(template) if field}
        assert fields <= program[code] or program[code] == {"facts"}, code


def test_a_quotation_is_one_in_another_language_and_stays_one_where_it_is_kept() -> None:
    whole = Text("{why}: {quoted}", why=Text("exit code {code}", code=1), quoted="insufficient margin")
    kept = kept_text.unkept(json.loads(json.dumps(kept_text.kept(whole))))
    assert str(whole) == str(kept) == "exit code 1: insufficient margin"
    assert str(quoted("{why} {0}")) == "{why} {0}"
    with i18n.speaking("zh-TW"):
        assert str(whole) == str(kept) == "結束代碼 1：「insufficient margin」"


@pytest.mark.parametrize(
    "code", sorted(code for code, sentence in condition_messages.SENTENCES.items() if "{error}" in sentence)
)
def test_what_an_exchange_has_said_is_quoted_in_each_sentence(code: tuple[str, str]) -> None:
    """English within a Chinese sentence is a quotation, or it would look forgotten."""
    condition = Condition(code[0], {condition_messages.VARIANT[code[0]]: code[1], "error": "Order too small"})
    english = condition_messages.message(condition, None, 0.0)
    assert "Order too small" in str(english)
    with i18n.speaking("zh-TW"):
        assert "「Order too small」" in str(english)


def test_the_same_holds_for_every_translated_sentence_with_an_error_of_an_exchange() -> None:
    sources = ("condition_messages", "closing_messages", "preflight_messages", "asking_messages")
    with i18n.speaking("zh-TW"):
        for name in sources:
            tree = ast.parse(Path(f"manager/fleet/{name}.py").read_text())
            texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            for text in texts:
                if isinstance(text, str) and "{error}" in text and text != "{error}":
                    assert "「{error}」" in i18n._(text), text


@pytest.mark.parametrize(
    "text", [quoted("{words}"), Text("the exchange refuses every order: {error}", error="{words}")]
)
def test_words_cannot_end_the_quotation_that_they_stand_in(text: Text) -> None:
    """What an exchange says would look like the manager's own sentence."""
    words = "x」；沒有掛單「y"
    [name] = text.params
    with i18n.speaking("zh-TW"):
        assert str(Text(text.message, **{name: words})).endswith("「x』；沒有掛單『y」")
    assert words in str(Text(text.message, **{name: words}))
