"""A line of .env gives every program the same credential: python-dotenv, Docker Compose, and the manager.

Each line of the tables is given to all three. Where the other two agree, the manager reads what they read;
where they differ, or replace a `$NAME`, it refuses the line.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import dotenv as python_dotenv
import pytest

from manager.config import dotenv
from manager.util import atomic_file
from tests.fakes.sandbox import Sandbox

SAME = {
    "X=abc": "abc",
    "X=abc=   # main": "abc=",
    "X=abc # one # two": "abc",
    "X=abc \t # main": "abc",
    "X=abc#def": "abc#def",
    "X=#abc": "#abc",
    "X=abc #": "abc",
    "X=": "",
    "X=  ": "",
    "X= abc ": "abc",
    "X = abc": "abc",
    "  X=abc": "abc",
    "\u00a0X\u00a0=\u00a0abc\u00a0": "abc",
    "\u3000X=abc": "abc",
    "X=\u00a0'abc' # main": "abc",
    "\x85X\v=\fabc": "abc",
    "\rX='abc'\r# main": "abc",
    "export\fX=abc": "abc",
    "X=\u3000": "",
    "X=ab\tc\x01\x1b\x1cd\x7f": "ab\tc\x01\x1b\x1cd\x7f",
    "X='\x1ca\x01b\f'": "\x1ca\x01b\f",
    'X="\va\x01b\x1f"': "\va\x01b\x1f",
    "X=a b": "a b",
    "X=a=b": "a=b",
    "X=a'b\"c": "a'b\"c",
    "X=a\\nb": "a\\nb",
    "X=a$": "a$",
    "X=$1": "$1",
    "X=$(id)": "$(id)",
    "X=ü": "ü",
    "X='abc'": "abc",
    'X="abc"': "abc",
    "X=''": "",
    "X='abc' # main": "abc",
    'X="abc"\t# main': "abc",
    "X='abc'#main": "abc",
    "X='abc'\u00a0# main": "abc",
    "X='abc'\u3000# main": "abc",
    'X="abc" \u00a0': "abc",
    "X='abc # def'": "abc # def",
    'X="abc # def" # main': "abc # def",
    "X='ab$cd'": "ab$cd",
    "X='ab${cd'": "ab${cd",
    "X='a\\nb'": "a\\nb",
    'X="a\\nb"': "a\nb",
    'X="a\\"b"': 'a"b',
    'X="a\\\\b"': "a\\b",
    'X="a\\qb"': "a\\qb",
    'X="ab\\\\"': "ab\\",
    "X='a\\'b'": "a'b",
    "X='a\"b'": 'a"b',
    'X="a\'b"': "a'b",
    "X='one\ntwo'": "one\ntwo",
    'X="one\nY=2\ntwo"': "one\nY=2\ntwo",
    "export X=abc": "abc",
    "export  X=abc # main": "abc",
    "export\tX='abc'": "abc",
    "X=abc\r": "abc",
    "X='abc'\r": "abc",
    "X=abc # main\r": "abc",
    "\ufeffX=abc": "abc",
    "\ufeffexport X='abc' # main\r": "abc",
}
DIFFER = [
    "X=abc\t# main",
    "X=abc \t# main",
    "X=abc\u00a0# main",
    "X= # main",
    "X=\u00a0#abc",
    "X=\u3000abc",
    "X\u3000=abc",
    "X=abc\x1c",
    "X=abc\x1f # main",
    "X=\x1c",
    "\x1dX=abc",
    "X='abc'\x1e",
    "X=ab\rcd",
    "X='ab\rcd'",
    "X= #abc",
    "X=ab$cd",
    'X="ab$cd"',
    "X=ab$$cd",
    "X=ab\\$cd",
    "X='ab${cd}'",
    "X='ab${cd:-e}'",
    "X='abc' def",
    "X='abc' 'def'",
    "X='a\\\\b'",
    'X="a\\\'b"',
    'X="a\\0b"',
    'X="a\\$b"',
    "X='abc",
    'X="abc',
    "X: abc",
    "X",
    "'X'=abc",
    "X='one\r\ntwo'",
    "X=a\0b",
    "# main\rX=abc",
    "export = abc",
    "export\u00a0=X=abc",
]
EXPAND = ["X=ab${HOME}", 'X="ab${HOME}"', "X=$HOME"]


def of_python_dotenv(folder: Path, text: str) -> dict[str, str | None]:
    path = folder / "python.env"
    path.write_bytes(text.encode())
    return python_dotenv.dotenv_values(path)


def of_compose(folder: Path, text: str, names: list[str]) -> dict[str, str] | None:
    """Return the values of these variables for Compose; None if it refuses the file."""
    (folder / ".env").write_bytes(text.encode())
    service = {"image": "none", "environment": {name: f"${{{name}}}" for name in names}}
    (folder / "compose.yaml").write_text(json.dumps({"services": {"one": service}}))
    config = _compose_config(folder)
    if not config:
        return None
    environment = config["services"]["one"]["environment"]
    return {name: value.replace("$$", "$") for name, value in environment.items()}


def _compose_config(folder: Path) -> dict[str, Any]:
    """Return what Compose makes of a folder; nothing if it refuses it."""
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return {} if done.returncode else dict(json.loads(done.stdout))


@pytest.mark.parametrize("line", SAME)
def test_what_the_other_two_agree_on_is_read_as_they_do(tmp_path: Path, line: str) -> None:
    parsed = dotenv.parse(f"{line}\n".removeprefix("\ufeff"))
    assert (parsed.variables["X"], parsed.faults) == (SAME[line], ())
    (tmp_path / ".env").write_bytes(f"{line}\n".encode())
    assert dotenv.read(tmp_path / ".env") == parsed
    assert of_python_dotenv(tmp_path, f"{line}\n")["X"] == SAME[line]


def test_compose_reads_them_so_too(tmp_path: Path) -> None:
    plain = [line for line in SAME if not line.startswith("\ufeff")]
    names = [f"X{number}" for number in range(len(plain))]
    text = "".join(f"{line.replace('X', name, 1)}\n" for line, name in zip(plain, names, strict=True))
    assert of_compose(tmp_path, text, names) == {
        name: SAME[line] for line, name in zip(plain, names, strict=True)
    }
    for line in set(SAME).difference(plain):
        assert of_compose(tmp_path, f"{line}\n", ["X"]) == {"X": SAME[line]}


@pytest.mark.parametrize("name", ["X.Y", "X-Y", "1X", "_", "X[0]", "\u00dc\u540d", "-X", ".X", "x-y.z_1"])
def test_names_of_other_programs_are_read_as_they_do(tmp_path: Path, name: str) -> None:
    """`spring.datasource.url=…` kept a whole fleet from being started."""
    text = f"{name}='a b' # c\nexport {name}2=d\nX=abc\n"
    expected = {name: "a b", f"{name}2": "d", "X": "abc"}
    parsed = dotenv.parse(text)
    assert (parsed.variables, parsed.faults) == (expected, ())
    assert of_python_dotenv(tmp_path, text) == expected
    (tmp_path / ".env").write_text(text)
    service = {"image": "none", "env_file": ".env"}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"one": service}}))
    assert _compose_config(tmp_path)["services"]["one"]["environment"] == expected


@pytest.mark.parametrize("line", DIFFER)
def test_what_they_differ_on_is_refused(tmp_path: Path, line: str) -> None:
    parsed = dotenv.parse(f"{line}\n")
    assert ("X" in parsed.variables, len(parsed.faults) > 0) == (False, True)
    theirs = of_compose(tmp_path, f"{line}\n", ["X"])
    assert theirs is None or theirs["X"] != of_python_dotenv(tmp_path, f"{line}\n").get("X")


@pytest.mark.parametrize("line", EXPAND)
def test_what_they_expand_is_refused(tmp_path: Path, line: str) -> None:
    ((_number, why),) = dotenv.parse(f"{line}\n").faults
    assert str(why) == "other programs replace what follows “$”; write X='…' in single quotes"
    theirs = of_compose(tmp_path, f"{line}\n", ["X"])
    assert theirs is not None
    assert "HOME" not in theirs["X"]


@pytest.mark.parametrize("line", ["KEY=k1234\t# main", "KEY=k12$USER", "KEY='k1234' main", "KEY='k1234"])
def test_a_refused_line_blocks_every_start_and_its_value_is_never_shown(sandbox: Sandbox, line: str) -> None:
    (sandbox.folder / ".env").write_text(f"A=1\n{line}\n")
    for command in ("up", "restart bp_sol_01", "config --check"):
        printed = sandbox.transcript(command)
        assert ".env: line 2: " in printed
        assert "KEY" in printed
        assert "k12" not in printed
        assert "exit code 4" in printed


LIVE: dict[str, Any] = {
    "mode": "live",
    "exchange_config": {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"},
}


@pytest.fixture
def given_with_its_comment(sandbox: Sandbox) -> Sandbox:
    """A live bot that an earlier version gave a key of .env together with the comment behind it."""
    sandbox.config("bp_sol_01", 5002, **LIVE)
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=k1234 # main\nBACKPACK_SECRET=s\n")
    sandbox.transcript("up")
    env_json = sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    atomic_file.write_atomically(
        env_json, {**json.loads(env_json.read_text()), "BACKPACK_KEY": "k1234 # main"}, 0o600
    )
    return sandbox


def test_a_live_bot_keeps_what_it_was_given_until_a_person_restarts_it(
    given_with_its_comment: Sandbox,
) -> None:
    sandbox = given_with_its_comment
    env_json = sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    for command in ("plan", "up", "up"):
        printed = sandbox.transcript(command)
        assert "bp_sol_01: left alone: BACKPACK_KEY in .env: read differently by this version" in printed
        assert "k1234" not in printed
        assert "k1234 # main" in env_json.read_text()
    sandbox.config("bp_sol_01", 5002, daemon_config={"memory_limit_mb": 512}, **LIVE)
    assert "bp_sol_01: left alone: BACKPACK_KEY in .env" in sandbox.transcript("up")
    sandbox.transcript("restart bp_sol_01")
    assert json.loads(env_json.read_text())["BACKPACK_KEY"] == "k1234"
    assert "read differently" not in sandbox.transcript("up")


def test_a_value_that_was_changed_since_is_an_ordinary_change(given_with_its_comment: Sandbox) -> None:
    sandbox = given_with_its_comment
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=k5678 # new\nBACKPACK_SECRET=s\n")
    assert "bp_sol_01: restart: environment changed" in sandbox.transcript("plan")
