"""`logs -f --hosts`: a machine that dies and comes back goes on where it was, no line lost or doubled."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pytest

from manager.cli import following
from manager.errors import FAILED, OK
from manager.ops.hosts.registry import Host

TOKYO = Host("tokyo", "tokyo.example", None, None, "/srv/desk")
ARGS = Namespace(json=False, timestamps=False, config=[], grep=None, errors=False, ids=["bp_1", "bp_2"])
WORDS = ("--lang", "en", "logs", "-f", "--tail", "2", "bp_1", "bp_2")


def at(second: int, text: str, instance: str = "bp_1") -> str:
    return f"{instance} | 2026-11-29T12:00:{second:02}.123456789Z {text}"


Connection = tuple[Sequence[str], str, int]
"""What one connection prints, what ssh says at its end, and its exit code."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(following, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(following, "_here", lambda _folder, _words: ["true"])
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def followed(
    folder: Path, connections: Sequence[Connection], args: Namespace = ARGS
) -> tuple[int, list[str]]:
    """Follow them; return the exit code, and what ssh was asked each time."""
    for number, (lines, says, code) in enumerate(connections, 1):
        (folder / f"{number}.out").write_text("".join(f"{line}\r\n" for line in lines))
        (folder / f"{number}.err").write_text(says)
        (folder / f"{number}.code").write_text(str(code))
    script = folder / "ssh"
    script.write_text(
        f'#!/bin/sh\ncd {folder}\nfor last; do :; done\necho "$last" >> calls\nn=$(wc -l < calls)\n'
        "cat $n.out\ncat $n.err >&2\nexit $(cat $n.code)\n"
    )
    script.chmod(0o755)
    code = following.follow(folder, [TOKYO], WORDS, args)
    return code, (folder / "calls").read_text().splitlines()


def test_it_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = "client_loop: send disconnect: Broken pipe"
    code, calls = followed(
        tmp_path,
        [
            (["warning: no container: bp_3", at(1, "a"), at(4, "b"), at(3, "c", "bp_2")], lost, 255),
            ([], "ssh: connect to host tokyo.example port 22: Connection refused", 255),
            (["cannot reach the engine"], "", 5),
            ([at(1, "a"), at(2, "late", "bp_2"), at(3, "c", "bp_2"), at(4, "b"), at(5, "d")], "", OK),
        ],
    )
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "tokyo warning: no container: bp_3",
        "tokyo bp_1 | a",
        "tokyo bp_1 | b",
        "tokyo bp_2 | c",
        "tokyo cannot reach the engine",
        "tokyo bp_2 | late",
        "tokyo bp_1 | d",
    ]
    assert code == OK
    assert output.err.count("trying again") == 1, "once for an outage"
    assert "Broken pipe" in output.err
    assert output.err.count("tokyo: connected again") == 1
    assert calls[0].endswith("logs --timestamps -f --tail 2 bp_1 bp_2")
    for again in calls[1:]:
        assert "--since=2026-11-29T11:59:59.123456+00:00 --timestamps -- bp_1 bp_2" in again
        assert "--tail" not in again


def test_a_machine_that_was_never_reached_is_named_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "ssh: connect to host tokyo.example port 22: Connection timed out"
    code, calls = followed(tmp_path, [([], why, 255)])
    assert (code, len(calls)) == (FAILED, 1)
    assert f"tokyo: its lines have ended ({why}, exit code 255)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (127, "host tokyo has no manager that can be run in /srv/desk (its shell says why above): "),
        (5, "tokyo: its lines have ended (exit code 5); run the command again"),
    ],
)
def test_its_end_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, says: str
) -> None:
    """It said `(exit code 127, exit code 127); run the command again`, which does not help."""
    assert followed(tmp_path, [(["sh: manager: not found"], "", code)])[0] != OK
    assert says in capsys.readouterr().err


def test_a_command_that_ends_by_itself_is_not_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, calls = followed(tmp_path, [([at(1, "a"), "no instance bp_2"], "", 2)])
    assert (code, len(calls)) == (2, 1)
    assert "exit code 2" in capsys.readouterr().err


def test_a_quiet_machine_is_asked_for_what_it_said_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = TOKYO._replace(answer_within=-1)  # any connection has lasted longer
    follower = following._Follower(
        "tokyo", following._command(host, WORDS, ARGS), Namespace(**vars(ARGS)), host
    )
    for number, (line, code) in enumerate([("", 255), (at(9, "x"), 0)], 1):
        (tmp_path / f"{number}.out").write_text(line)
        (tmp_path / f"{number}.code").write_text(str(code))
    (tmp_path / "ssh").write_text(
        f'#!/bin/sh\ncd {tmp_path}\nfor last; do :; done\necho "$last" >> calls\nn=$(wc -l < calls)\n'
        "cat $n.out\nexit $(cat $n.code)\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    follower.run(5)
    assert "--since=5s" in (tmp_path / "calls").read_text()
    assert "tokyo bp_1 | x" in capsys.readouterr().out


def test_as_json_each_line_keeps_its_keys_and_none_comes_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = '{"id": "bp_1", "time": "2026-11-29T12:00:01Z", "line": "a"}'
    args = Namespace(**{**vars(ARGS), "json": True})
    code, calls = followed(tmp_path, [([line], "lost", 255), ([line], "", OK)], args)
    assert code == OK
    assert capsys.readouterr().out.splitlines() == [line.replace("{", '{"host": "tokyo", ', 1)]
    assert calls[0].endswith("logs --json -f --tail 2 bp_1 bp_2")
