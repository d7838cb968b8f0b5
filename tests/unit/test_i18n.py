"""Languages: the catalogues say all that the source says, `list` is the old table, and every table is
straight.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from functools import cache
from operator import itemgetter
from pathlib import Path

import pytest
from wcwidth import wcswidth  # type: ignore[import-untyped]

from manager import i18n
from manager.cli import argparse_i18n
from manager.cli import parsers as command_parsers
from manager.errors import ManagerError, Problem
from manager.fleet import display, list_table, supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.fleet.supervisor_sentences import parsed
from manager.i18n import Text
from manager.util import console
from manager.util.text_table import Column
from scripts import messages
from tests.builders import a_container, a_supervisor_file

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = re.compile(r"\{\w*\}|%\(\w+\)[a-z]|%[a-z]")

OLD_TABLE = """\
實例ID                 PID        Web端口      配置文件                                     啟動時間
--------------------------------------------------------------------------------------------------------------------
🟢 bp_sol_01          12345      5001       config/active/bp_sol_01.json             2025-11-30 19:00:00
🟢 bp_eth_02          12346      5002       config/active/bp_eth_02.json             2025-11-30 19:01:00"""
"""The old system's document, byte for byte."""


@pytest.fixture
def chinese() -> None:
    i18n.use("zh-TW")


# The catalogues


@cache
def extracted() -> list[tuple[str, str]]:
    """Return (message, file) of all that the source says."""
    return list(messages.messages(messages.sources()))


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_catalogue_says_what_the_source_says(language: str) -> None:
    catalogue, wanted = messages.read(language), messages.updated(language)
    how = "run: .venv/bin/python scripts/messages.py, and translate what it names"
    assert messages.untranslated(wanted) == [], how
    assert messages.as_po(wanted) == messages.po_file(language).read_bytes(), how
    assert messages.as_mo(catalogue) == messages.po_file(language).with_suffix(".mo").read_bytes(), how


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_translations_have_the_same_placeholders(language: str) -> None:
    for message in messages.read(language):
        if message.id:
            ours, theirs = str(message.id), str(message.string)
            assert set(PLACEHOLDER.findall(theirs)) == set(PLACEHOLDER.findall(ours)), ours
            assert theirs.count("{{") == ours.count("{{"), ours
            assert theirs[-1:].isspace() == ours[-1:].isspace() or ours == "usage: ", ours


def test_english_has_a_form_for_one_of_each_thing_that_is_counted() -> None:
    """`stop the whole fleet, with 1 live bots?`"""
    several = re.compile(
        r"\{count\}(?: (?!of )[a-z]+){0,2}? (?!is |was |has |as |less |this |rests )[a-z]+s\b"
    )
    never_one = {
        "a password has at least {count} characters",
        "a request has a length, of at most {count} bytes",
        "it has created {count} files and the disk has only {free} inodes free",
        "{count} env files and folders are readable by the bots' user only",
    }
    counted = {text for text, _file in extracted() if several.search(text)}
    assert len(counted) > 40
    assert counted >= never_one
    left = {text for text in counted if several.search(i18n.singular(text))}
    assert left == never_one, "add the noun to NOUNS in manager/i18n.py"


VERBS = (
    "allows|answers|belongs|builds|contains|counts|does|exists|gives|holds|keeps|knows|leads|links|names|needs|points|refuses|"
    "ps|runs|sends|serves|starts|stays|stops|takes|trades|uses|watches"
)
NEVER_ONE = (
    "is larger than {limit} bytes",
    "{path} is larger than {limit} bytes",
    "Swarm accepts no service named {name}: at most {limit} letters",
)
"""The limits in these are far above 1."""


def test_what_another_parameter_counts_has_a_form_for_one_of_it_too() -> None:
    """`load 0.1 on 1 cores`"""
    several = re.compile(
        rf"\{{(?!count\b)(\w+)(?::[^}}]*)?\}}"
        rf" (?!is |was |has |as |this |ms|(?:{VERBS})\b)[a-z]+s\b"
    )
    counted = [(match[1], text) for text, _file in extracted() for match in several.finditer(text)]
    told = {
        text
        for name, text in counted
        if name in {match[1] for match in several.finditer(i18n.singular(text, name))}
        and not text.startswith(NEVER_ONE)
    }
    assert told == set(), "add the noun to NOUNS in manager/i18n.py, or the verb to VERBS here"


@pytest.mark.parametrize(
    ("several", "one"),
    [
        ("stop the whole fleet, with {count} live bots ({ids})?", "with 1 live bot (a)?"),
        ("{count} orders are left", "1 order is left"),
        ("{what}; {count} orders rest there", "1 order rests there"),
        ("close these {count} positions?", "close this position?"),
        ("{running} of {count} instances are running, none is failed or unhealthy", "1 of 1 instance is"),
        ("{count} of the instances run an older image: {ids}", "1 of the instances runs an older image: a"),
        ("{count} streams of the role {role} are open", "1 stream of the role live is open"),
        ("load {load:.1f} on {running} cores", "load 0.5 on 1 core"),
    ],
)
def test_one_of_them_is_told_as_one(several: str, one: str) -> None:
    others = {"ids": "a", "what": "", "role": "live", "load": 0.5}
    assert one in str(Text(several, count=1, running=1, **others))
    assert one not in str(Text(several, count=2, running=2, **others))


def test_the_extraction_finds_every_kind_of_message() -> None:
    """One message of each: function, text, error, fault, problem, mark, f-string."""
    texts = {message for message, _file in extracted()}
    assert texts >= {
        "nothing to do",
        "no container",
        "the image {image} does not exist; build it with `manager build`",
        "must be an IP address",
        "is larger than {limit} bytes",
        "no such file",
        "create and start the fleet as its configs describe",
        "error",
        "cannot back up {file}: {why}",
    }


def test_no_error_is_made_of_an_f_string() -> None:
    """It could not be translated; and a user's `{` would break it."""
    import ast

    trees = messages.sources()
    functions = {**messages.FUNCTIONS, **dict.fromkeys(messages.error_classes(trees), 0)}
    faults = [
        f"{file}:{node.lineno}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (index := functions.get(messages.called(node.func))) is not None
        and len(node.args) > index
        and isinstance(node.args[index], ast.JoinedStr | ast.BinOp)
    ]
    assert faults == []


def test_this_pythons_argparse_says_what_we_translate() -> None:
    """Words that it no longer knows are allowed (other versions have them); none of these may be missing."""
    import argparse

    source = Path(argparse.__file__).read_text(encoding="utf-8")
    known = [word for word in argparse_i18n.WORDS if word in source]
    assert len(known) >= len(argparse_i18n.WORDS) - 4


# The choice


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh_TW"),
        ({"LANG": "zh_TW.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "MANAGER_LANG": "zh-TW"}, "zh_TW"),
        ({"LANG": "zh_TW.UTF-8", "MANAGER_LANG": "en"}, "en"),
        ({"LANG": "zh_TW.UTF-8", "MANAGER_LANG": ""}, "zh_TW"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_HK.UTF-8"}, "zh_TW"),
    ],
)
def test_manager_lang_then_the_locale(environ: dict[str, str], language: str) -> None:
    assert i18n.language_from(environ) == language


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if name not in {"LANG", "LC_ALL", "LC_MESSAGES"}
    }
    clean = {**clean, "MANAGER_LANG": "", "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environ}
    return subprocess.run(
        [sys.executable, "-m", *args], capture_output=True, text=True, check=False, env=clean, timeout=60
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--lang", "zh-TW", "--help"],
        ["--lang=zh_TW", "--help"],
        ["--help", "--lang", "zh-TW"],
        ["list", "--lang", "zh-TW", "--help"],
        ["--lang", "zh-TW", "up", "--help"],
    ],
)
def test_help_is_in_the_language_asked_for(args: list[str]) -> None:
    done = run("manager", *args)
    assert done.returncode == 0
    for word in ("用法：", "選項：", "顯示這份說明後結束"):
        assert word in done.stdout
    for word in ("usage", "options", "positional", "show this"):
        assert word not in done.stdout


def test_every_line_of_help_is_translated(chinese: None) -> None:
    """English words in it are names: of options, commands, files and placeholders."""
    root = command_parsers.parser()
    parsers = {"": root, **root._subparsers._group_actions[0].choices}  # type: ignore[union-attr, dict-item]
    for name, parser in parsers.items():
        text = parser.format_help()
        for line in text.splitlines():
            assert not re.search(r"(?<!-)\b(the|and|of|is|show|with)\b", line), f"{name}: {line}"
            assert not line.endswith(":"), f"{name}: {line}"
        assert "SUPPRESS" not in text, name


def test_a_message_of_placeholders_alone_has_the_punctuation_of_the_language(chinese: None) -> None:
    parts = {"id": "bp_sol_01", "size": 1.25, "why": "b; c"}
    assert str(Text("{id}: {size:.1f}; {why}", **parts)) == "bp_sol_01：1.2；b; c"
    with i18n.speaking("en"):
        assert str(Text("{id}: {size:.1f}; {why}", **parts)) == "bp_sol_01: 1.2; b; c"


OTHER_WORDS = {
    "機群": ("隊伍", "艦隊", "車隊", "船隊"),
    "指令": ("命令",),
    "結束代碼": ("結束碼", "退出碼"),
    "檢查碼": ("校驗碼",),
    "倉位": ("持倉", "部位"),
    "帳戶": ("帳號", "賬戶", "賬號"),
    "映像檔": ("鏡像",),
    "日誌": ("紀錄檔", "記錄檔"),
    "資料夾": ("目錄", "文件夾"),
    "實盤": ("真實交易",),
    "警報": ("警示",),
    "機群網頁": ("機群頁面",),
}
"""Our word → others for the same thing."""


@pytest.mark.parametrize(
    ("holder", "told"),
    [
        (
            Text(
                "`manager {command}` (pid {pid}, user {user}, since {since})",
                command="serve",
                pid=7,
                user=0,
                since="1",
            ),
            "`manager serve`（pid 7，使用者 0，從 1 開始）已在提供這個機群的網頁：見 `manager serve status`",
        ),
        ("python (pid 7)", "python (pid 7) 已在提供這個機群的網頁：見 `manager serve status`"),
    ],
)
def test_no_blank_stands_beside_a_chinese_mark(chinese: None, holder: object, told: str) -> None:
    assert str(Text("{holder} already serves this fleet: see `manager serve status`", holder=holder)) == told


def test_one_word_for_each_thing_in_chinese() -> None:
    """But for an exchange's names of its own settings, and for words of which ours is a part."""
    catalogue = ROOT / "manager" / "locale" / "zh_TW" / "LC_MESSAGES" / "manager.po"
    pages = [catalogue, *ROOT.glob("*.zh-TW.md"), *ROOT.glob("d[eo]*/**/*.zh-TW.md")]
    assert len(pages) > 20
    for page in pages:
        text = re.sub("[單雙]向持倉|鏡像站|[家作]目錄", "", page.read_text())
        used = [word for words in OTHER_WORDS.values() for word in words if word in text]
        assert used == [], page.name
        # The program is called 管理程式; `manager` is its command.
        assert re.findall(r"(?<=[\u3000-\u9fff]) ?manager(?! [a-z-]|[\w./`\[-])", text) == [], page.name


def test_the_environment_chooses_and_the_option_beats_it(tmp_path: Path) -> None:
    project = ["--project-dir", str(tmp_path)]
    assert "錯誤：" in run("manager", *project, "stop", "nobody", LANG="zh_TW.UTF-8").stderr
    assert "error: " in run("manager", *project, "stop", "nobody", LANG="C.UTF-8").stderr
    assert "error: " in run("manager", "--lang", "en", *project, "stop", "nobody", LANG="zh_TW.UTF-8").stderr


@pytest.mark.parametrize("args", [["--lang", "fr", "ps"], ["ps", "--lang=klingon"]])
def test_a_language_we_do_not_have_is_a_usage_error(args: list[str]) -> None:
    done = run("manager", *args)
    assert done.returncode == 2
    assert "must be one of en, zh-TW" in done.stderr
    done = run("manager", *args, LANG="zh_TW.UTF-8")
    assert "必須是 en, zh-TW 其中之一" in done.stderr


def test_usage_errors_are_translated() -> None:
    done = run("manager", "--lang", "zh-TW", "dance")
    assert (done.returncode, done.stdout) == (2, "")
    assert "沒有 dance 這個指令" in done.stderr
    assert "需要一個引數" in run("manager", "--lang", "zh-TW", "up", "--lock-wait").stderr
    done = run("manager.daemon_manager", "dance", MANAGER_LANG="zh-TW")
    assert done.returncode == 2
    assert "用法：" in done.stderr


def test_english_loads_no_catalogue() -> None:
    """`gettext` alone comes with argparse; our part of it is not touched."""
    script = (
        "import sys; import manager.i18n as i; i.use('en'); i._('running'); assert 'gettext' not in"
        " sys.modules;"
        "import manager.cli.parsers as c; c.parser(); assert i._catalogue.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_an_application_that_chose_its_language_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANAGER_LANG", "zh-TW")
    i18n.use("en")
    i18n.use_environment()
    assert i18n._("running") == "running"
    i18n._language = None
    i18n.use_environment()
    assert i18n._("running") == "執行中"


# The words


def test_errors_and_problems_speak_chinese(chinese: None) -> None:
    assert (
        str(ManagerError("cannot write {path}: {why}", path="/x", why="no space")) == "無法寫入 /x：no space"
    )
    problem = Problem.at(
        "a.json", "daemon_config.web_port", "must be {range}, not {value}", range="1-65535", value="0"
    )
    assert str(problem) == "a.json：daemon_config.web_port：必須在 1-65535 之間，不能是 0"
    assert i18n._("") == ""


def test_supervisors_speak_chinese_too(chinese: None) -> None:
    assert (
        str(parsed("exit code 1 (given up after 3 restarts in a row)")) == "結束代碼 1（連續重啟 3 次後放棄）"
    )
    assert str(parsed("SIGKILL (out of memory)")) == "SIGKILL（記憶體不足）"
    assert (
        str(parsed("unhealthy: 5 probes failed (no answer within 5 s) (auto_restart is off)"))
        == "不健康：5 次健康檢查失敗（5 秒內沒有回應）（auto_restart 已關閉）"
    )
    assert str(parsed("something {new}")) == "something {new}"


def test_supervisors_sentences_are_the_ones_that_are_known() -> None:
    """Rendered by the supervisor's own code."""
    from supervisor import policy

    for ending, sentence in (
        (policy.Ending(1, None), "exit code {code}"),
        (policy.Ending(None, "SIGKILL", oom=True), "{signal} (out of memory)"),
    ):
        assert parsed(str(policy.describe(ending))).message == sentence


# The old table


def a_view(folder: Path, instance: str, started: str) -> Instance:
    port = "5001" if instance == "bp_sol_01" else "5002"
    container = a_container(instance, labels={"botfleet.web-port": port})
    supervisor = a_supervisor_file(
        container=container.id, bot_started_at=datetime.fromisoformat(started).timestamp()
    )
    (folder / supervisor_state.STATE_FILE).write_text(json.dumps(supervisor))
    return Instance(
        instance, Status("running"), (), None, container, supervisor_state.read(folder), InstanceState()
    )


@pytest.fixture
def views(tmp_path: Path) -> list[Instance]:
    return [
        a_view(tmp_path, "bp_sol_01", "2025-11-30T19:00:00"),
        a_view(tmp_path, "bp_eth_02", "2025-11-30T19:01:00"),
    ]


def test_list_in_chinese_is_the_old_table_byte_for_byte(chinese: None, views: list[Instance]) -> None:
    assert list_table.list_table(views, {"bp_sol_01": 12345, "bp_eth_02": 12346}) == OLD_TABLE


def test_list_with_nothing_in_it(chinese: None) -> None:
    assert list_table.list_table([], {}) == "沒有運行中的實例"


def test_list_in_english_has_the_same_form(views: list[Instance]) -> None:
    i18n.use("en")
    lines = list_table.list_table(views, {"bp_sol_01": 12345}).splitlines()
    assert lines[0] == f"{'Instance ID':<20} {'PID':<10} {'Web port':<10} {'Config file':<40} Started"
    assert lines[1] == "-" * 116
    assert lines[2] == OLD_TABLE.splitlines()[2]
    assert all(line == line.rstrip() for line in lines)


# Widths


def test_columns_stand_where_they_should_whatever_is_in_them() -> None:
    rows = [["bp_sol_01", "執行中", "x"], ["短", "running", "y"], ["全形（）ＡＢ", "🟢", "z"]]
    columns = [
        Column[list[str]](head, head, itemgetter(index)) for index, head in enumerate(["ID", "狀態", "備註"])
    ]
    lines = console.table(columns, rows).splitlines()
    for cells in zip(["備註", "x", "y", "z"], lines, strict=True):
        mark, line = cells
        assert wcswidth(line[: line.rindex(mark)]) == wcswidth(lines[0][: lines[0].rindex("備註")])


def test_ps_in_chinese_is_straight(
    chinese: None, views: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = display.ps_table(views).text.splitlines()
    head = lines[0]
    assert "狀態" in head
    assert "執行中" in lines[1]
    assert "模擬盤" in lines[1]
    assert (
        wcswidth(head[: head.index("狀態")])
        == wcswidth(lines[1][: lines[1].index("模擬盤")]) + wcswidth("模擬盤") + 2
    )


def test_texts_compare_and_show_their_template() -> None:
    assert Text("a {b}", b=1) == Text("a {b}", b=1)
    assert Text("a {b}", b=1) != Text("a {b}", b=2)
