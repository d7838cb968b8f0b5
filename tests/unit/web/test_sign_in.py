"""A link works once, a session needs both secrets and ends."""

from __future__ import annotations

import pytest

from manager.web.sign_in import MAX_SESSIONS, SESSION_S, Door


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Door:
    return Door(clock)


def test_a_link_works_once(door: Door) -> None:
    link = door.new_link()
    assert door.sign_in(link) is not None
    assert door.sign_in(link) is None


def test_only_the_newest_link_works(door: Door) -> None:
    older, newer = door.new_link(), door.new_link()
    assert door.sign_in(older) is None
    assert door.sign_in(newer) is not None


@pytest.mark.parametrize("wrong", ["", "x", "\x00", "é", "a" * 43])
def test_without_a_link_nobody_comes_in(door: Door, wrong: str) -> None:
    assert door.sign_in(wrong) is None  # no link was ever made: the empty one is none either
    door.new_link()
    assert door.sign_in(wrong) is None


def test_a_session_needs_both_of_its_own_secrets(door: Door) -> None:
    one, other = door.sign_in(door.new_link()), door.sign_in(door.new_link())
    assert one is not None
    assert other is not None
    session = door.session(one.cookie, one.token)
    assert session is not None
    assert session.number == 1
    for cookie, token in (
        (one.cookie, ""),
        ("", one.token),
        (one.cookie, other.token),
        (one.token, one.cookie),
        (one.cookie, one.token + "x"),
    ):
        assert door.session(cookie, token) is None


def test_a_session_ends_by_itself_and_by_signing_out(door: Door, clock: Clock) -> None:
    one, other = door.sign_in(door.new_link()), door.sign_in(door.new_link())
    assert one is not None
    assert other is not None
    first, second = door.session(one.cookie, one.token), door.session(other.cookie, other.token)
    assert first is not None
    assert second is not None
    door.sign_out(other.cookie)
    assert door.session(other.cookie, other.token) is None
    assert not door.lasts(second)
    clock.now += SESSION_S - 1
    assert door.lasts(first)
    clock.now += 1
    assert door.session(one.cookie, one.token) is None
    assert not door.lasts(first)


def test_sessions_are_bounded_and_the_oldest_goes(door: Door) -> None:
    made = [door.sign_in(door.new_link()) for _each in range(MAX_SESSIONS + 1)]
    known = [door.session(each.cookie, each.token) is not None for each in made if each]
    assert known == [False, *[True] * MAX_SESSIONS]
