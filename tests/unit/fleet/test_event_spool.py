"""What commands leave for the history, whatever the disk and the folder are like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manager import i18n
from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import event_spool
from manager.i18n import Text
from manager.monitor.history import spool_reader, summary


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet("desk", tmp_path, tmp_path / "volumes")
    made.state_dir.mkdir(parents=True)
    return made


def note(fleet: Fleet, instance: str, why: str = "asked for") -> None:
    event_spool.note(fleet, [event_spool.happened("stop", instance, "stop", why, is_done=True)])


def texts(fleet: Fleet, places: object = None) -> list[str]:
    return [event.instance for event in spool_reader.read(fleet.event_spool_file, places).events]


def test_each_line_is_taken_in_once(fleet: Fleet) -> None:
    note(fleet, "one")
    first = spool_reader.read(fleet.event_spool_file, None)
    note(fleet, "two")
    second = spool_reader.read(fleet.event_spool_file, first.places)
    assert [[event.instance for event in intake.events] for intake in (first, second)] == [["one"], ["two"]]
    assert texts(fleet, second.places) == []
    assert str(first.events[0].text) == "stop: stop (asked for)"


def test_a_full_file_is_kept_beside_the_next_and_no_line_is_read_twice(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_spool, "MAX_BYTES", 1100)
    seen: list[str] = []
    places: object = None
    for number in range(40):
        note(fleet, f"bot_{number}")
        if number % 3 == 0:
            intake = spool_reader.read(fleet.event_spool_file, places)
            seen += [event.instance for event in intake.events]
            places = intake.places
    assert seen == [f"bot_{number}" for number in range(40)]
    files = [path for path in fleet.state_dir.iterdir() if path.name.startswith("events")]
    assert len(files) == 2
    assert all(path.stat().st_size < 1600 for path in files)


def test_a_line_that_is_cut_or_foreign_is_passed_over(fleet: Fleet) -> None:
    note(fleet, "one")
    with fleet.event_spool_file.open("ab") as stream:
        stream.write(b'{"at": "soon"}\n[1]\n' + b"\0" * 100 + b"\n\xff\xfe\n{not json\n")
        event = {"at": 1764500000, "command": "up", "instance": "long", "what": "start", "is_done": True}
        stream.write(json.dumps({**event, "why": "y" * event_spool.MAX_LINE}).encode() + b"\n")
        stream.write(b'{"at": 1764500000, "comm')
    first = spool_reader.read(fleet.event_spool_file, None)
    assert [event.instance for event in first.events] == ["one"]
    with fleet.event_spool_file.open("ab") as stream:
        stream.write(b"and\n")
    note(fleet, "two")
    assert texts(fleet, first.places) == ["two"]


def test_what_cannot_be_written_fails_nobody(fleet: Fleet, tmp_path: Path) -> None:
    fleet.event_spool_file.symlink_to("/dev/full")
    note(fleet, "one")
    fleet.event_spool_file.unlink()
    os.mkfifo(fleet.event_spool_file)  # and it does not wait for a reader
    note(fleet, "one")
    fleet.event_spool_file.unlink()
    fleet.event_spool_file.mkdir()
    note(fleet, "one")
    note(fleet._replace(data_dir=tmp_path / "gone"), "one")
    assert texts(fleet) == []


def test_a_long_cause_is_cut(fleet: Fleet) -> None:
    note(fleet, "one", "€" * 100_000)
    note(fleet, "two")
    assert fleet.event_spool_file.stat().st_size < 2 * event_spool.MAX_LINE
    assert "two" in texts(fleet)


def test_lines_of_many_commands_at_once_do_not_mix(fleet: Fleet) -> None:
    script = (
        "import sys; from pathlib import Path; from manager.config.fleet import Fleet; from manager.fleet"
        " import event_spool\n"
        "fleet = Fleet('desk', Path(sys.argv[1]), Path(sys.argv[1]) / 'volumes')\n"
        "for number in range(100):\n"
        "    event_spool.note(fleet, [event_spool.happened('stop', f'{sys.argv[2]}_{number}', 'stop', 'x' *"
        " 500, is_done=True)])\n"
    )
    root = Path(event_spool.__file__).resolve().parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(fleet.project_dir), name], cwd=root)
        for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    events = texts(fleet)
    assert len(events) == 300
    assert sorted(events) == sorted(f"{name}_{number}" for name in "abc" for number in range(100))


def test_what_a_command_did_is_read_in_the_readers_language(fleet: Fleet) -> None:
    with i18n.speaking("zh-TW"):
        why = ManagerError("cannot write {path}: {why}", path=Path("/x"), why="disk full")
        event_spool.note(
            fleet,
            [
                event_spool.happened("stop", "one", "stop", Text("config changed"), is_done=True),
                event_spool.happened(
                    "halt", "one", Text("halt, {count} orders left", count="2"), why, is_done=False
                ),
                event_spool.happened("page", "one", "restart", "", is_done=True),
            ],
        )
    events = list(spool_reader.everything(fleet.event_spool_file))
    english = [
        "stop: stop (config changed)",
        "halt: halt, 2 orders left (cannot write /x: disk full)",
        "page: restart",
    ]
    assert [event.text for event in events] == english
    assert [summary.event_text(event) for event in events] == english
    with i18n.speaking("zh-TW"):
        told = [summary.event_text(event) for event in events]
    assert told == [
        "stop：停止（設定檔已變更）",
        "halt：緊急停止，剩下 2 筆掛單（無法寫入 /x：disk full）",
        "網頁：重啟",
    ]
    later = events[0]._replace(reason={"code": "command", "params": {"command": "stop", "what": ["x"]}})
    assert summary.event_text(later) == english[0]


def test_a_line_that_grows_too_long_keeps_what_programs_read(fleet: Fleet) -> None:
    why = Text("{why}", why=Text("{a}{b}{c}{d}", **dict.fromkeys("abcd", "y" * 1000)))
    event_spool.note(fleet, [event_spool.happened("stop", "one", "stop", why, is_done=True)])
    (event,) = spool_reader.everything(fleet.event_spool_file)
    assert event.text == f"stop: stop ({'y' * 1000})"
