"""Whether the engine has all lines is told without opening a bot's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.monitor.logs import all_there
from manager.monitor.logs.lines import LogLine

LINES = (
    LogLine("stderr", b"[supervisor] started the bot, pid 8", "2026-11-30T08:00:00.0Z"),
    LogLine("stdout", b"one", "2026-11-30T08:00:01.0Z"),
    LogLine("stderr", b"two, and more", "2026-11-30T08:00:02.0Z"),
)
TEXTS = {"bot_stdout.log": b"one\n", "bot_stderr.log": b"two, and more\n", "daemon.log": b"any"}


def write(folder: Path, day: str, texts: dict[str, bytes]) -> None:
    (folder / day).mkdir(parents=True)
    for name, text in texts.items():
        (folder / day / name).write_bytes(text)


def test_files_with_the_same_bytes_have_nothing_older(tmp_path: Path) -> None:
    write(tmp_path, "2026-11-30", TEXTS)
    (tmp_path / "bot.pid").write_text("8")
    assert all_there.are_all(tmp_path, LINES)
    assert all_there.are_all(tmp_path / "missing", LINES[:1])


@pytest.mark.parametrize(
    ("day", "texts"),
    [
        ("2026-11-29", {"bot_stdout.log": b"older\n"}),
        ("2026-11-29", {"bot_stderr.log.1": b"older\n"}),
        ("2026-11-29", {"bot_stdout.log.1.gz": b"older"}),
    ],
)
def test_one_byte_more_is_older(tmp_path: Path, day: str, texts: dict[str, bytes]) -> None:
    write(tmp_path, "2026-11-30", TEXTS)
    write(tmp_path, day, texts)
    assert not all_there.are_all(tmp_path, LINES)


def test_as_many_bytes_of_another_stream_are_others(tmp_path: Path) -> None:
    write(tmp_path, "2026-11-30", {"bot_stdout.log": TEXTS["bot_stdout.log"] + TEXTS["bot_stderr.log"]})
    assert not all_there.are_all(tmp_path, LINES)


def test_a_folder_full_of_files_is_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_there, "MOST_ENTRIES", 2)
    write(tmp_path, "2026-11-30", TEXTS)
    assert not all_there.are_all(tmp_path, LINES)
