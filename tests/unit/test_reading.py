"""What is read from lines and written about them: times, control sequences, patterns, tables, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from argparse import Namespace
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from wcwidth import wcswidth  # type: ignore[import-untyped]

from manager import i18n
from manager.cli import argument_types, completion, main
from manager.cli.command_table import COMMANDS
from manager.cli.commands import ps
from manager.errors import UsageError
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import State, Status
from manager.monitor.logs.lines import MAX_LINE_BYTES, LogLine, escape_controls, for_terminal, join_frames
from manager.monitor.logs.pattern import MAX_CHARACTERS, Pattern
from manager.util import screen, text_table, time_parse
from manager.util.text_table import Column
from tests.builders import a_config, a_spec, write_config

# Times


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("3d", 259_200), ("1.5h", 5400), ("1w", 604_800)],
)
def test_durations_count_back_from_now(text: str, ago: float) -> None:
    assert time.time() - time_parse.parse_time(text) == pytest.approx(ago, abs=5)


def test_a_date_without_a_zone_is_local_and_one_with_a_zone_is_not() -> None:
    assert time_parse.parse_time("2026-01-31 08:00") == datetime(2026, 1, 31, 8).timestamp()
    assert time_parse.parse_time("2026-01-31") == datetime(2026, 1, 31).timestamp()
    assert time_parse.parse_time("2026-01-31T08:00:00Z") == 1_769_846_400
    assert time_parse.parse_time("2026-01-31T08:00:00+08:00") == 1_769_846_400 - 8 * 3600
    assert time_parse.parse_time("1769846400") == 1_769_846_400
    assert time_parse.parse_time("9" * 30 + "d") == time_parse.parse_time("0001-01-01T00:00:00Z") == 0


@pytest.mark.parametrize("text", ["", "yesterday", "10", "10x", "m", "2026-13-01", "-5m", "9999-12-31"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["logs", f"--since={text}"])
    assert ended.value.code == 2


def test_the_time_a_line_begins_with() -> None:
    eight = datetime(2026, 1, 31, 8).timestamp()
    assert time_parse.parse_line_time(b"2026-01-31 08:00:00 INFO x") == eight
    assert time_parse.parse_line_time(b"[2026-01-31T08:00:00.123] x") == eight
    assert time_parse.parse_line_time(b"2026-01-31T08:00:00,5Z x") == 1_769_846_400
    assert time_parse.parse_line_time(b"2026-01-31T16:00:00+0800 x") == 1_769_846_400
    assert time_parse.parse_line_time(b"INFO 2026-01-31 08:00:00") is None
    assert time_parse.parse_line_time(b"2026-99-31 08:00:00") is None


# Lines


def test_frames_of_one_long_line_are_joined_and_streams_do_not_mix() -> None:
    lines = join_frames(
        [
            ("stdout", b"T1 half "),
            ("stderr", b"T2 error\n"),
            ("stdout", b"T1 a line\n"),
            ("stdout", b"T3 open"),
        ]
    )
    assert list(lines) == [
        LogLine("stderr", b"error", "T2"),
        LogLine("stdout", b"half a line", "T1"),
        LogLine("stdout", b"open", "T3"),
    ]


def test_a_line_without_end_is_not_held_for_ever() -> None:
    frames = [("stdout", b"T " + b"x" * (1 << 14))] * 40
    lines = list(join_frames(frames))  # type: ignore[arg-type]
    assert b"".join(line.text for line in lines) == b"x" * (40 << 14)
    assert max(len(line.text) for line in lines) <= MAX_LINE_BYTES + (1 << 14)


def test_a_terminal_is_told_nothing_by_a_bot() -> None:
    hostile = (
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \x9b5n \xc2\x9b \r back\x08 \xe2\x80\xae\tok "
        b"\xe5\xb7\xb2\xe5\x8d\x96\r"
    )
    shown = for_terminal(hostile)
    assert shown.startswith("red \\u001b]0;title\\u0007 \\u001b[2J ")
    assert shown.endswith("\\u202e\tok 已卖")
    assert all(sign.isprintable() or sign == "\t" for sign in shown)
    assert for_terminal("a\u061cb\ufff9c".encode()) == "a\\u061cb\\ufff9c"
    assert for_terminal("👨‍👩‍👧　全形".encode()) == "👨‍👩‍👧　全形"
    assert json.loads(escape_controls(json.dumps("\x9b\u202e", ensure_ascii=False))) == "\x9b\u202e"


# Patterns


def test_a_pattern_that_would_take_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manager.monitor.logs.pattern.TIMEOUT_S", 0.05)
    hanging = Pattern(re.compile("(a+)+$"))
    with pytest.raises(UsageError, match="takes more than"):
        hanging.matches(b"a" * 60 + b"b")
    assert not hanging.matches(b"b")


def test_only_the_beginning_of_a_long_line_is_searched() -> None:
    wanted = Pattern(re.compile("已成交|end"))
    assert wanted.matches("2026 已成交 0.5".encode())
    assert wanted.matches(b"\xff\xfe end")
    assert not wanted.matches(b"x" * MAX_CHARACTERS + b"end")


def test_a_bad_pattern_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["logs", "--grep", "(", "--lang", "en"])
    assert ended.value.code == 2
    assert "--grep: is no regular expression: missing )" in capsys.readouterr().err


# Tables

HEADS = ["ID", "STATE", "MODE", "SYMBOL", "NOTE"]
ROWS = [
    ["bp_sol_01", "running", "paper", "SOL_USDC_PERP", "drifted: config, environment"],
    [
        "bp_eth_01",
        "\x1b[31mfailed\x1b[0m",
        "live",
        "ETH_USDC_PERP",
        "exit code 1: 餘額不足，無法下單 " + "z" * 30,
    ],
]


COLUMNS = [
    Column[list[str]](head, head, itemgetter(index), priority={"SYMBOL": 2, "MODE": 1}.get(head, 0))
    for index, head in enumerate(HEADS)
]


def a_table(limit: int) -> text_table.Table:
    return text_table.fitted(COLUMNS, ROWS, limit, [False, True])


@pytest.mark.parametrize("limit", [30, 36, 45, 60, 75, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_wrong_is_left_out(limit: int) -> None:
    table = a_table(limit)
    assert max(wcswidth(text_table.COLOUR.sub("", line)) for line in table.text.splitlines()) <= limit
    failed = "".join(table.rows[1])
    assert "failed" in failed
    assert "餘額不足" in failed.replace(" ", "")
    assert failed.count("z") == 30
    assert "…" not in failed


def test_columns_go_one_by_one_and_the_note_goes_below_at_last() -> None:
    assert a_table(200).head.split() == HEADS
    assert a_table(65).head.split() == ["ID", "STATE", "MODE", "NOTE"]
    assert a_table(52).head.split() == ["ID", "STATE", "NOTE"]
    narrow = a_table(36)
    assert narrow.head.split() == ["ID", "STATE", "MODE"]
    assert narrow.rows[0] == ["bp_sol_01  running  paper", "    drifted: config, environment"]


def test_widths() -> None:
    assert [text_table.width(text) for text in ("ab", "已停止", "🟢", "\x1b[31mx\x1b[0m", "é", "")] == [
        2,
        6,
        2,
        1,
        1,
        0,
    ]
    assert text_table.cut("已停止", 5) == "已停…"
    assert text_table.wrapped("ab cdef g", 4) == ["ab", "cdef", "g"]
    assert text_table.wrapped("已停止了", 5) == ["已停", "止了"]


# ps


def a_view(instance: str, state: State = "running", **metadata: Any) -> Instance:
    spec = a_spec(instance, metadata=metadata)
    return Instance(instance, Status(state), (), spec, None, None, InstanceState())


VIEWS = [
    a_view("a", tags=["main", "sol"]),
    a_view("b", "failed", exchange="aster", symbol="BTCUSDT"),
    a_view("c", "unhealthy", tags=["sol"]),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abc"),
        ({"state": "failed,unhealthy"}, "bc"),
        ({"exchange": "Aster"}, "b"),
        ({"symbol": "sol*,eth*"}, "ac"),
        ({"tag": "SOL", "state": "running"}, "a"),
        ({"mode": "live"}, ""),
    ],
)
def test_filters(filters: dict[str, str], expected: str) -> None:
    args = {
        name: argument_types.words(filters.get(name, ""))
        for name in ("state", "mode", "exchange", "symbol", "tag")
    }
    assert "".join(view.id for view in ps.chosen(VIEWS, Namespace(**args))) == expected


def test_an_instance_stands_under_each_of_its_tags_and_one_without_at_the_end() -> None:
    groups = ps.by_tag(VIEWS)
    assert {tag: [view.id for view in views] for tag, views in groups.items()} == {
        "main": ["a"],
        "sol": ["a", "c"],
        "": ["b"],
    }
    assert list(groups)[-1] == ""


def test_a_screen_is_drawn_over_and_cut_to_its_height() -> None:
    assert screen.render("a\nb", 5) == "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J"
    assert screen.render("a\nb\nc\nd", 3).split("\x1b[K")[:3] == ["\x1b[Ha", "\nb", "\n… 2 more lines"]


# Completion


@pytest.fixture(name="sandbox")
def _sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    i18n.use("en")
    folder = tmp_path / "desk"
    write_config(folder, a_config("bp_eth_02"), "backpack_eth")
    write_config(folder, "{", "broken")
    for name in ("bp_old_01", ".import"):
        (folder / "volumes" / "state" / name).mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def offered(*words: str) -> list[str]:
    return [line.split("\t")[0] for line in completion.answer(words).splitlines()]


def test_what_is_offered(sandbox: Path) -> None:
    assert offered("sta") == ["start", "status", "stats"]
    assert set(offered("")) >= {name.split()[0] for name in COMMANDS}
    assert offered("logs", "") == ["bp_eth_02", "bp_old_01", "broken"]
    assert offered("logs", "bp_eth_02", "bp_") == ["bp_old_01"]
    assert offered("exec", "bp_eth_02", "") == []
    assert offered("logs", "--sin") == ["--since"]
    assert offered("logs", "--since", "") == []
    assert offered("ps", "--state", "fa") == ["failed"]
    assert offered("ps", "--state", "=", "fa") == ["failed"]
    assert offered("up", "--config", "") == [":files"]
    assert offered("--project-dir", "/x", "stat") == ["status", "stats"]
    assert offered("--project-dir", "") == [":files"]
    assert offered("--lang", "z") == ["zh-TW"]
    assert offered("completion", "f") == ["fish"]
    assert offered("nonsense", "") == []
    (sandbox / "config" / "hosts.toml").write_text('tokyo = "ssh://tokyo/srv"\nosaka = "ssh://osaka/srv"\n')
    assert offered("--host", "t") == ["tokyo"]
    assert offered("--host", "tokyo", "logs", "bp_eth") == ["bp_eth_02"]
    assert offered("up", "--host-is-dead", "") == ["tokyo", "osaka"]
    assert offered("host", "deploy", "tokyo", "") == ["osaka"]


def test_nothing_is_offered_and_nothing_said_outside_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("logs", "") == []


def test_every_option_and_argument_can_be_completed(sandbox: Path) -> None:
    for name in COMMANDS:
        offered(*name.split(), "")
        assert "--help" in offered(*name.split(), "--")


TAB = {
    "bash": 'COMP_WORDS=(manager logs bp_e); COMP_CWORD=2; _manager manager; echo "${COMPREPLY[*]}"',
    "zsh": ("_describe() { echo ${offers%%:*}; }; words=(manager logs bp_e); CURRENT=3; _manager"),
    "fish": "complete -C 'manager logs bp_e'",
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_offer_instances(sandbox: Path, shell: str, tmp_path: Path) -> None:
    program = tmp_path / "manager"
    root = Path(main.__file__).parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m manager "$@"\n')
    program.chmod(0o755)
    script = (
        completion.SCRIPTS[shell] if shell != "zsh" else f"compdef() {{ :; }}\n{completion.SCRIPTS[shell]}"
    )
    try:
        done = subprocess.run(
            [shell, "-c", f"{script}\n{TAB[shell]}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )
    except (FileNotFoundError, PermissionError):  # the latter where a folder of PATH is closed to this user
        pytest.skip(f"{shell} is not installed")
    assert done.stdout.split() == ["bp_eth_02"], done.stderr
