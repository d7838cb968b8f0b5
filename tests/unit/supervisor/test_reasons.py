"""Every reason has a code, parameters and a sentence, and all of them are documented."""

import ast
import re
from pathlib import Path

import pytest

from supervisor.reasons import SENTENCES, Reason, ReasonError

ROOT = Path(__file__).parents[3]
PLACEHOLDER = re.compile(r"\{(\w+)")
UNSPOKEN = {"halted": ("by", "nonce"), "waiting_turn": ("seconds",)}
"""Parameters that are not in the sentence of their code."""


def parameters(code: str) -> set[str]:
    """Return the parameters of a code."""
    return {*PLACEHOLDER.findall(SENTENCES[code]), *UNSPOKEN.get(code, ())}


def uses() -> dict[str, set[frozenset[str]]]:
    """Return each code that the supervisor's source names, with the sets of parameters it is given."""
    by_code: dict[str, set[frozenset[str]]] = {}
    for path in (ROOT / "docker/supervisor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in {"Reason", "ReasonError", "SettingsError", "BadEnvironmentError"}:
                continue
            names = frozenset(keyword.arg or "" for keyword in node.keywords)
            for code in ast.walk(node.args[0]) if node.args else ():
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    by_code.setdefault(code.value, set()).add(names)
    return by_code


def test_each_code_is_used_with_the_parameters_of_its_sentence() -> None:
    used = uses()
    assert set(used) == set(SENTENCES)
    for code, all_names in used.items():
        assert all_names == {frozenset(parameters(code))}, code


def test_the_readme_has_every_code_with_its_parameters() -> None:
    section = (ROOT / "docker/README.md").read_text().partition("## Reason codes")[2].partition("\n## ")[0]
    table = {
        code: set(re.findall(r"`(\w+)`", parameters))
        for code, parameters in re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE)
    }
    assert table == {code: parameters(code) for code in SENTENCES}


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            Reason("restarts_exhausted", cause=Reason("exit_code", code=3), count=1),
            "exit code 3 (given up after 1 restart in a row)",
        ),
        (
            Reason("restarts_exhausted", cause=Reason("exit_code", code=3), count=2),
            "exit code 3 (given up after 2 restarts in a row)",
        ),
        (Reason("signal", signal="{code} SIGHUP"), "{code} SIGHUP"),
        (Reason("http_status", status=503, detail=""), "503"),
        (Reason("web_port_invalid", value="a\nb"), "WEB_PORT: must be 1-65535, not 'a\\nb'"),
    ],
)
def test_sentences(reason: Reason, sentence: str) -> None:
    assert str(reason) == sentence


def test_an_error_carries_its_reason() -> None:
    error = ReasonError("file_not_object", path="/x")
    assert str(error) == "cannot read /x: it is not a JSON object"
    assert error.reason.as_json() == {"code": "file_not_object", "params": {"path": "/x"}}
