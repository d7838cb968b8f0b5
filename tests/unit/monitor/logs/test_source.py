"""Lines of the bots: where the engine's log and the dated files meet, and how they go on."""

from __future__ import annotations

import errno
import itertools
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.engine.streams import STREAMS, Stream
from manager.errors import ManagerError
from manager.i18n import Text
from manager.monitor.logs import files, source
from manager.monitor.logs.source import LogQuery, Source
from manager.util import time_parse
from manager.util.time_parse import start_of_day
from tests.builders import FLEET_NAME, a_row

DAY = "2026-01-01"
NOON = 12 * 3600


class Line(NamedTuple):
    """One line of a bot, at a second of the day (UTC)."""

    second: int
    text: bytes
    stream: Stream = "stdout"

    @property
    def moment(self) -> float:
        return time_parse.parse_engine_time(self.stamp)

    @property
    def stamp(self) -> str:
        hours, rest = divmod(self.second, 3600)
        return f"{DAY}T{hours:02}:{rest // 60:02}:{rest % 60:02}.000000000Z"


class Engine:
    """An engine whose log of the one container changes with each stream that is followed; without any, no
    container.
    """

    def __init__(self, *logs: list[Line]) -> None:
        self._logs = list(logs)

    def containers(self, _filters: object) -> list[dict[str, Any]]:
        return [a_row()] if self._logs else []

    def logs(
        self,
        container: str,
        *,
        streams: Collection[Stream] = STREAMS,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[tuple[Stream, bytes]]:
        kept = self._logs[0]
        if follow and len(self._logs) > 1:
            self._logs.pop(0)
        for line in kept[-tail if tail else 0 :]:
            if line.stream in streams and line.moment >= (since or 0):
                yield line.stream, f"{line.stamp} ".encode() + line.text + b"\n"


def written(folder: Path, lines: list[Line], day: str = DAY) -> None:
    """The dated files as the supervisor leaves them."""
    (folder / day).mkdir(parents=True, exist_ok=True)
    for stream in STREAMS:
        text = b"".join(line.text + b"\n" for line in lines if line.stream == stream)
        if text:
            (folder / day / f"bot_{stream}.log").write_bytes(text)


def a_source(folder: Path, engine: Engine, warnings: list[str] | None = None, **wanted: Any) -> Source:
    def warn(text: Text) -> None:
        (warnings if warnings is not None else []).append(str(text))

    any_engine: Any = engine
    return Source(any_engine, FLEET_NAME, "bp_sol_01", folder, LogQuery(**wanted), warn)


def past(folder: Path, engine: Engine, **wanted: Any) -> list[bytes]:
    return [line.text for line in a_source(folder, engine, **wanted).past()]


def numbered(count: int, stream: Stream = "stdout") -> list[Line]:
    return [Line(NOON + number, b"line %d" % number, stream) for number in range(count)]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RECONNECT_S", 0)


def test_no_line_is_lost_to_stamps_that_go_back_and_forth(tmp_path: Path) -> None:
    two, one, three = Line(2, b"two"), Line(1, b"one", "stderr"), Line(3, b"three")
    engine = Engine(
        [two, three, one],
        [two, three, one, Line(3, b"late", "stderr"), Line(4, b"four"), Line(4, b"also four", "stderr")],
    )
    shown = itertools.islice(a_source(tmp_path, engine, follow=True).live(), 6)
    assert [line.text for line in shown] == [b"two", b"three", b"one", b"late", b"four", b"also four"]


def test_following_goes_on_where_the_past_ended(tmp_path: Path) -> None:
    lines = numbered(9)
    lines.insert(6, Line(NOON + 5, b"before", "stderr"))
    written(tmp_path, lines)
    followed = a_source(tmp_path, Engine(lines[5:]), follow=True, tail=3)
    assert [line.text for line in followed.past()] == [b"line 6", b"line 7", b"line 8"]
    followed._engine = Engine([*lines[5:], Line(NOON + 20, b"new")])  # type: ignore[assignment]
    assert next(followed.live()).text == b"new"


def test_a_container_that_was_just_seen_is_not_looked_up_again(tmp_path: Path) -> None:
    engine: Any = Engine(numbered(3))
    engine.containers = pytest.fail
    warn: Any = pytest.fail
    seen = Source(engine, FLEET_NAME, "bp_sol_01", tmp_path, LogQuery(tail=3), warn, "id")
    assert [line.text for line in seen.past()] == [b"line 0", b"line 1", b"line 2"]


def test_following_with_no_past_shows_only_what_is_new(tmp_path: Path) -> None:
    engine = Engine(numbered(3), [*numbered(3), Line(NOON + 9, b"new", "stderr")])
    followed = a_source(tmp_path, engine, follow=True, tail=0)
    assert list(followed.past()) == []
    assert next(followed.live()).text == b"new"


def test_the_engine_is_asked_ever_more_seldom_of_what_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(source, "RECONNECT_S", 0.5)
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        next(a_source(tmp_path, Engine(), follow=True).live())
    assert pauses == [0.5, 1, 2, 4, 5, 5]


@given(
    texts=st.lists(
        st.sampled_from([b"tick", b"", b"a", b"a\ta", b"[supervisor] up", b"x" * 700]), max_size=60
    ),
    streams=st.lists(st.sampled_from(STREAMS), min_size=60, max_size=60),
    cut=st.integers(0, 60),
    is_numbered=st.booleans(),
)
@settings(deadline=None)
def test_the_seam_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[bytes],
    streams: list[Stream],
    cut: int,
    is_numbered: bool,
) -> None:
    lines = []
    for number, (text, stream) in enumerate(zip(texts, streams, strict=False)):
        own = text.startswith(b"[supervisor]")
        suffix = b" %d" % number if is_numbered else b""
        lines.append(Line(NOON + number, text + suffix, "stderr" if own else stream))
    folder = tmp_path_factory.mktemp("logs")
    written(folder, [line for line in lines if not line.text.startswith(b"[supervisor]")])
    kept = lines[cut:]
    for stream in STREAMS:
        expected = [
            line.text
            for index, line in enumerate(lines)
            if line.stream == stream and (index >= cut or not line.text.startswith(b"[supervisor]"))
        ]
        warnings: list[str] = []
        all_of_them = a_source(folder, Engine(kept), warnings).past()
        assert [line.text for line in all_of_them if line.stream == stream] == expected
        assert not warnings
        count = len(expected) // 2
        assert past(folder, Engine(kept), tail=count, streams=(stream,)) == expected[len(expected) - count :]


class Rotating(Engine):
    """It drops its first lines after they were sent for the first time."""

    def logs(
        self, container: str, *, streams: Collection[Stream] = STREAMS, **options: Any
    ) -> Iterator[tuple[Stream, bytes]]:
        log = list(super().logs(container, streams=streams, **options))
        return iter(log if len(streams) > 1 else log[3:])


def test_what_is_rotated_away_while_it_is_read_is_shown_once(tmp_path: Path) -> None:
    own = Line(NOON, b"[supervisor] started the bot", "stderr")
    lines = [*numbered(9), *numbered(9, "stderr")]
    written(tmp_path, lines)
    texts = past(tmp_path, Rotating([own, *lines]))
    assert sorted(texts) == sorted(line.text for line in [own, *lines])


def test_a_last_line_without_end_is_found(tmp_path: Path) -> None:
    written(tmp_path, numbered(3))
    path = tmp_path / DAY / "bot_stdout.log"
    path.write_bytes(path.read_bytes()[:-1])
    warnings: list[str] = []
    shown = a_source(tmp_path, Engine(numbered(3)[2:]), warnings).past()
    assert [line.text for line in shown] == [b"line 0", b"line 1", b"line 2"]
    assert not warnings


@given(
    days=st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"\n")), max_size=3),
    wanted=st.binary(min_size=1, max_size=3).map(lambda text: text.replace(b"\0", b"\n")),
    count=st.integers(0, 6),
)
def test_offsets_do_not_depend_on_how_the_files_are_read(
    tmp_path_factory: pytest.TempPathFactory, days: list[bytes], wanted: bytes, count: int
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    for number, text in enumerate(days, 1):
        (folder / f"2026-01-0{number}").mkdir()
        (folder / f"2026-01-0{number}" / "bot_stdout.log").write_bytes(text)
    whole = b"".join(days)
    with pytest.MonkeyPatch.context() as patch, closing(files.DatedFiles(folder, "stdout")) as opened:
        patch.setattr(files, "BLOCK", 2)
        assert opened.rfind(wanted, len(whole)) == whole.rfind(wanted)
        lines = re.findall(rb"[^\n]*\n|[^\n]+$", whole)
        last = whole[opened.tail_start(count, len(whole)) :]
        assert last == b"".join(lines[len(lines) - count :] if count < len(lines) else lines)


def test_a_bot_that_repeats_itself_is_not_doubled(tmp_path: Path) -> None:
    lines = [Line(NOON + number, b"tick") for number in range(5000)]
    written(tmp_path, lines)
    assert len(past(tmp_path, Engine(lines[1000:]))) == 5000


def test_a_log_that_began_before_the_days_that_are_kept_is_whole(tmp_path: Path) -> None:
    kept = [Line(NOON, b"begin"), Line(NOON, b"middle"), Line(NOON, b"begin again")]
    for first, day in ((b"begin", "2026-01-03"), (b"no more", "2026-01-03"), (b"no more", "2026-01-02")):
        written(tmp_path / day, kept, day)
        warnings: list[str] = []
        engine = Engine([Line(NOON, first), Line(NOON, b"second"), *kept])
        shown = a_source(tmp_path / day, engine, warnings).past()
        assert [line.text for line in shown] == [first, b"second", b"begin", b"middle", b"begin again"]
        assert not warnings


def test_what_the_file_never_got_is_said(tmp_path: Path) -> None:
    lines = numbered(100)
    written(tmp_path, lines[:40] + lines[60:])
    warnings: list[str] = []
    texts = [line.text for line in a_source(tmp_path, Engine(lines[50:]), warnings).past()]
    assert [line.text for line in lines[50:]] == texts[-50:]
    assert "bp_sol_01" in warnings[0]
    assert "bot_stdout.log" in warnings[0]
    assert a_source(tmp_path, Engine(lines[70:]), warnings[1:]).past()


def test_after_down_the_files_have_everything_in_the_order_of_their_own_times(tmp_path: Path) -> None:
    written(tmp_path, [Line(0, b"yesterday")], "2025-12-31")
    written(
        tmp_path,
        [
            Line(0, b"2026-01-01 08:00:00 INFO one"),
            Line(0, b"2026-01-01 08:00:02 WARNING two", "stderr"),
            Line(0, b"  a second line of it", "stderr"),
            Line(0, b"2026-01-01 08:00:03,123 three"),
        ],
    )
    everything = [
        b"yesterday",
        b"2026-01-01 08:00:00 INFO one",
        b"2026-01-01 08:00:02 WARNING two",
        b"  a second line of it",
        b"2026-01-01 08:00:03,123 three",
    ]
    assert past(tmp_path, Engine()) == everything
    assert past(tmp_path, Engine(), tail=2) == everything[-2:]
    since = start_of_day(DAY) + 8 * 3600 + 2
    assert past(tmp_path, Engine(), since=since) == everything[2:]
    assert past(tmp_path, Engine(), until=since) == everything[:4]
    assert past(tmp_path, Engine(), streams=("stderr",)) == everything[2:4]


def test_lines_without_a_time_are_shown_rather_than_hidden(tmp_path: Path) -> None:
    written(tmp_path, [Line(0, b"old")], "2025-12-31")
    written(tmp_path, [Line(0, b"one"), Line(0, b"two")])
    assert past(tmp_path, Engine(), since=start_of_day(DAY) + NOON) == [b"one", b"two"]


def test_a_hostile_folder_is_read_no_further(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    logs = tmp_path / "logs"
    written(logs, [Line(0, b"fine")])
    (logs / "2026-01-02").symlink_to(tmp_path)
    for day, make in (
        ("2026-01-03", lambda path: path.symlink_to(secret)),
        ("2026-01-04", os.mkfifo),
        ("2026-01-05", Path.mkdir),
        ("2026-13-99", Path.touch),
    ):
        (logs / day).mkdir()
        make(logs / day / "bot_stdout.log")
    assert past(logs, Engine()) == [b"fine"]
    (tmp_path / "link").symlink_to(logs)
    with pytest.raises(ManagerError, match="cannot read"):
        past(tmp_path / "link", Engine())


def test_days_that_cannot_be_opened_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        written(tmp_path, [Line(0, b"fine")], day)
    really = os.open

    def few_descriptors(path: Any, *args: Any, **options: Any) -> int:
        if str(path).startswith("2026-01-02"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really(path, *args, **options)

    monkeypatch.setattr(os, "open", few_descriptors)
    with pytest.raises(ManagerError, match="Too many open files"):
        past(tmp_path, Engine())


def test_the_end_of_a_huge_file_is_found_from_the_end(tmp_path: Path) -> None:
    written(tmp_path, [Line(0, b"first")])
    path = tmp_path / DAY / "bot_stdout.log"
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)  # sparse
        stream.seek(0, os.SEEK_END)
        stream.write(b"\none\ntwo\nthree")
    assert past(tmp_path, Engine(), tail=3) == [b"one", b"two", b"three"]
    assert past(tmp_path, Engine(), tail=1) == [b"three"]


def test_a_time_that_is_later_than_its_file_does_not_hold_up_what_follows(tmp_path: Path) -> None:
    texts = [b"08:00:01 one", b"08:00:02 two", b"08:00:03 three"]
    first, second, third = (f"{DAY} ".encode() + text for text in texts)
    future = [b"2099-12-31 00:00:00 the contract expires", b"2099-12-31 00:00:00 again"]
    texts = [first, *future, b"of no time", second, third]
    written(tmp_path, [Line(0, text) for text in texts])

    def seconds(**wanted: Any) -> list[float]:
        moments = [line.moment for line in a_source(tmp_path, Engine(), **wanted).past()]
        return [moment - time_parse.parse_line_time(first) for moment in moments]  # type: ignore[operator]

    assert seconds() == [0, 0, 0, 0, 1, 2]
    assert seconds(may_match=lambda line: line in {b"of no time", third}) == [0, 2]
    one_s_later = time_parse.parse_line_time(second)
    assert seconds(since=one_s_later) == [1, 2]
    assert seconds(until=time_parse.parse_line_time(first)) == [0, 0, 0, 0]
