"""Other machines: what is an address, what ssh is told, and what is shown of one that does not answer."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Barrier, Event

import pytest

from manager import __version__
from manager.cli import elsewhere, host_answers
from manager.cli.main import main
from manager.errors import (
    FAILED,
    NO_ENGINE,
    OK,
    USAGE,
    ConfigError,
    ManagerError,
    UsageError,
    worst_exit_code,
)
from manager.fleet import project
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops.hosts import account_looks, accounts, check, everywhere, last_seen, registry, ssh
from manager.ops.hosts.everywhere import Answer
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult, Unreachable
from manager.util import console
from tests.builders import a_fleet
from tests.fakes.sandbox import Sandbox


@pytest.mark.parametrize(
    "url",
    [
        "ssh://tokyo.example/srv/desk",
        "ssh://trader@tokyo.example/srv/desk",
        "ssh://trader@10.0.0.2:2222/srv/交易 desk",
        "ssh://trader@[fd00::2]:22/srv/desk",
    ],
)
def test_an_address_is_kept_as_it_was_given(url: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    host = registry.parse("tokyo", url)
    assert host.url == url
    registry.save(tmp_path, {"tokyo": host})
    assert registry.load(tmp_path) == {"tokyo": host}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("tokyo", "ssh://-oProxyCommand=reboot/x"),
        ("tokyo", "ssh://-l@host/x"),
        ("tokyo", "ssh://user:password@host/x"),
        ("tokyo", "ssh://host"),
        ("tokyo", "ssh://host/"),
        ("tokyo", "ssh://host:99999/x"),
        ("tokyo", "https://host/x"),
        ("tokyo", "ssh://host/x\u202e"),
        ("here", "ssh://host/x"),
        ("-tokyo", "ssh://host/x"),
        ("../x", "ssh://host/x"),
    ],
)
def test_what_is_no_address_or_no_name_is_refused(name: str, url: str) -> None:
    with pytest.raises(UsageError):
        registry.parse(name, url)


@pytest.mark.parametrize("text", ["tokyo = 1", "tokyo = 'http://x'", "tokyo", "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").mkdir()
    registry.path(tmp_path).write_text(text)
    with pytest.raises(ConfigError, match=r"config/hosts\.toml"):
        registry.load(tmp_path)


def test_a_login_without_a_shell_is_told_from_a_missing_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CommandResult(
        1, "This account is currently not available.\n", "Could not chdir to home directory\n"
    )
    monkeypatch.setattr(ssh, "ended", lambda *_words: result)
    host = registry.parse("tokyo", "ssh://nobody@tokyo.example/srv/desk")
    [finding] = check.check(host, a_fleet())
    assert finding.is_ok is False
    assert str(finding.text).endswith("may run no command there: This account is currently not available.")


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("ssh://trader@tokyo.example/srv/desk", "ssh trader@tokyo.example"),
        ("ssh://alias:2222/srv/desk", "ssh -p 2222 alias"),
        ("ssh://trader@[fd00::1]/srv/desk", "ssh trader@fd00::1"),
    ],
)
def test_who_has_never_logged_in_there_is_told_how(url: str, login: str) -> None:
    why = str(ssh.unreachable(registry.parse("tokyo", url), "Host key verification failed.\r\n"))
    assert f"its key is not in known_hosts: run `{login}` once" in why
    changed = ssh.unreachable(registry.parse("tokyo", url), f"{ssh.CHANGED_KEY}\n{ssh.UNKNOWN_KEY}\n")
    assert "ANOTHER" in str(changed)


@pytest.mark.parametrize(
    ("first_s", "second_s", "apart", "is_ok"),
    [(1.6, 0.1, -2.5, None), (1.6, 0.1, 0.0, True), (0.1, 3.0, 2.5, None), (0.1, 0.1, 400.0, None)],
)
def test_the_clock_is_read_without_the_login(
    monkeypatch: pytest.MonkeyPatch, first_s: float, second_s: float, apart: float, is_ok: bool | None
) -> None:
    """A first login takes a second or more, in which a clock's fault was hidden, or another one shown.

    The host looks at its clock when the login is done: at the end of the time that it took.
    """
    now = [1000.0]
    seconds = iter((first_s, second_s))
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def ended(*_more: object) -> CommandResult:
        now[0] += next(seconds)
        return CommandResult(OK, f"{now[0] + apart}\n", "")

    monkeypatch.setattr(ssh, "shell", lambda *_more, **_options: [])
    monkeypatch.setattr(ssh, "ended", ended)
    monkeypatch.setattr(ssh, "run", lambda *_more: CommandResult(127, "", "not found"))
    host = registry.parse("tokyo", "ssh://trader@tokyo/srv/our desk")
    login, clock, missing = check.check(host, a_fleet())
    assert (login.is_ok, clock.is_ok) == (True, is_ok)
    assert f"{apart:+.1f} s from" in str(clock.text).replace("+0.1", "+0.0") or abs(apart) > 2
    assert "--url 'ssh://trader@tokyo/srv/our desk'`" in str(missing.text), "the command can be pasted"


def test_a_folder_that_may_not_be_written_to_is_named(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    fleet = project.read(sandbox.folder).fleet
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != fleet.data_dir)
    fleet.data_dir.mkdir(parents=True, exist_ok=True)
    key = "ab" * accounts.KEY_BYTES
    told = account_looks.answer(Session(sandbox.folder).observe(), key)
    assert told["unwritable"] == [str(fleet.data_dir)]

    def run(_host: Host, words: Sequence[str], *_more: object) -> CommandResult:
        out = {"--version": f"botfleet {__version__}", "ps": "[]", "host": json.dumps(told)}
        return CommandResult(OK, out[words[0]], "")

    monkeypatch.setattr(ssh, "run", run)
    monkeypatch.setattr(ssh, "shell", lambda *_more, **_options: [])
    monkeypatch.setattr(ssh, "ended", lambda *_more: CommandResult(OK, f"{time.time()}", ""))
    findings = list(check.check(registry.parse("tokyo", "ssh://tokyo/srv/desk"), fleet))
    [folder] = [finding for finding in findings if str(finding.text).startswith("folder:")]
    assert folder.is_ok is None
    assert str(fleet.data_dir) in str(folder.text)


def test_a_typo_in_one_line_keeps_no_command_from_the_other_machines(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    registry.path(tmp_path).write_text('tokyo = "ssh://tokyo/srv/desk"\nosaka = "http://osaka"\n')
    hosts, [problem] = registry.readable(tmp_path)
    assert (list(hosts), problem.path) == (["tokyo"], "osaka")
    assert registry.get(tmp_path, "tokyo").address == "tokyo"
    with pytest.raises(ConfigError, match="osaka"):
        registry.get(tmp_path, "osaka")
    with pytest.raises(ConfigError, match="osaka"):
        registry.load(tmp_path)


@pytest.mark.parametrize("code", [126, 127, 130, 137, 255, -9])
def test_an_exit_code_that_is_no_managers_is_a_failure(code: int) -> None:
    """127: a shell that found no manager there, so that a halt did not even begin."""
    assert worst_exit_code([OK, code]) == FAILED
    assert worst_exit_code([code, NO_ENGINE]) == NO_ENGINE


def test_nothing_that_a_person_types_reaches_the_other_shell_as_code() -> None:
    host = registry.parse("tokyo", "ssh://trader@tokyo.example/srv/a'b $(reboot)")
    words = ["logs", "bp; reboot", "--grep", "$(reboot)`x`"]
    *options, line = ssh.command(host, words)
    assert options[-2:] == ["--", "tokyo.example"]
    assert shlex.split(line) == ["sh", "-c", ssh.RUN, "/srv/a'b $(reboot)", *words]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(options)


def test_what_a_login_shell_prints_is_no_part_of_what_is_read() -> None:
    host = registry.parse("tokyo", "ssh://trader@tokyo.example/srv/desk")
    *_options, line = ssh.shell(host, ["sh", "-c", 'echo "$0"; cat', "it's\n$(reboot)"], is_read=True)
    noise = f"echo Welcome; echo; printf no-line; echo; {line}"
    for name in ("sh", "bash", "zsh", "fish"):
        if (login_shell := shutil.which(name)) is not None:
            done = subprocess.run(
                [login_shell, "-c", noise], input=b"\x00in", capture_output=True, check=True
            )
            assert done.stdout.startswith(b"Welcome\n")
            assert ssh.output(done.stdout) == b"it's\n$(reboot)\n\x00in", name
    assert ssh.output(b"of an image") == b"of an image"


def test_nothing_of_a_persons_own_login_is_done_for_a_command() -> None:
    """A `RemoteCommand` in ~/.ssh/config made each command fail, a `LocalForward` took its port."""
    host = registry.parse("tokyo", "ssh://trader@tokyo.example/srv/desk")
    assert {"RemoteCommand=none", "ClearAllForwardings=yes"} <= set(ssh.command(host, ["ps"]))


def test_options_of_this_machine_are_not_passed_on() -> None:
    line = ["--project-dir", "/x", "--host", "tokyo", "ps", "--lang=en", "--hosts", "--state", "running"]
    assert list(elsewhere.passed_on(line))[2:] == ["ps", "--state", "running"]
    line = ["exec", "bp_1", "--host=tokyo", "--", "tool", "--host", "other"]
    assert list(elsewhere.passed_on(line))[2:] == ["exec", "bp_1", "--", "tool", "--host", "other"]


def test_a_machine_that_does_not_answer_is_shown_as_it_was_last_seen(tmp_path: Path) -> None:
    fleet = a_fleet(data_dir=tmp_path)
    answer = Answer(
        "tokyo", CommandResult(1, json.dumps([{"id": "a", "state": "running", "doing": "trading"}]), "")
    )
    [row] = everywhere.rows(fleet, [answer], 0.0)
    assert (row.values["state"], row.age) == ("running", None)
    seen = last_seen.load(fleet, "tokyo", "")
    assert seen is not None
    [row] = everywhere.rows(fleet, [Answer("tokyo", error=Unreachable("x"))], seen.at + 90)
    assert (row.values["state"], row.values["last_state"], row.age) == ("unreachable", "running", 90)
    [row] = everywhere.rows(fleet, [Answer("paris", error=Unreachable("x"))], 0.0)
    assert (row.host, row.values["id"], row.values["state"]) == ("paris", "?", "unreachable")
    assert (row.age, host_answers.state_text(row)) == (None, "unreachable")
    everywhere.rows(fleet, [Answer("tokyo", CommandResult(0, "[]", ""))], 0.0)
    seen = last_seen.load(fleet, "tokyo", "")
    assert seen is not None
    [row] = everywhere.rows(fleet, [Answer("tokyo", error=Unreachable("x"))], seen.at + 90)
    assert (row.age, host_answers.state_text(row)) == (90, "unreachable (no instances 1m ago)")


@pytest.mark.parametrize(
    ("mode", "severity", "shown"),
    [
        ("live", "calm", "bad"),
        ("live", "off", "warn"),
        ("paper", "calm", "warn"),
        ("paper", "bad", "bad"),
        (None, None, "warn"),
    ],
)
def test_nothing_is_calm_on_a_machine_that_does_not_answer(
    tmp_path: Path, mode: str | None, severity: str | None, shown: str
) -> None:
    """A program that reads `ps --hosts --json` took what it last was for what it is."""
    fleet = a_fleet(data_dir=tmp_path)
    told = {"id": "a", "state": "running", "mode": mode, "severity": severity, "report_age_s": 7}
    everywhere.rows(fleet, [Answer("tokyo", CommandResult(0, json.dumps([told]), ""))], 0.0)
    seen = last_seen.load(fleet, "tokyo", "")
    assert seen is not None
    [row] = everywhere.rows(fleet, [Answer("tokyo", error=Unreachable("x"))], seen.at + 90)
    values = row.values
    assert (values["severity"], values["report_age_s"], values["report_is_old"]) == (shown, 97, True)


def test_what_was_filtered_or_is_of_another_address_is_not_what_a_machine_was_last_seen_with(
    tmp_path: Path,
) -> None:
    fleet, away = a_fleet(data_dir=tmp_path), Unreachable("x")

    def listing(*ids: str) -> CommandResult:
        return CommandResult(0, json.dumps([{"id": name, "state": "running"} for name in ids]), "")

    def ids(url: str) -> list[str]:
        rows = everywhere.rows(fleet, [Answer("tokyo", error=away, url=url)], 0.0)
        return [row.values["id"] for row in rows]

    everywhere.rows(fleet, [Answer("tokyo", listing("a", "b"), url="ssh://one/x")], 0.0)
    everywhere.rows(fleet, [Answer("tokyo", listing("b"), url="ssh://one/x")], 0.0, is_whole=False)
    assert ids("ssh://one/x") == ["a", "b"]
    assert ids("ssh://two/x") == ["?"]


@pytest.mark.parametrize(
    ("answer", "rows", "lines"),
    [
        (Answer("a", CommandResult(0, '[{"id": "x"}]', "")), [{"id": "x"}], None),
        (Answer("a", CommandResult(0, '{"id": "x"}\n{"id": "y"}\n', "")), None, [{"id": "x"}, {"id": "y"}]),
        (Answer("a", CommandResult(0, "", "")), None, []),
        (Answer("a", CommandResult(127, "", "manager: not found")), None, None),
        (Answer("a", CommandResult(0, "Welcome!\n[]", "")), None, None),
        (Answer("a", error=Unreachable("x")), None, None),
    ],
)
def test_json_of_another_machine(answer: Answer, rows: object, lines: object) -> None:
    assert everywhere.rows_in(answer) == rows
    assert everywhere.lines_in(answer) == lines


@pytest.mark.parametrize("out", ["", "{}", "not json", '["x"]', "null"])
def test_an_answer_that_is_none_is_not_believed(tmp_path: Path, out: str) -> None:
    rows = everywhere.rows(a_fleet(data_dir=tmp_path), [Answer("tokyo", CommandResult(0, out, ""))], 0.0)
    assert [row.values["state"] for row in rows] == ["unreachable"]


def test_what_answers_first_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A halt here is not to be waited for behind a machine that hangs, nor ended when that one is late."""
    told = Event()

    def run(host: Host, _words: object, _timeout: float, _stdin: bytes) -> CommandResult:
        assert told.wait(60)
        raise Unreachable("{name}", name=host.name)

    monkeypatch.setattr(ssh, "run", run)
    hosts = [registry.parse("tokyo", "ssh://tokyo/x")]
    answers = everywhere.as_they_come(hosts, tmp_path, ["halt"], 0.001, None)
    first = next(answers)
    assert (first.host, first.error) == ("here", None)
    told.set()
    assert [str(answer.error) for answer in answers] == ["tokyo"]


def test_this_machine_may_be_the_one_that_does_not_answer(tmp_path: Path) -> None:
    [answer] = everywhere.run([], tmp_path, ["ps", "--json"], 0.001)
    assert str(answer.error) == "this machine did not answer within 0 s"


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"state": "stopped", "moved_to": "tokyo", "why": "stopped by a user"}, "moved to tokyo"),
        ({"state": "missing", "moved_to": "tokyo"}, "moved to tokyo"),
        ({"state": "running", "moved_to": "tokyo", "doing_why": "trades"}, "trades"),
        ({"state": "stopped", "moved_to": None, "why": "stopped by a user"}, "stopped by a user"),
        ({"state": "stopped"}, ""),
        (
            {"state": "stopped", "is_left_unknown": True, "why": "container exit code 0"},
            "unknown what is left at the exchange",
        ),
        ({"state": "stopped", "open_orders_left": 2, "why": "stopped by a user"}, "2 open orders left"),
        ({"state": "stopped", "open_orders_left": 0, "why": "stopped by a user"}, "stopped by a user"),
        ({"state": "stopped", "open_orders_left": "2", "why": "stopped by a user"}, "stopped by a user"),
        ({"state": "stopped", "is_left_unknown": "x", "why": "of another version"}, "of another version"),
    ],
)
def test_an_instance_that_was_moved_away_is_noted(values: dict[str, object], note: str) -> None:
    assert elsewhere._note(everywhere.Row("here", values)) == note


def test_what_only_follows_there_ends_with_the_pipe_that_this_machine_holds(tmp_path: Path) -> None:
    """Killed here, `manager --host tokyo logs -f | grep x` went on there for ever."""
    manager = tmp_path / ".venv" / "bin" / "manager"
    manager.parent.mkdir(parents=True)
    manager.write_text('#!/bin/sh\necho "$@"\n[ "$1" = ps ] && exit 3\nexec sleep 3600\n')
    manager.chmod(0o755)
    shell = ["sh", "-c", ssh.RUN_WHILE_HELD, str(tmp_path)]
    with subprocess.Popen([*shell, "logs", "-f"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"logs -f\n"
        process.stdin.close()
        assert process.stdout.read() == b"", "nobody is left who could write"
        assert process.wait(60) == 143
    with subprocess.Popen([*shell, "ps"], stdin=subprocess.PIPE) as process:
        assert process.wait(60) == 3


@pytest.mark.parametrize(
    ("line", "is_held"),
    [
        ("logs -f", True),
        ("ps --watch", True),
        ("logs", False),
        ("ps", False),
        ("watch", False),
        ("halt", False),
    ],
)
def test_only_what_shows_without_end_is_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, is_held: bool
) -> None:
    (tmp_path / "config" / "active").mkdir(parents=True)
    (tmp_path / "config" / "hosts.toml").write_text('tokyo = "ssh://trader@tokyo/srv/desk"\n')
    seen: list[bool] = []

    def on(_host: Host, _words: object, *, is_endless: bool, is_read: bool) -> int:
        assert is_read == (not line.startswith(("watch", "halt")))
        seen.append(is_endless)
        return 0

    monkeypatch.setattr(elsewhere, "_on", on)
    assert main(["--project-dir", str(tmp_path), "--host", "tokyo", *line.split()]) == 0
    assert seen == [is_held]


def test_a_check_without_any_host_says_so(sandbox: Sandbox) -> None:
    assert "no hosts: `manager host add NAME" in sandbox.transcript("host check")


def test_hosts_are_checked_at_once_and_told_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, both = a_folder_with_tokyo(tmp_path), Barrier(2)
    with (folder / "config" / "hosts.toml").open("a") as file:
        file.write('osaka = "ssh://trader@osaka/srv/desk"\n')

    def findings(host: Host, _fleet: object) -> Iterator[check.Finding]:
        both.wait(60)
        yield check.Finding(None if host.name == "tokyo" else False, Text("of {name}", name=host.name))

    monkeypatch.setattr(check, "check", findings)
    assert main(["--project-dir", str(folder), "host", "check", "--json"]) == FAILED
    assert json.loads(capsys.readouterr().out) == [
        {"host": "tokyo", "level": "warn", "text": "of tokyo"},
        {"host": "osaka", "level": "fail", "text": "of osaka"},
    ]
    assert main(["--project-dir", str(folder), "host", "check"]) == FAILED
    assert capsys.readouterr().out == "tokyo: warning: of tokyo\nosaka: FAILED: of osaka\n"
    (folder / "config" / "hosts.toml").unlink()
    assert main(["--project-dir", str(folder), "host", "check", "--json"]) == OK
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "line",
    [
        "stop --host tokyo --host osaka",
        "--host=osaka stop --host tokyo",
        "--host tokyo ps --hosts",
    ],
)
def test_a_line_that_names_several_machines_passes_over_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """The last one alone was told, without a word of the others."""
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(elsewhere, "_on", lambda *_args, **_options: pytest.fail("was passed on"))
    assert main(["--project-dir", str(folder), *line.split()]) == USAGE
    assert "--host" in capsys.readouterr().err
    monkeypatch.setattr(elsewhere, "_on", lambda *_args, **_options: OK)
    assert main(["--project-dir", str(folder), "--host", "tokyo", "ps", "--host=tokyo"]) == OK
    inner = ["exec", "bp_1", "--", "tool", "--host", "other"]
    assert main(["--project-dir", str(folder), "--host", "tokyo", *inner]) == OK


@pytest.mark.parametrize(
    ("line", "halted", "code"),
    [
        ("halt --hosts", {"here", "tokyo", "osaka"}, OK),
        ("halt --host tokyo --hosts", {"here", "tokyo", "osaka"}, OK),
        ("--host=tokyo halt --hosts", {"here", "tokyo", "osaka"}, OK),
        ("halt --host tokyo --host osaka", {"tokyo", "osaka"}, OK),
        ("--host=osaka halt --host tokyo", {"tokyo", "osaka"}, OK),
        ("halt --host nowhere --host tokyo", {"tokyo"}, USAGE),
        ("halt --host nowhere --hosts", {"here", "tokyo", "osaka"}, USAGE),
    ],
)
def test_a_halt_acts_on_every_machine_that_its_line_names(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    halted: set[str],
    code: int,
) -> None:
    """A kill switch is not refused for a word too many."""
    folder, told = a_folder_with_tokyo(tmp_path), dict[str, list[str]]()
    with (folder / "config" / "hosts.toml").open("a") as file:
        file.write('osaka = "ssh://trader@osaka/srv/desk"\n')

    def note(name: str, words: Sequence[str]) -> CommandResult:
        told[name] = list(words)
        return CommandResult(OK, "", "")

    monkeypatch.setattr(ssh, "run", lambda host, words, *_more: note(host.name, words))
    monkeypatch.setattr(everywhere, "_run_here", lambda _folder, words, _limit: note("here", words))
    assert main(["--project-dir", str(folder), *line.split()]) == code
    assert told == {name: ["--lang", "en", "halt"] for name in halted}
    assert ("there is no host nowhere" in capsys.readouterr().err) == (code == USAGE)


@pytest.mark.parametrize("last_state", [None, "running", "stopped"])
def test_a_halt_names_the_bots_of_a_machine_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    last_state: str | None,
) -> None:
    folder = a_folder_with_tokyo_away(monkeypatch, tmp_path, said_here="")
    if last_state is not None:
        rows = [{"id": "bp_1", "mode": "live", "state": last_state}, {"id": "bp_2", "state": "stopped"}]
        last_seen.save(project.read(folder).fleet, "tokyo", "ssh://trader@tokyo/srv/desk", rows)
    assert main(["--project-dir", str(folder), "halt", "--hosts"]) == FAILED
    told = capsys.readouterr().err
    assert {
        None: "tokyo is not known to be halted; what runs there was never seen",
        "running": "0s ago these ran there, and may trade on: bp_1 (LIVE, running)\n",
        "stopped": "tokyo is not known to be halted; 0s ago no bot ran there",
    }[last_state] in told


@pytest.mark.parametrize("is_known", [True, False])
def test_stats_show_the_bots_of_a_machine_that_does_not_answer_as_they_were_last_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_known: bool
) -> None:
    folder = a_folder_with_tokyo_away(monkeypatch, tmp_path, said_here="[]")
    if is_known:
        rows = [{"id": "bp_1", "mode": "live", "state": "running", "symbol": "SOL"}]
        last_seen.save(project.read(folder).fleet, "tokyo", "ssh://trader@tokyo/srv/desk", rows)
        [file] = folder.rglob("hosts/tokyo.json")
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "at": content["at"] - 2.5 * 86400}))
    assert main(["--project-dir", str(folder), "stats", "--hosts"]) == FAILED
    printed = capsys.readouterr()
    shown = [line.split() for line in printed.out.partition("== tokyo\n")[2].splitlines()[:2]]
    row = (
        ["bp_1", "LIVE", "unreachable", "(running", "2d", "ago)", "SOL"] if is_known else ["?", "unreachable"]
    )
    assert shown == [["ID", "MODE", "STATE", "SYMBOL"], row]
    assert "tokyo is away" in printed.err
    assert main(["--project-dir", str(folder), "stats", "--hosts", "--json"]) == FAILED
    [told] = json.loads(capsys.readouterr().out)
    assert (told["host"], told["state"], told["error"]) == ("tokyo", "unreachable", "tokyo is away")
    assert (told["id"], told["last_state"]) == (("bp_1", "running") if is_known else (None, None))
    assert (told["seen_ago_s"] is not None and told["seen_ago_s"] >= 2.5 * 86400) == is_known


@pytest.mark.parametrize("words", [["halt", "--hosts"], ["halt", "--hosts", "--json"]], ids=" ".join)
def test_a_halt_that_cannot_print_waits_for_every_machine_and_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """On a full disk it ended with the first answer, without a word of machines that were not halted."""
    folder, has_said = a_folder_with_tokyo(tmp_path), Event()

    def full(*_text: object) -> None:
        has_said.set()
        raise ManagerError("cannot write to standard output")

    def unreachable(host: Host, *_more: object) -> CommandResult:
        if "--json" not in words:
            has_said.wait(10)
        raise Unreachable("{name} is away", name=host.name)

    monkeypatch.setattr(console, "say", full)
    monkeypatch.setattr(ssh, "run", unreachable)
    monkeypatch.setattr(everywhere, "_run_here", lambda *_more: CommandResult(OK, "[]", ""))
    assert main(["--project-dir", str(folder), *words]) == FAILED
    told = capsys.readouterr().err
    assert "tokyo is not known to be halted" in told
    assert "error: cannot write to standard output" in told


@pytest.mark.parametrize("end", ["exit 255", "kill -KILL $$", "kill -TERM $$"])
def test_a_connection_that_is_lost_says_that_what_had_begun_may_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    """An ssh that was killed in the middle of a restart ended the command with 247, and without a word."""
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(ssh, "command", lambda *_args, **_options: ["sh", "-c", end])
    assert main(["--project-dir", str(folder), "--host", "tokyo", "restart"]) == NO_ENGINE
    told = capsys.readouterr().err
    assert "host tokyo (ssh://trader@tokyo/srv/desk) cannot be reached, or its connection was lost" in told
    assert "may go on there: look with `manager --host tokyo ps`" in told


def test_who_interrupts_a_command_without_a_terminal_is_told_that_it_may_go_on_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(subprocess, "run", interrupted)
    assert main(["--project-dir", str(folder), "--host", "tokyo", "restart"]) == 130
    assert "may go on there: look with `manager --host tokyo ps`" in capsys.readouterr().err


def a_folder_with_tokyo(folder: Path) -> Path:
    (folder / "config" / "active").mkdir(parents=True)
    (folder / "config" / "hosts.toml").write_text('tokyo = "ssh://trader@tokyo/srv/desk"\n')
    return folder


def a_folder_with_tokyo_away(monkeypatch: pytest.MonkeyPatch, folder: Path, *, said_here: str) -> Path:
    def unreachable(host: Host, *_more: object) -> CommandResult:
        raise Unreachable("{name} is away", name=host.name)

    monkeypatch.setattr(ssh, "run", unreachable)
    monkeypatch.setattr(everywhere, "_run_here", lambda *_more: CommandResult(OK, said_here, ""))
    return a_folder_with_tokyo(folder)


def test_the_command_of_a_hint_can_be_pasted() -> None:
    host = registry.parse("tokyo", "ssh://trader@tokyo/srv/東京 'q'")
    hint = str(ssh.silent(host, 20)).split("`")[1]
    assert shlex.split(hint) == ["manager", "host", "add", "tokyo", host.url, "--answer-within", "60"]


def test_who_interrupts_does_not_wait_for_a_machine_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C of a halt waited for minutes, and did not say which machine had not answered."""
    folder, is_over, interrupted = a_folder_with_tokyo(tmp_path), Event(), list[bool]()

    def never(host: Host, *_args: object) -> CommandResult:
        interrupted.append(is_over.wait(30))
        return CommandResult(0, "", "")

    def interrupt(text: object) -> None:
        if str(text) == "== here":
            raise KeyboardInterrupt

    monkeypatch.setattr(ssh, "run", never)
    monkeypatch.setattr(everywhere, "_run_here", lambda *_args: CommandResult(0, "well", ""))
    monkeypatch.setattr(console, "say", interrupt)
    assert main(["--project-dir", str(folder), "halt", "--hosts"]) == 130
    assert not interrupted, "the other machine has not answered yet"
    is_over.set()
    assert "no answer yet: here, tokyo; what had begun there may go on" in capsys.readouterr().err


def test_a_look_that_is_interrupted_does_not_wait_either(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    has_begun, is_over, ended = Event(), Event(), list[bool]()

    def never(*_args: object) -> CommandResult:
        has_begun.set()
        ended.append(is_over.wait(30))
        return CommandResult(0, "", "")

    def interrupted(*_args: object) -> CommandResult:
        assert has_begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(ssh, "run", never)
    monkeypatch.setattr(everywhere, "_run_here", interrupted)
    with pytest.raises(KeyboardInterrupt):
        everywhere.run([registry.parse("tokyo", "ssh://tokyo/x")], tmp_path, ["ps"], 20)
    assert not ended, "the other machine has not answered yet"
    is_over.set()


@pytest.mark.parametrize(
    ("code", "out", "ids", "is_halted"),
    [
        (126, "", "", False),
        (127, "", "", False),
        (NO_ENGINE, "", "", False),
        (FAILED, "", "", False),  # a Python without its packages: a traceback, and nothing else
        (USAGE, "", "", False),  # another version, which refuses the line
        (USAGE, "", "bp_1", False),
        (USAGE, "", "bp_2", True),
        (FAILED, "bp_1: stopped", "", True),
        (OK, "", "", True),
    ],
)
def test_a_halt_that_did_not_begin_on_a_machine_names_what_may_trade_on_there(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    out: str,
    ids: str,
    *,
    is_halted: bool,
) -> None:
    """Only a machine that did not answer at all was named so, and none without a manager or an engine."""
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(ssh, "run", lambda *_more: CommandResult(code, out, "error: not allowed"))
    monkeypatch.setattr(everywhere, "_run_here", lambda *_more: CommandResult(OK, "[]", ""))
    rows = [{"id": "bp_1", "mode": "live", "state": "running"}, {"id": "bp_2", "state": "stopped"}]
    last_seen.save(project.read(folder).fleet, "tokyo", "ssh://trader@tokyo/srv/desk", rows)
    ended = main(["--project-dir", str(folder), "halt", "--hosts", *ids.split()])
    assert (ended == OK) == (code == OK)
    told = capsys.readouterr().err
    assert ("these ran there, and may trade on: bp_1 (LIVE, running)" in told) != is_halted
    assert ("is not known to be halted" in told) != is_halted


@pytest.mark.parametrize(("command", "is_named"), [("halt", True), ("stop", False)])
def test_a_halt_on_one_machine_that_is_away_names_them_too(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    command: str,
    *,
    is_named: bool,
) -> None:
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(ssh, "command", lambda *_args, **_options: ["sh", "-c", "exit 255"])
    rows = [{"id": "bp_1", "mode": "live", "state": "running"}]
    last_seen.save(project.read(folder).fleet, "tokyo", "ssh://trader@tokyo/srv/desk", rows)
    assert main(["--project-dir", str(folder), "--host", "tokyo", command]) == NO_ENGINE
    told = capfd.readouterr().err
    assert ("these ran there, and may trade on: bp_1 (LIVE, running)" in told) == is_named
    assert "cannot be reached" in told


@pytest.mark.parametrize("code", sorted(ssh.NOT_RUN))
def test_a_machine_without_a_manager_is_an_error_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], code: int
) -> None:
    """It ended with the shell's 127, which is none of the manager's exit codes, and its shell's words."""
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(ssh, "command", lambda *_args, **_options: ["sh", "-c", f"exit {code}"])
    line = ["--project-dir", str(folder), "--host", "tokyo"]
    assert main([*line, "halt"]) == FAILED
    assert "host tokyo has no manager that can be run in /srv/desk" in capfd.readouterr().err
    assert main([*line, "exec", "bp_1", "--", "tool"]) == code, "that is the tool's own"


@pytest.mark.parametrize("command", ["stats", "halt"])
def test_so_it_is_among_all_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    folder = a_folder_with_tokyo(tmp_path)
    monkeypatch.setattr(ssh, "run", lambda *_more: CommandResult(127, "", "sh: manager: not found"))
    monkeypatch.setattr(everywhere, "_run_here", lambda *_more: CommandResult(OK, "[]", ""))
    assert main(["--project-dir", str(folder), command, "--hosts"]) == FAILED
    assert "(sh: manager: not found); run `manager host check tokyo`" in capsys.readouterr().err


def test_machines_answer_in_this_ones_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login shell that sets another one had errors of a deployment come in two languages."""
    asked: list[Sequence[str]] = []

    def command(_host: Host, words: Sequence[str], **_options: object) -> list[str]:
        asked.append(words)
        return ["true"]

    monkeypatch.setattr(ssh, "command", command)
    host = registry.parse("tokyo", "ssh://trader@tokyo/srv/desk")
    ssh.run(host, ["host", "live"], 20)
    ssh.run(host, ["--lang", "zh-TW", "ps"], 20)
    assert asked == [["--lang", "en", "host", "live"], ["--lang", "zh-TW", "ps"]]
