"""What supervisors say: by codes, by the sentences of those that know no codes, and by what a bot may
write into the file.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from manager.fleet.supervisor_messages import SENTENCES, SINGULAR, message

SPEC = re.compile(r"(\{\w+):[^}]*\}")
"""How the supervisor formats a number in its own sentence."""


def reason(code: str, /, **params: Any) -> dict[str, Any]:
    return {"code": code, "params": params}


def supervisors() -> Any:
    return pytest.importorskip("supervisor.reasons", reason="this supervisor gives no codes")


def test_every_code_of_the_supervisor_has_its_sentence() -> None:
    theirs = {code: SPEC.sub(r"\1}", sentence) for code, sentence in supervisors().SENTENCES.items()}
    assert dict(SENTENCES) == theirs


def test_the_supervisors_own_reasons_read_as_its_sentences() -> None:
    for code, sentence in supervisors().SENTENCES.items():
        params = {name: 60.0 if spec else "x" for name, spec in re.findall(r"\{(\w+)(:?)", sentence)}
        theirs = supervisors().Reason(code, **params)
        assert str(message(theirs.as_json(), "no code")).strip() == str(theirs)
    for code in SINGULAR:
        theirs = supervisors().Reason(code, count=1, cause=supervisors().Reason("killed"))
        assert str(message(theirs.as_json(), None)) == str(theirs)


def test_a_reason_may_hold_another() -> None:
    cause = reason("unhealthy", count=5, cause=reason("no_answer", seconds=5.0))
    text = message(reason("restarts_exhausted", cause=cause, count=3), "the sentence")
    assert (
        str(text) == "unhealthy: 5 probes failed (no answer within 5 s) (given up after 3 restarts in a row)"
    )
    assert str(message(reason("restarts_exhausted", cause=cause, count=1), "")).endswith(
        "1 restart in a row)"
    )
    early = reason("before_duration", cause=reason("exit_code", code=0), seconds=59.61, duration=86400.0)
    assert str(message(early, None)) == "exit code 0 after 60 s, before its duration of 86400 s"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "exit_code",
        7,
        [],
        {},
        {"code": "exit_code"},
        {"code": 1, "params": {}},
        {"code": ["exit_code"]},
        reason("of a later supervisor"),
        reason("exit_code", other=1),
        {"code": "exit_code", "params": [1]},
    ],
)
def test_what_is_no_reason_leaves_the_sentence(raw: Any) -> None:
    assert str(message(raw, "exit code 3 (auto_restart is off)")) == "exit code 3 (auto_restart is off)"
    assert message(raw, None) is None


def test_a_bot_cannot_reach_the_terminal_or_the_formatter() -> None:
    assert "\x1b" not in str(message(reason("degraded", condition="\x1b[2J{0.__class__}"), None))
    assert str(message(reason("degraded", condition="{condition}"), None)) == "degraded: {condition}"
    endless: Any = reason("killed")
    for _depth in range(20):
        endless = reason("auto_restart_off", cause=endless)
    assert len(str(message(endless, "x"))) < 200
    assert message({"code": "exit_code", "params": {"code": {"a": 1}}}, None) is not None
    assert message(reason("exit_code", code=float("nan")), None) is not None
    assert message(reason("exit_code", code=10**5000), "sentence") is not None
