"""A link works once; a session needs both secrets, ends, and survives a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.web import links
from manager.web.web_side.sign_in import IDLE_S, MAX_SESSIONS, SESSION_S, Secrets, Session, SessionStore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session_store(clock: Clock) -> SessionStore:
    return SessionStore(clock=clock)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "sessions.json", os.O_RDWR | os.O_CREAT, 0o600)
    yield descriptor
    os.close(descriptor)


def test_a_link_works_once(tmp_path: Path) -> None:
    link = links.new(tmp_path / "link")
    assert links.redeem(tmp_path / "link", link)
    assert not links.redeem(tmp_path / "link", link)


def test_only_the_newest_link_works(tmp_path: Path) -> None:
    older, newer = (links.new(tmp_path / "link") for _ in range(2))
    assert not links.redeem(tmp_path / "link", older)
    assert links.redeem(tmp_path / "link", newer)


@pytest.mark.parametrize("wrong", ["", "x", "\x00", "é", "a" * 43])
def test_without_a_link_nobody_comes_in(tmp_path: Path, wrong: str) -> None:
    assert not links.redeem(tmp_path / "link", wrong)  # no link was ever made: the empty one is none either
    links.new(tmp_path / "link")
    assert not links.redeem(tmp_path / "link", wrong)


def test_the_file_of_the_link_is_of_no_use_to_its_reader(tmp_path: Path) -> None:
    link = links.new(tmp_path / "link")
    content = (tmp_path / "link").read_text()
    assert link not in content
    assert not links.redeem(tmp_path / "link", content.strip())
    assert (tmp_path / "link").stat().st_mode & 0o777 == 0o600


def test_a_session_needs_both_of_its_own_secrets(session_store: SessionStore) -> None:
    one, other = session_store.open_session("operate"), session_store.open_session("read")
    session = session_store.session(one.cookie, one.token)
    assert session is not None
    assert session.number == 1
    for cookie, token in (
        (one.cookie, ""),
        ("", one.token),
        (one.cookie, other.token),
        (one.token, one.cookie),
        (one.cookie, one.token + "x"),
    ):
        assert session_store.session(cookie, token) is None


def session_of(session_store: SessionStore, made: Secrets) -> Session:
    session = session_store.session(made.cookie, made.token)
    assert session is not None
    return session


def test_a_session_ends_after_a_day_of_use_and_by_signing_out(
    session_store: SessionStore, clock: Clock
) -> None:
    one, other = session_store.open_session("operate"), session_store.open_session("operate")
    first, second = session_of(session_store, one), session_of(session_store, other)
    session_store.sign_out(second)
    assert session_store.session(other.cookie, other.token) is None
    assert not session_store.lasts(second)
    begun = clock.now
    while clock.now < begun + SESSION_S - 3600:
        clock.now += 3600
        assert session_store.session(one.cookie, one.token) is not None
    clock.now = begun + SESSION_S - 1
    assert session_store.lasts(first)
    clock.now += 1
    assert session_store.session(one.cookie, one.token) is None
    assert not session_store.lasts(first)


def test_a_session_that_nobody_uses_ends_before_its_day(kept: int, clock: Clock) -> None:
    session_store = SessionStore(kept, clock)
    one, read_for_hours = session_store.open_session("operate"), session_store.open_session("operate")
    unused, stream = session_of(session_store, one), session_of(session_store, read_for_hours)
    clock.now += IDLE_S - 1
    assert session_store.goes_on(stream)
    assert session_store.lasts(unused)  # asking whether it lasts is no use of it
    clock.now += 1
    assert not session_store.lasts(unused)
    assert session_store.session(one.cookie, one.token) is None
    assert session_store.session(read_for_hours.cookie, read_for_hours.token) is not None
    after = SessionStore(kept, clock)
    assert after.session(one.cookie, one.token) is None, "a restart has revived it"
    assert after.session(read_for_hours.cookie, read_for_hours.token) is not None


def test_sessions_are_bounded_and_the_oldest_goes(session_store: SessionStore) -> None:
    made = [session_store.open_session("operate") for _ in range(MAX_SESSIONS + 1)]
    known = [session_store.session(session.cookie, session.token) is not None for session in made]
    assert known == [False, *[True] * MAX_SESSIONS]


def test_sessions_survive_a_restart_and_no_secret_is_in_their_file(kept: int, clock: Clock) -> None:
    before = SessionStore(kept, clock)
    one, gone = before.open_session("halt"), before.open_session("operate")
    before.sign_out(session_of(before, gone))
    content = os.pread(kept, 1 << 20, 0).decode()
    assert one.cookie not in content
    assert one.token not in content
    after = SessionStore(kept, clock)
    session = after.session(one.cookie, one.token)
    assert session is not None
    assert (session.number, session.role) == (1, "halt")
    assert after.session(gone.cookie, gone.token) is None
    assert after.session(after.open_session("read").cookie, "") is None
    clock.now += SESSION_S
    assert SessionStore(kept, clock).session(one.cookie, one.token) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"count": 1, "sessions": {"x": ["a"]}}',
        b'{"count": 1, "sessions": {"x": [1, 0, "", 9e9, "root", ""]}}',
        b"[" * 50000,
    ],
)
def test_a_broken_file_of_sessions_signs_everybody_out(kept: int, content: bytes) -> None:
    os.pwrite(kept, content, 0)
    session_store = SessionStore(kept)
    made = session_store.open_session("operate")
    assert SessionStore(kept).session(made.cookie, made.token) is not None


def test_a_code_that_was_used_is_used_after_a_restart_too(kept: int) -> None:
    """It is good for a minute and a half, and the web side is back within a second."""
    assert SessionStore(kept).use_step(7)
    after = SessionStore(kept)
    assert not after.use_step(7)
    assert after.use_step(6)
    made = after.open_session("operate")
    assert not SessionStore(kept).use_step(6)
    session_of(SessionStore(kept), made)
